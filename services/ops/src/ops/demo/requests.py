"""The demonstration's requests: each sent and held against what it must answer."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ops.clients.confirmation import PENDING, authorization, confirm, exit_code_of, token_of
from ops.clients.listings import SMS
from ops.clients.openings import OpeningRequest, contact_of, open_accounts
from ops.clients.system import Reply, System
from ops.demo.scenarios import Cast, Scenario, Step
from ops.demo.screen import Screen
from ops.domain.rows import Row

ASK_AGAIN_S = 1.0
MOST_ASKED = 5
"""How often a request is repeated while the answer is 202: well below 10 a minute."""
TOLD_WITHIN_S = 15.0
POLL_S = 0.25


@dataclass(slots=True)
class Run:
    """One run: who plays, to whom, and what was not as expected."""

    system: System
    screen: Screen
    cast: Cast
    tokens: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    confirmed: set[str] = field(default_factory=set)
    """Transactions that were answered 200: what there is to follow."""

    def expect(self, *, holds: bool, sentence: str) -> bool:
        """Note what should be and is not; return whether it is."""
        if not holds:
            self.faults.append(sentence)
        return holds

    def token(self, scenario: Scenario) -> dict[str, str]:
        """Return the header that a customer's requests carry."""
        user = self.cast.user(scenario)
        if user not in self.tokens:
            self.tokens[user] = token_of(self.system, user)
        return authorization(self.tokens[user])


def prepare(run: Run, scenarios: tuple[Scenario, ...]) -> None:
    """Open the customers' accounts and set their contacts."""
    for scenario in scenarios:
        if scenario.has_account:
            user = run.cast.user(scenario)
            open_accounts(run.system, OpeningRequest(user, user, scenario.opening_minor, "USD"))


def play(run: Run, scenario: Scenario) -> None:
    """Send a scenario's requests, one after the other, and show each with its answer."""
    run.screen.scenario(scenario.title)
    before: Reply | None = None
    for step in scenario.steps:
        body = body_of(run.cast, scenario, step)
        if step.code is not None:
            _await_code(run, scenario)
        reply = _decided(run, scenario, body)
        faults = faults_of(step, reply, before)
        run.screen.exchange(step.says, body, reply, faults)
        for fault in faults:
            run.faults.append(f"{scenario.name}: {step.says}: {fault}")
        if reply.status == 200:
            run.confirmed.add(body["transaction_id"])
        before = reply


def _await_code(run: Run, scenario: Scenario) -> None:
    """Wait as the customer does, who reads the code in the SMS; a used code is never sent."""
    phone = contact_of(run.cast.user(scenario))["phone"]
    until(lambda: run.system.rows(SMS, to=phone), bool, time.monotonic() + TOLD_WITHIN_S)


def until(
    find: Callable[[], list[Row]], is_enough: Callable[[list[Row]], bool], deadline_s: float
) -> list[Row]:
    """Look again until there is enough or the time has come; return what there is."""
    while True:
        found = find()
        if is_enough(found) or time.monotonic() > deadline_s:
            return found
        time.sleep(POLL_S)


def body_of(cast: Cast, scenario: Scenario, step: Step) -> dict[str, Any]:
    """Return a step's request; what a later call may leave out is left out."""
    transaction = cast.transaction(scenario, step.payment)
    body: dict[str, Any] = {"transaction_id": transaction, "idempotency_key": transaction}
    if step.amount is not None:
        body |= {
            "amount": step.amount,
            "from_account": cast.user(scenario),
            "to_account": scenario.payee,
        }
    if step.code is not None:
        body["otp_code"] = step.code
    return body


def _decided(run: Run, scenario: Scenario, body: Mapping[str, Any]) -> Reply:
    """Send a request; while it is not decided (202), send the same again."""
    for _ in range(MOST_ASKED):
        reply = confirm(run.system, body, run.token(scenario))
        if exit_code_of(reply.status, reply.body) != PENDING:
            break
        run.screen.note(f"{reply.status}: not decided yet; the same request again")
        time.sleep(ASK_AGAIN_S)
    return reply


def faults_of(step: Step, reply: Reply, before: Reply | None) -> list[str]:
    """Say how an answer differs from what the step expects."""
    faults = []
    if reply.status != step.status:
        faults.append(f"status {reply.status}, expected {step.status}")
    body = reply.body if isinstance(reply.body, dict) else {}
    faults += [
        f"{name} is {body.get(name)!r}, expected {value!r}"
        for name, value in step.body.items()
        if body.get(name) != value
    ]
    if step.is_repeat:
        if before is None or reply.text != before.text:
            faults.append("differs from the answer before")
        if reply.headers.get("idempotent-replayed") != "true":
            faults.append("is not marked as a repeat")
    return faults
