"""Invariants of replies, the audit log, codes, results and messages."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from simulated_clients import is_final
from simulated_names import LISTED, name_of, payer_name_of
from simulated_services import LIMITS, MAILED
from simulated_watcher import id_of, payments_of, tables_of

from audit.domain import AUDITED
from confirm.domain.events import status_changed
from confirm.domain.payment import Status
from notification.domain import delivery_id_of
from notification.store import TABLE
from otp.domain import State
from payment_schemas.events.confirmation import PaymentStatusChanged
from payment_schemas.events.otp import Challenged, ChallengeRefused, VerificationRequested
from payment_schemas.events.settlement import SettlementUpdated
from payment_schemas.invariants.rules import MOST_ATTEMPTS
from payment_schemas.invariants.timeline import STEPS
from payment_schemas.money import minor_units

if TYPE_CHECKING:
    from simulated_world import World

DAY_S = 86_400
_STEPS = {
    Status.AWAITING_RISK: "PAYMENT_REQUESTED",
    Status.CHALLENGING: "OTP_REQUESTED",
    Status.VERIFYING: "OTP_SUBMITTED",
    Status.CONFIRMED: "PAYMENT_CONFIRMED",
    Status.DECLINED: "PAYMENT_DECLINED",
}


def replays_are_identical(world: "World") -> Iterator[str]:
    """I7 all final responses of one key are the same, byte for byte."""
    bodies = defaultdict(set)
    for asked in world.edge.log.values():
        for answer in asked.answers:
            if is_final(answer):
                bodies[asked.order.user, asked.order.key].add((answer.status, answer.body))
    for key, told in bodies.items():
        if len(told) > 1:
            yield f"{key}: {sorted(told)}"
    stored = Counter((one.user_id, one.idempotency_key) for one in payments_of(world))
    for key, times in stored.items():
        if times > 1:
            yield f"{key}: {times} payments"


def the_owner_is_shown_the_state(world: "World") -> Iterator[str]:
    """I6 a payment's records of its status differ, and the highest sequence shows its state."""
    told = defaultdict(dict)
    for record in world.simulation.broker.records(PaymentStatusChanged.topic):
        event = PaymentStatusChanged.model_validate_json(record.value)
        known = told[event.payment_id].setdefault(event.sequence, event)
        if known != event:
            yield f"{event.transaction_id}: two records {event.sequence}: {known}, {event}"
    for payment in payments_of(world):
        by_sequence = told[payment.id]
        if not by_sequence or by_sequence[max(by_sequence)] != status_changed(payment):
            yield f"{payment.transaction_id}: shown {sorted(by_sequence)}, not {payment.sequence}"


def answers_are_true(world: "World") -> Iterator[str]:
    """I7 a final response matches the payment."""
    payments = {(one.user_id, one.idempotency_key): one for one in payments_of(world)}
    for asked in world.edge.log.values():
        payment = payments.get((asked.order.user, asked.order.key))
        for answer in filter(is_final, asked.answers):
            status = "SUCCESS" if payment and payment.status is Status.CONFIRMED else "DECLINED"
            if payment is None or json.loads(answer.body)["status"] != status:
                yield f"{asked.order.transaction}: told {answer.body}"


def every_step_is_audited(world: "World") -> Iterator[str]:
    """I9 one entry for each event and transition; entries are consistent."""
    entries = defaultdict(list)
    lines = tables_of(world, "audit")["audit_log"]
    for line in lines.values():
        entries[line.entry.payment_id].append(line.entry)
    for payment_id, steps in world.watcher.steps.items():
        written = {
            (entry.event, entry.metadata.get("version"))
            for entry in entries[payment_id]
            if entry.event in STEPS
        }
        for status, version in steps:
            name = _STEPS.get(status)
            if name and (name, version) not in written:
                yield f"{payment_id}: no entry of {name} {version}"
    records = [one for event in AUDITED for one in world.simulation.broker.records(event.topic)]
    ids = {(one.topic, id_of(one)) for one in records if id_of(one) is not None}
    if missing := ids - lines.keys():
        yield f"{len(missing)} events have no entry"


def no_sealed_code_is_logged(world: "World") -> Iterator[str]:
    """I11 no sealed code is in the bytes that the audit log stores."""
    broker = world.simulation.broker
    sealed = {
        json.loads(record.value)["sealed_code"].encode()
        for event in (Challenged, VerificationRequested)
        for record in broker.records(event.topic)
        if id_of(record) is not None
    }
    for place, value in tables_of(world, "audit")["audit_raw"].items():
        if any(code in value for code in sealed):
            yield f"{place}: stored with a sealed code"


def codes_are_bounded(world: "World") -> Iterator[str]:
    """I10 attempts, challenges and codes are limited; a code is accepted once, for its amount."""
    own = tables_of(world, "otp")
    yield from _attempts(own)
    yield from _beyond_a_users_limits(own)
    accepted = _accepted(own)
    accepted_now = sum(one.state is State.ACCEPTED for one in own["challenge"].values())
    if accepted_now != sum(accepted.values()):
        yield f"{accepted_now} challenges accepted, {sum(accepted.values())} verdicts"
    yield from _other_amounts(world)


def _accepted(own: Any) -> Counter[UUID]:
    valid = (one for one, kept in own["verification"].items() if kept.verdict.result == "valid")
    return Counter(question.payment_id for question in valid)


def _attempts(own: Any) -> Iterator[str]:
    counted = Counter(
        question.challenge_id
        for question, kept in own["verification"].items()
        if kept.verdict.counted
    )
    for name, times in counted.items():
        noted = own["challenge"][name].attempts
        if times > MOST_ATTEMPTS or noted != times:
            yield f"challenge {name}: {times} attempts, {noted} noted"


