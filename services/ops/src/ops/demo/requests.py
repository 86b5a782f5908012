"""The demonstration's requests, each compared with its expected response."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ops.clients.confirmation import PENDING, authorization, confirm, exit_code_of, token_of
from ops.clients.listings import SMS
from ops.clients.openings import OpeningRequest, contact_of, open_in_development
from ops.clients.system import HttpResponse, System
from ops.demo.excepting import except_payee
from ops.demo.scenarios import Cast, Scenario, Step
from ops.demo.screen import Screen
from ops.domain.rows import Row

REPEAT_AFTER_S = 1.0
MOST_REQUESTS_SENT = 5
"""Limit of repeated requests while the response is 202: well below 10 a minute."""
MESSAGE_WITHIN_S = 15.0
POLL_S = 0.25


@dataclass(slots=True)
class Run:
    """One run, with its unexpected results."""

    system: System
    screen: Screen
    cast: Cast
    tokens: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    confirmed: set[str] = field(default_factory=set)
    """Transactions with a 200, to follow until their settlement."""

    def expect(self, *, holds: bool, sentence: str) -> bool:
        """Record an unmet expectation; return whether it holds."""
        if not holds:
            self.faults.append(sentence)
        return holds

    def token(self, scenario: Scenario) -> dict[str, str]:
        """Return the authorization header of a customer."""
        user = self.cast.user(scenario)
        if user not in self.tokens:
            self.tokens[user] = token_of(self.system, user)
        return authorization(self.tokens[user])


def prepare(run: Run, scenarios: tuple[Scenario, ...]) -> None:
    """Open the customers' accounts and set their contacts."""
    users = [(run.cast.user(one), one.opening_minor) for one in scenarios if one.has_account]
    requests = [OpeningRequest(user, user, opening, "USD") for user, opening in users]
    open_in_development(run.system.addresses, requests)


def play(run: Run, scenario: Scenario) -> bool:
    """Send a scenario's requests in order up to the first fault; return whether there is none."""
    run.screen.scenario(scenario.title)
    before: HttpResponse | None = None
    for step in scenario.steps:
        body = body_of(run.cast, scenario, step)
        if step.code is not None:
            _await_code(run, scenario)
        if step.after_exception:
            declined = run.cast.transaction(scenario, step.payment - 1)
            run.screen.note(except_payee(run.system, declined, body["to_account"]))
        response = _decided(run, scenario, body)
        faults = faults_of(step, response, before)
        run.screen.exchange(step.title, body, response, faults)
        for fault in faults:
            run.faults.append(f"{scenario.name}: {step.title}: {fault}")
        if faults:
            return False
        if response.status == 200:
            run.confirmed.add(body["transaction_id"])
        before = response
    return True


def _await_code(run: Run, scenario: Scenario) -> None:
    """Wait for the SMS, as the customer does; a code that was already used is never sent."""
    phone = contact_of(run.cast.user(scenario))["phone"]
    until(lambda: run.system.rows(SMS, to=phone), bool, time.monotonic() + MESSAGE_WITHIN_S)


def until(
    find: Callable[[], list[Row]], is_enough: Callable[[list[Row]], bool], deadline_s: float
) -> list[Row]:
    """Poll until there are enough rows or the deadline has passed; return the rows."""
    while True:
        found = find()
        if is_enough(found) or time.monotonic() > deadline_s:
            return found
        time.sleep(POLL_S)


def body_of(cast: Cast, scenario: Scenario, step: Step) -> dict[str, Any]:
    """Return a step's request without the fields that a later call may omit."""
    transaction = cast.transaction(scenario, step.payment)
    body: dict[str, Any] = {"transaction_id": transaction, "idempotency_key": transaction}
    if step.amount is not None:
        body |= {
            "amount": step.amount,
            "from_account": cast.user(scenario),
            "to_account": cast.payee(scenario),
        }
    if step.to_name is not None:
        body["to_name"] = step.to_name
    if step.code is not None:
        body["otp_code"] = step.code
    return body


def _decided(run: Run, scenario: Scenario, body: Mapping[str, Any]) -> HttpResponse:
    """Send a request; repeat it while it is not decided (202)."""
    for _ in range(MOST_REQUESTS_SENT):
        response = confirm(run.system, body, run.token(scenario))
        if exit_code_of(response.status, response.body) != PENDING:
            break
        run.screen.note(f"{response.status}: not decided yet; the same request again")
        time.sleep(REPEAT_AFTER_S)
    return response


def faults_of(step: Step, response: HttpResponse, before: HttpResponse | None) -> list[str]:
    """Describe how a response differs from the expected one."""
    faults = []
    if response.status != step.status:
        faults.append(f"status {response.status}, expected {step.status}")
    body = response.body if isinstance(response.body, dict) else {}
    faults += [
        f"{name} is {body.get(name)!r}, expected {value!r}"
        for name, value in step.body.items()
        if body.get(name) != value
    ]
    if step.is_repeat:
        if before is None or response.text != before.text:
            faults.append("differs from the previous response")
        if response.headers.get("idempotent-replayed") != "true":
            faults.append("is not marked as a repeat")
    return faults
