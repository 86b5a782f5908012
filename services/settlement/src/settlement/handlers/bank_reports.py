"""Reports of partner banks on Kafka: checked by signature, schema and UETR, then applied."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from partner_messages.errors import BadSignature, Malformed
from partner_messages.formats import format_of
from partner_messages.keys import Keys
from partner_messages.messages import Report, StatementEntry, StatementPage, reports_topic
from partner_messages.records import verified
from service_runtime.errors import Rejected
from service_runtime.logs import Log
from service_runtime.messages import Batch, Cause, Events, Received
from settlement.domain import BankResponse, Instruction, Kind
from settlement.domain.partners import KafkaPartner, after_report, is_published
from settlement.domain.reconciliation import SERVICE, Case
from settlement.domain.statements import Reading
from settlement.domain.statements import StatementEntry as Entry
from settlement.handlers.reconciliation import Report as ComparisonReport
from settlement.handlers.reconciliation import audit_step, compare
from settlement.handlers.steps import Steps
from settlement.store import Instructions, Page

TOPICS = r"settlement\.reports\.[a-z0-9-]{3,32}\.v1"
"""The pattern of the topics of reports."""

BankMessage = Report | StatementPage

_log = Log("settlement")


class ReportRefused(Rejected):
    """A bank's message that changes nothing; `reason` is a stable word for its dead letter."""

    def __init__(self, reason: str, details: str = "") -> None:
        super().__init__(f"{reason}: {details}" if details else reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class _Read:
    """A message whose signature and schema are right."""

    message: BankMessage
    profile: KafkaPartner
    cause: Cause


async def on_bank_reports(batch: Batch[Received[Any]], instructions: Instructions) -> Events:
    """Apply banks' reports; raise ReportRefused for the first that must change nothing."""
    profiles = await instructions.partners.profiles()
    senders = {_partner_of(item.record.topic) for item in batch} & profiles.keys()
    keys = {name: Keys.of_jwks(dict(profiles[name].keys)) for name in senders}
    read = [_read(item, profiles, keys, batch.now) for item in batch]
    booked = await _apply_statements(read, instructions, batch.now)
    return [*booked, *await _apply_reports(read, instructions, batch.now)]


async def _apply_statements(
    read: Sequence[_Read], instructions: Instructions, now: datetime
) -> Events:
    """Store the bookings of statements' pages, and compare them with the instructions."""
    cases, moved = instructions.cases, list[Case]()
    for one in read:
        if not isinstance(page := one.message, StatementPage):
            continue
        partner, day = one.profile.partner, page.day
        if day > now.date():
            raise ReportRefused("schema", "day: is not over yet")
        if bookings := Reading(partner, day).bookings(map(_entry, page.entries)):
            moved += await compare(ComparisonReport(partner, day), bookings, cases)
        received = Page(partner, day, page.statement_id, page.page, page.is_last)
        await cases.add_page(received, now)
        place = f"{day} page {page.page}{', the last' if page.is_last else ''}"
        _log.info(
            "statement_page", topic=reports_topic(partner), reason=place, count=len(page.entries)
        )
    return [audit_step(case, SERVICE) for case in moved]


async def _apply_reports(
    read: Sequence[_Read], instructions: Instructions, now: datetime
) -> Events:
    reports = [(one, one.message) for one in read if isinstance(one.message, Report)]
    known = await instructions.lock(report.uetr for _, report in reports)
    states, steps = {uetr: one.instruction for uetr, one in known.items()}, Steps(now)
    for one, report in reports:
        before = _instruction_of(report, one.profile, states)
        response = _response(report)
        decision = after_report(before, response, now, one.profile.policy)
        # A bank chooses its own ids: two reports with one id are still two steps. A bank without
        # tracing does not end the trace of the payment.
        trace = one.cause.trace or known[before.uetr].trace
        cause = Cause(before.payment_id, trace, f"report-{decision.state.version}")
        steps.answer(before, decision, response, cause)
        states[before.uetr] = decision.state
    changed = [row for uetr, row in states.items() if row is not known[uetr].instruction]
    await instructions.save_reported(changed)
    return await steps.finish(instructions)


def _read(
    item: Received[Any],
    profiles: Mapping[str, KafkaPartner],
    keys: Mapping[str, Keys],
    now: datetime,
) -> _Read:
    """Check the signature, then the schema."""
    record, partner = item.record, _partner_of(item.record.topic)
    profile = profiles.get(partner)
    if profile is None:
        raise ReportRefused("unknown_partner")
    try:
        verified(record.topic, record.headers, record.value, keys[partner], now)
        message = _decoded(item.event, record.value or b"", profile)
    except BadSignature as error:
        raise ReportRefused(f"signature_{error.reason}", error.details) from None
    except Malformed as error:
        raise ReportRefused("schema", str(error)) from None
    return _Read(message, profile, item.cause)


def _partner_of(topic: str) -> str:
    """Return the partner of a topic that matches TOPICS."""
    return topic.split(".")[2]


def _decoded(ce_type: str, value: bytes, profile: KafkaPartner) -> BankMessage:
    form = format_of(profile.format)
    match ce_type:
        case Report.ce_type:
            return form.decode_report(value)
        case StatementPage.ce_type:
            return form.decode_statement(value)
        case _:
            raise ReportRefused("type")


def _instruction_of(
    report: Report, profile: KafkaPartner, states: Mapping[UUID, Instruction]
) -> Instruction:
    """Return the instruction that a report is about; it must be one that this bank was sent."""
    row = states.get(report.uetr)
    if row is None:
        raise ReportRefused("unknown_uetr")
    if row.partner != profile.partner:
        raise ReportRefused("other_partner")
    if not is_published(row):
        raise ReportRefused("unknown_uetr", "not published yet")
    return row


def _entry(entry: StatementEntry) -> Entry:
    return Entry(entry.uetr, entry.money, entry.is_reversal, entry.bank_reference, entry.booked_at)


def _response(report: Report) -> BankResponse:
    return BankResponse(Kind(report.status.value), report.reason, report.bank_reference)
