"""Bugs that the simulation must detect, planted from outside without code in the services.

Each is a patch that disables one mechanism within its context.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch
from uuid import uuid5

from simulated_services import STATE_TIMEOUT

from audit import handlers as audit_handlers
from confirm import handlers as confirm_handlers
from confirm.domain import requests as confirm_requests
from confirm.domain import results as confirm_results
from confirm.domain.decision import Decision as ConfirmDecision
from confirm.domain.ledger import release
from confirm.domain.payment import Payment
from confirm.store import MemoryPayments
from confirm.store import memory as confirm_memory
from double_entry.memory import MemoryLedger
from double_entry.rules import Ledger
from notification import handlers as notification_handlers
from otp.domain import Try, judge
from otp.domain import refusal as otp_refusal
from otp.handlers import issuing as otp_issuing
from otp.handlers.judging import VerificationBatch
from otp.store import Verification
from payment_schemas.events.base import PaymentEvent
from payment_schemas.ids import Uetr, payment_id_of
from risk.clients import LookUps, Match, look_ups
from service_runtime import consumer
from service_runtime.consumer import Consumer
from service_runtime.errors import Unavailable
from service_runtime.work import Worker
from settlement import domain as settlement_domain
from settlement import handlers as settlement
from settlement.domain import instruction as instruction_rules
from settlement.handlers import bank_reports
from settlement.handlers import instructions as instruction_handlers
from testkit.memory import MemoryTransaction
from testkit.simulation.database import SimulatedDatabase

GATHERED_S = 1.0
"""Delay of the dead letters, in seconds."""


@dataclass(frozen=True)
class Bug:
    """One bug: its patch, and the invariants of which one must detect it."""

    plant: Callable[[], Any]
    shown_by: frozenset[str]

    @property
    def name(self) -> str:
        return self.plant.__name__.replace("_", " ")


@contextmanager
def replaced(*changes: tuple[Any, str, Any]) -> Iterator[None]:
    """Replace attributes within the context."""
    with ExitStack() as stack:
        for target, name, value in changes:
            stack.enter_context(patch.object(target, name, value))
        yield


def offset_raised_before_the_effect():
    """The offsets are raised in a transaction of their own, before the one of the effect."""
    by_rule = Consumer._handle_events

    async def handle_events(self, handler, group, attempt):
        async def write(tx):
            records = [item.record for item in group.received]
            await tx.raise_offsets(self._name, records, are_handled=True)
            return ()

        await self._unit.record_dead_letters(write)
        await by_rule(self, handler, group, attempt)

    async def claim(_tx, _consumer, items, **_how):
        return list(items)

    return replaced((Consumer, "_handle_events", handle_events), (consumer, "_claim", claim))


def relay_by_position():
    """The sweep remembers its last id and never looks at lower ids."""

    async def claim_outbox(self, limit):
        volatile = self.__dict__.setdefault("position", {"last": 0})
        async with self.transaction() as tx:
            now = self._clock.now()
            outbox = tx.tables.outbox
            behind = sorted(name for name in outbox if name > volatile["last"])[:limit]
            volatile["last"] = max([volatile["last"], *behind])
            return [outbox[name][0] for name in behind if outbox[name][1] < now]

    return replaced((SimulatedDatabase, "claim_outbox", claim_outbox))


def keys_in_a_cache_only():
    """Known keys are only in a process's memory."""
    by_rule, by_constraint = confirm_memory._clash, MemoryPayments.open

    def clash(one, other):
        same_key = (one.user_id, one.idempotency_key) == (other.user_id, other.idempotency_key)
        return by_rule(replace(one, idempotency_key="") if same_key else one, other)

    async def lock_known(self, requests):
        cache = self._tx.life.__dict__.setdefault("keys", {})
        ids = {payment_id_of(one.user_id, one.transaction_id) for one in requests}
        ids |= {cache.get((one.user_id, one.idempotency_key)) for one in requests}
        return [one for name, one in sorted(self._payments.items()) if name in ids]

    async def open_payments(self, payments):
        await by_constraint(self, payments)
        cache = self._tx.life.__dict__.setdefault("keys", {})
        cache.update({(one.user_id, one.idempotency_key): one.id for one in payments})

    return replaced(
        (confirm_memory, "_clash", clash),
        (MemoryPayments, "lock_known", lock_known),
        (MemoryPayments, "open", open_payments),
    )