def _beyond_a_users_limits(own: Any) -> Iterator[str]:
    """Count for each user, over all payments, from the tables."""
    challenges = list(own["challenge"].values())
    for one in challenges:
        mine = [two for two in challenges if two.payment.user_id == one.payment.user_id]
        live = sum(_takes_codes_at(two, mine, own, one.issued_at) for two in mine)
        windows = {3600: LIMITS.an_hour, DAY_S: LIMITS.a_day}
        ages = [(one.issued_at - two.issued_at).total_seconds() for two in mine]
        made = {window: sum(0 <= age < window for age in ages) for window in windows}
        if live > LIMITS.live or any(made[name] > most for name, most in windows.items()):
            yield f"{one.payment.user_id}: {live} live, {made} in so many seconds"
    in_a_row = Counter[str]()
    for question, kept in own["verification"].items():
        if kept.verdict.counted:
            user = own["challenge"][question.challenge_id].payment.user_id
            in_a_row[user] = 0 if kept.verdict.result == "valid" else in_a_row[user] + 1
            if in_a_row[user] > LIMITS.wrong_in_a_row:
                yield f"{user}: {in_a_row[user]} wrong codes in a row"


def _takes_codes_at(challenge: Any, mine: list[Any], own: Any, time: datetime) -> bool:
    """Say whether a challenge accepted codes at a time: issued, and not ended or superseded."""
    payment_id = challenge.payment.payment_id
    successors = [one for one in mine if one.payment.payment_id == payment_id]
    ends = [one.issued_at for one in successors if one.number > challenge.number]
    ends += [
        kept.judged_at
        for question, kept in own["verification"].items()
        if question.challenge_id == challenge.id
        and kept.verdict.counted
        and kept.verdict.challenge_over
    ]
    return challenge.issued_at <= time < min([challenge.expires_at, *ends])


def refusals_of(world: "World") -> list[ChallengeRefused]:
    """Return otp's refusals."""
    records = world.simulation.broker.records(ChallengeRefused.topic)
    return [ChallengeRefused.model_validate_json(one.value) for one in records if id_of(one)]


def _other_amounts(world: "World") -> Iterator[str]:
    payments = {(one.user_id, one.idempotency_key): one for one in payments_of(world)}
    for asked in world.edge.log.values():
        payment = payments.get((asked.order.user, asked.order.key))
        amount = minor_units(Decimal(asked.order.amount), "USD")
        for answer in asked.answers:
            taken = answer.status in (200, 401)
            if payment and taken and amount != payment.amount_minor:
                yield f"{asked.order.transaction}: a code was compared for another amount"


def nothing_goes_unchecked(world: "World") -> Iterator[str]:
    """I12 confirmed only with the results of OFAC (of a name, too), KYC and rules, and a score."""
    for payment in payments_of(world):
        if payment.status is not Status.CONFIRMED:
            continue
        if not {payment.from_account, payment.to_account} <= world.outside.screened:
            yield f"{payment.transaction_id}: confirmed unscreened"
        if payment.user_id not in world.outside.verified:
            yield f"{payment.transaction_id}: confirmed without documents"
        if str(payment.id) not in world.outside.ruled:
            yield f"{payment.transaction_id}: confirmed without the rules"
        screened = world.outside.screened_names
        if name_of(payment.to_account) and (payment.id, payment.to_account) not in screened:
            yield f"{payment.transaction_id}: confirmed without its payee's name"
        is_screened = (payment.id, payment.from_account) in screened
        if not is_screened and payment.id not in world.outside.unnamed:
            yield f"{payment.transaction_id}: confirmed without its payer's name"
        if LISTED in (name_of(payment.to_account), payer_name_of(payment.id, world.outside.seed)):
            yield f"{payment.transaction_id}: confirmed with a listed party"


def each_outcome_has_its_message(world: "World") -> Iterator[str]:
    """I13 the provider has exactly one message for each outcome."""
    kept = world.outside.messenger.kept
    outcomes = set()
    for event in MAILED:
        for record in world.simulation.broker.records(event.topic):
            event_id = id_of(record)
            if event_id is None:
                continue
            fact = event.model_validate_json(record.value)
            if isinstance(fact, SettlementUpdated) and fact.status != "REJECTED":
                continue
            outcomes.add(delivery_id_of(event_id, "email"))
    mails = {name for name, message in kept.items() if message.subject}
    if outcomes - mails:
        yield f"{len(outcomes - mails)} outcomes have no message"
    if mails - outcomes:
        yield f"{len(mails - outcomes)} e-mails have no outcome"
    told = Counter((one.to.reveal(), one.subject, one.text.reveal()) for one in kept.values())
    for (_, subject, text), times in told.items():
        if subject and times > 1:
            yield f"{subject}: sent {times} times: {text!r}"


def messages_are_in_order(world: "World") -> Iterator[str]:
    """I13 a payment's messages are in order, and no code follows a later one.

    A process that paused for longer than its lease may have sent a message late.
    """
    if "Freeze" in world.simulation.story.met:
        return
    rows = tables_of(world, "notification")[TABLE]
    last: dict[UUID, tuple[int, int]] = {}
    shown: set[UUID] = set()
    for name in world.outside.messenger.given:
        row = rows[name]
        place = _ORDER.get(row.template, 0), row.challenge_number
        # The provider stores a repeated e-mail once; codes cannot be distinguished.
        if place[0] and (name not in shown or row.template == "code"):
            if place < last.get(row.payment_id, place):
                yield f"{row.transaction_id}: {row.template} after {last[row.payment_id]}"
            last[row.payment_id] = max(place, last.get(row.payment_id, place))
        shown.add(name)


_ORDER = {"code": 1, "confirmed": 2, "declined": 2, "returned": 3}
