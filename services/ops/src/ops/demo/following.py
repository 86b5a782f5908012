"""The payments after their responses: settlement, messages, balances, audit log."""

import time
from collections.abc import Sequence
from itertools import chain

from ops.clients.listings import ACCOUNTS, MAILS, SMS, TIMELINE, Listing
from ops.clients.openings import contact_of
from ops.clients.payments import find_payments
from ops.command.show import show_timeline
from ops.demo.requests import MESSAGE_WITHIN_S, POLL_S, Run, until
from ops.demo.scenarios import Scenario
from ops.domain.amounts import money
from ops.domain.rows import Row

SETTLED_WITHIN_S = 60.0
QUICK_S = 3.0
LATER_POLL_S = 3.5
"""With this pause a customer with two payments stays below 60 reads a minute."""
ENDS = ("SETTLED", "REJECTED")

Open = dict[str, tuple[Scenario, int]]


def follow(run: Run, scenarios: Sequence[Scenario]) -> None:
    """Follow every confirmed payment until it is settled or returned."""
    run.screen.part("Settlement: each payment until it is settled or returned")
    waiting: Open = {
        run.cast.transaction(scenario, payment): (scenario, payment)
        for scenario in scenarios
        for payment in scenario.outcomes
        if run.cast.transaction(scenario, payment) in run.confirmed
    }
    seen: dict[str, str] = {}
    started = time.monotonic()
    while waiting and time.monotonic() - started < SETTLED_WITHIN_S:
        for transaction in list(waiting):
            _poll(run, transaction, waiting, seen, started)
        is_young = time.monotonic() - started < QUICK_S
        time.sleep((POLL_S if is_young else LATER_POLL_S) if waiting else 0)
    for transaction in waiting:
        last = seen.get(transaction, "unknown")
        run.faults.append(f"{transaction} is {last} after {SETTLED_WITHIN_S:.0f} s")


def _poll(run: Run, transaction: str, waiting: Open, seen: dict[str, str], started: float) -> None:
    """Read one payment as its customer; show a new status."""
    scenario, payment = waiting[transaction]
    response = run.system.ask("GET", f"/payment/{transaction}", None, run.token(scenario))
    status = response.body.get("settlement_status") if isinstance(response.body, dict) else None
    if status is None or status == seen.get(transaction):
        return
    seen[transaction] = status
    is_end = status in ENDS
    expected = scenario.outcomes[payment]
    run.screen.progress(time.monotonic() - started, transaction, status, is_good=is_end)
    if is_end:
        del waiting[transaction]
        run.expect(
            holds=status == expected, sentence=f"{transaction} is {status}, expected {expected}"
        )


def show_messages(run: Run, scenarios: Sequence[Scenario]) -> None:
    """Print the SMS and e-mails that the mocks have received."""
    run.screen.part("Messages to the customers")
    rows = []
    deadline_s = time.monotonic() + MESSAGE_WITHIN_S
    for scenario in scenarios:
        contact = contact_of(run.cast.user(scenario))
        for provider, to, count in (
            (SMS, contact["phone"], scenario.sms),
            (MAILS, contact["email"], scenario.emails),
        ):
            if count:
                messages = _messages(run, (provider, to), count, deadline_s)
                rows += [
                    (to, one.get("subject", "SMS"), " ".join(one["body"].split()))
                    for one in messages
                ]
    run.screen.table("", ("to", "subject", "text"), rows)


def _messages(run: Run, where: tuple[Listing, str], count: int, deadline_s: float) -> Sequence[Row]:
    """Return a recipient's messages once the expected number has arrived."""
    provider, to = where
    messages = until(
        lambda: run.system.rows(provider, to=to), lambda found: len(found) >= count, deadline_s
    )
    sentence = f"{to} got {len(messages)} messages from {provider.owner}, expected {count}"
    run.expect(holds=len(messages) == count, sentence=sentence)
    return messages


def show_balances(run: Run, scenarios: Sequence[Scenario]) -> None:
    """Print the balances of the customers' and the internal accounts."""
    run.screen.part("The ledger")
    prefixes = ("in-flight:", "clearing:", f"demo-{run.cast.run}-")
    *internal, found = (run.system.rows(ACCOUNTS, prefix=prefix) for prefix in prefixes)
    customers = {one["id"]: one for one in found}
    for scenario in scenarios:
        account = customers.get(run.cast.user(scenario), {})
        if scenario.has_account:
            held, expected = account.get("balance_minor"), scenario.closing_minor
            sentence = f"{run.cast.user(scenario)} holds {held}, expected {expected} (cents)"
            run.expect(holds=held == expected, sentence=sentence)
    rows = [
        (one["id"], one["owner"], money(one["balance_minor"], one["currency"]))
        for one in chain(customers.values(), *internal)
    ]
    run.screen.table("", ("account", "owner", "balance"), rows)


def show_log(run: Run, scenario: Scenario) -> None:
    """Print one payment's entries of the audit log, from all services."""
    transaction = run.cast.transaction(scenario)
    run.screen.part(f"The audit log of {transaction}")
    matches = find_payments(run.system, transaction, run.cast.user(scenario))
    if not run.expect(holds=len(matches) == 1, sentence=f"{len(matches)} payments {transaction}"):
        return
    payment_id = matches[0]["payment_id"]
    wanted = {"PAYMENT_REQUESTED", "RISK_ASSESSED", "OTP_CHALLENGED", "OTP_VERIFIED"}
    wanted |= {"PAYMENT_CONFIRMED", "SETTLEMENT_SETTLED", "NOTIFICATION_DELIVERED"}
    rows = until(
        lambda: run.system.rows(TIMELINE, payment_id=payment_id),
        lambda found: not wanted - {row["event"] for row in found},
        time.monotonic() + MESSAGE_WITHIN_S,
    )
    show_timeline(run.screen.console, rows)
    missing = sorted(wanted - {row["event"] for row in rows})
    run.expect(holds=not missing, sentence=f"the log lacks {', '.join(missing)}")