def new_uetr_on_retry():
    """A repeated transfer gets another UETR."""
    by_rule = settlement.send

    async def send(batch, bank, clock):
        renamed = [
            replace(item, row=replace(item.row, uetr=Uetr(uuid5(item.row.uetr, str(item.epoch)))))
            if item.row.tries
            else item
            for item in batch
        ]
        return await by_rule(replace(batch, items=renamed), bank, clock)

    return replaced((settlement, "send", send))


def hold_released_on_timeout():
    """A settlement with an unknown outcome releases the money."""
    by_rule = confirm_results.after_settlement

    def after_settlement(payment, update, now):
        decision = by_rule(payment, update, now)
        if update.status == "UNKNOWN" and decision.state is not payment:
            return ConfirmDecision(decision.state, transfer=release(decision.state))
        return decision

    def ledger_of(accounts):
        return Ledger(accounts, internal=("",))

    return replaced(
        (confirm_handlers, "after_settlement", after_settlement),
        (confirm_handlers, "ledger_of", ledger_of),
    )


def transfer_without_its_balances():
    """A transfer is inserted, and the balances stay."""
    return replaced((MemoryLedger, "_change_balances", lambda *_: None))


def not_found_taken_as_rejected():
    """NOT_FOUND is treated as a rejection."""
    by_rule = instruction_handlers.after_answer

    def after_answer(before, answer, now, policy):
        if answer.kind is settlement_domain.Kind.NOT_FOUND:
            answer = replace(answer, kind=settlement_domain.Kind.REJECTED)
        return by_rule(before, answer, now, policy)

    return replaced((instruction_handlers, "after_answer", after_answer))


def not_found_sent_again_to_anybody():
    """A bank that is not idempotent gets a transfer again after NOT_FOUND."""

    def not_found(instruction, now, _policy):
        return instruction_rules._send_again(instruction, now)

    return replaced(
        (instruction_rules, "_not_found", not_found), (settlement, "send_once", settlement.send)
    )


def report_believed_without_its_signature():
    """A bank's report counts, whoever has signed it."""
    return replaced((bank_reports, "verified", lambda *_record: None))


def no_epoch_guard():
    """A worker writes its result after its lease has ended."""

    return replaced((MemoryTransaction, "mine", lambda _self, _table, epochs: set(epochs)))


def leased_row_sent_twice():
    """A handed over row is sent after its lease, also at a bank that books a repeat."""

    def free_places(self):
        return self._work.slice_rows

    return replaced(
        (Worker, "_free_places", free_places), (Worker, "_is_late", lambda _self, _since: False)
    )


def dead_letter_after_offset():
    """The offset is raised over a bad record before its dead letter is recorded."""

    async def run(self, stopping):
        while not stopping.is_set():
            records = await self._source.poll(self.batch_records, consumer.POLL_S)
            self.late = []
            if records and await self._handle_all(records, stopping):
                self._source.done(records)
            await _record_late(self)

    async def handle(self, handler, group, attempt):
        if group.letters:
            self.late.append(consumer._DeadLetterWrite(self._name, group.letters))
            group.letters = ()
        await by_rule(self, handler, group, attempt)

    by_rule = Consumer._handle
    return replaced((Consumer, "run", run), (Consumer, "_handle", handle))


async def _record_late(reader):
    while reader.late:
        await asyncio.sleep(GATHERED_S)
        with suppress(Unavailable):
            await reader._unit.record_dead_letters(reader.late[0])
            del reader.late[0]


def code_not_bound_to_the_amount():
    """A correct code is valid for any amount."""
    by_rule = confirm_requests._same_request

    def same_request(payment, request):
        unbound = replace_amount(request) if request.code_tag is not None else request
        return by_rule(payment, unbound)

    def replace_amount(request):
        return request.model_copy(update={"amount": None})

    return replaced((confirm_requests, "_same_request", same_request))


def code_race():
    """Guesses of one batch are all compared with the state before the batch."""

    def judged(self, tried, now):
        question = tried.question
        challenge = self.challenges.get(question.challenge_id)
        matches = challenge is not None and self.codes.matches(challenge, tried.code)
        judgement = judge(challenge, Try(question.payment_id, matches, now), self.rules.attempts)
        self.new.append(Verification(question, judgement.verdict, now))
        return judgement.verdict

    return replaced((VerificationBatch, "_judged", judged))


def limits_of_a_payment_alone():
    """Challenges and wrong codes of a user's other payments do not count."""
    by_rule = VerificationBatch._count

    def count(self, tried, verdict, now):
        user, payment_id = self.users[tried.item.event.user_id], tried.question.payment_id
        if payment_id not in {one.payment_id for one in user.issued}:
            self.users[user.user_id] = replace(user, wrong_in_a_row=0)
        by_rule(self, tried, verdict, now)

    def refusal(user, payment_id, now, limits, *, reachable):
        mine = tuple(one for one in user.issued if one.payment_id == payment_id)
        return otp_refusal(replace(user, issued=mine), payment_id, now, limits, reachable=reachable)

    return replaced((otp_issuing, "refusal", refusal), (VerificationBatch, "_count", count))


def messages_out_of_order():
    """A due message is sent, independent of the payment's other messages."""
    return replaced((notification_handlers, "held_back", lambda *_: None))


def settlement_not_shown():
    """No status record is published when a payment's settlement has moved."""

    def looks_changed(before, after):
        return before is not None and before.public_status != after.public_status

    return replaced((confirm_handlers, "looks_changed", looks_changed))


def screening_fails_open():
    """A look-up without a response counts as clear."""

    async def looked_up(self, asked):
        accounts = {name for one in asked.values() for name in (one.from_account, one.to_account)}
        matches = dict(await self.sanctions.screen(accounts))
        statuses = dict(await self.identities.statuses({one.user_id for one in asked.values()}))
        clear = Match(hit=False, match_score=0, list_version="none")
        matches |= dict.fromkeys(accounts - matches.keys(), clear)
        return {
            name: look_ups._evidence(
                matches[one.from_account],
                matches[one.to_account],
                statuses.get(one.user_id, "verified"),
            )
            for name, one in asked.items()
        }

    return replaced((LookUps, "_looked_up", looked_up))


def rules_fail_open():
    """A payment without a ruling counts as allowed by every rule."""

    async def ruled(_self, rules, requests, evidence):
        asked = {str(requests[one].payment_id): (requests[one], evidence[one]) for one in evidence}
        await rules.check(asked)
        return evidence

    return replaced((LookUps, "_ruled", ruled))


def names_fail_open():
    """A payee whose name has no result counts as clear."""

    async def screened(self, payees):
        clear = Match(hit=False, match_score=0, list_version="none", by=("account", "name"))
        found = await self.sanctions.screen_names(payees) if payees else {}
        return dict.fromkeys([one.id for one in payees], clear) | dict(found)

    return replaced((LookUps, "_names", screened))


def payers_fail_open():
    """A payer of whose name there is no answer counts as one without a name."""

    def debtor(one, by_account, payers):
        return payers.get(str(one.payment_id)) or by_account.get(one.from_account)

    return replaced((look_ups, "_debtor", debtor))


def raw_audit_of_a_sealed_code():
    """Every event of a payment is stored as bytes, whatever its fields."""
    return replaced((audit_handlers, "is_raw", lambda event: issubclass(event, PaymentEvent)))


def commands_without_an_end():
    """A command is carried out after its deadline."""
    return replaced((confirm_handlers, "is_expired", lambda _request, _now: False))


def deadlines_with_grace():
    """An input after the deadline counts until the sweep."""

    def is_overdue(payment, now):
        return payment.due_at is not None and payment.due_at + STATE_TIMEOUT <= now

    return replaced((Payment, "is_overdue", is_overdue))


def _bug(plant: Callable[[], Any], shown_by: str) -> Bug:
    return Bug(plant, frozenset(shown_by.split()))


BUGS = (
    _bug(offset_raised_before_the_effect, "I5"),
    _bug(relay_by_position, "I5 I8"),
    _bug(keys_in_a_cache_only, "I7"),
    _bug(new_uetr_on_retry, "I2"),
    _bug(hold_released_on_timeout, "I3"),
    _bug(transfer_without_its_balances, "I3"),
    _bug(not_found_taken_as_rejected, "I2"),
    _bug(not_found_sent_again_to_anybody, "I2"),
    _bug(report_believed_without_its_signature, "I2 I3"),
    _bug(no_epoch_guard, "I4 I6 I9"),
    _bug(leased_row_sent_twice, "I2"),
    _bug(dead_letter_after_offset, "I5"),
    _bug(code_not_bound_to_the_amount, "I10"),
    _bug(code_race, "I10"),
    _bug(limits_of_a_payment_alone, "I10"),
    _bug(messages_out_of_order, "I13"),
    _bug(settlement_not_shown, "I6"),
    _bug(screening_fails_open, "I12"),
    _bug(rules_fail_open, "I12"),
    _bug(names_fail_open, "I12"),
    _bug(payers_fail_open, "I12"),
    _bug(raw_audit_of_a_sealed_code, "I11"),
    _bug(commands_without_an_end, "I14"),
    _bug(deadlines_with_grace, "I14"),
)
