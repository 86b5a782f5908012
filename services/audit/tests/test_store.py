"""One contract for the memory twin and PostgreSQL."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4, uuid5

import pytest

from audit.domain import AUDITED, Origin, RawEvent, entry_of, is_raw
from audit.store import queries
from payment_schemas.events.confirmation import PaymentConfirmed, PaymentDeclined
from payment_schemas.events.otp import ChallengeRequested, CodesLockChanged
from payment_schemas.events.record import AuditRecorded, NotificationDelivered
from payment_schemas.events.risk import AssessmentRequested, RiskAssessed
from payment_schemas.events.settlement import SettlementRequested, SettlementUpdated
from service_runtime.admin import MOST_FINDINGS
from service_runtime.paging import START
from testkit.events import NOON, event_of


def entry(event, payment=None, seconds=0, **fields):
    """Return an entry whose event is this many seconds after noon."""
    instance = event_of(event, **({"payment_id": payment} if payment else {}), **fields)
    event_id = uuid5(payment or uuid4(), f"{event.__name__}{seconds}{fields}")
    return entry_of(
        instance, Origin(event_id, NOON + timedelta(seconds=seconds), event.topic, 1, seconds)
    )


def raw(event, payment=None, seconds=0, event_id=None, **fields):
    """Return an event as bytes, with its origin."""
    instance = event_of(event, **({"payment_id": payment} if payment else {}), **fields)
    origin = Origin(event_id or uuid4(), NOON + timedelta(seconds=seconds), event.topic, 1, seconds)
    return RawEvent(event, instance.payment_id, instance.model_dump_json().encode()), origin


VARIANTS = [
    *[(event, {}) for event in AUDITED if is_raw(event)],
    *[(SettlementUpdated, {"status": status}) for status in ("SENT", "REJECTED", "UNKNOWN")],
    *[(NotificationDelivered, {"result": result}) for result in ("refused", "expired")],
    *[(CodesLockChanged, {"is_locked": is_locked}) for is_locked in (True, False)],
]


@pytest.mark.parametrize(("event", "fields"), VARIANTS)
async def test_bytes_are_read_as_the_entry_of_their_event(log, event, fields):
    payment = uuid4()
    written, origin = raw(event, payment, **fields)

    await log.append_raw([(written, origin)])

    (stored,) = await log.timeline(payment)
    assert stored.entry == entry_of(event_of(event, payment_id=payment, **fields), origin)


async def test_bytes_and_columns_of_one_event_are_one_entry(log):
    payment = uuid4()
    written, origin = raw(RiskAssessed, payment)
    columns = entry_of(event_of(RiskAssessed, payment_id=payment), origin)

    await log.append([columns])
    await log.append_raw([(written, origin), (written, origin)])
    await log.append([columns])

    assert await names(log, payment) == ["RISK_ASSESSED"]


async def test_an_id_under_another_topic_keeps_no_entry_out(log):
    payment, event_id = uuid4(), uuid4()
    for event in (NotificationDelivered, RiskAssessed, PaymentConfirmed):
        await log.append_raw([raw(event, payment, event_id=event_id)])
        await log.append(
            [
                entry_of(
                    event_of(event, payment_id=payment), raw(event, payment, event_id=event_id)[1]
                )
            ]
        )

    assert len(await log.timeline(payment)) == 3


@pytest.mark.stack
@pytest.mark.parametrize("value", [b"\xff", b"[]", b"1", b'{"payment_id": 1}', b'"\\u0000"'])
async def test_bytes_that_are_no_event_stop_no_reader_and_are_a_violation(
    postgres_log, audit_tx, value
):
    payment = uuid4()
    written, origin = raw(RiskAssessed, payment)
    await postgres_log.append_raw([(replace(written, value=value), origin)])
    await postgres_log.append_raw([raw(AssessmentRequested, payment, version=1)])

    (page,) = await queries.timelines(audit_tx, START, 500)

    assert sorted(page["events"]) == ["PAYMENT_REQUESTED", "UNREADABLE"]
    assert ("I9", payment, "an entry is not readable") in await found(audit_tx)


async def names(log, payment):
    return [stored.entry.event for stored in await log.timeline(payment)]


async def test_an_appended_entry_is_read_back_unchanged(log):
    payment = uuid4()
    written = entry(PaymentConfirmed, payment)

    await log.append([written])

    (stored,) = await log.timeline(payment)
    assert stored.entry == written


async def test_a_timeline_is_ordered_by_time_and_then_by_arrival(log):
    payment = uuid4()
    await log.append(
        [
            entry(PaymentConfirmed, payment, seconds=2),
            entry(SettlementRequested, payment, seconds=2),
            entry(AssessmentRequested, payment, seconds=0),
        ]
    )
    await log.append([entry(RiskAssessed, payment, seconds=1)])

    assert await names(log, payment) == [
        "PAYMENT_REQUESTED",
        "RISK_ASSESSED",
        "PAYMENT_CONFIRMED",
        "SETTLEMENT_REQUESTED",
    ]


async def test_a_redelivered_event_is_logged_once(log):
    payment = uuid4()
    first = entry(AssessmentRequested, payment)
    await log.append([first, entry(RiskAssessed, payment, seconds=1), first])
    await log.append([replace(first, metadata={"version": 9}), first])

    entries = await log.timeline(payment)

    assert [stored.entry.event for stored in entries] == ["PAYMENT_REQUESTED", "RISK_ASSESSED"]
    assert entries[0].entry.metadata["version"] == 1


async def test_a_timeline_has_no_entries_of_other_payments(log):
    await log.append([entry(AssessmentRequested, uuid4())])

    assert await log.timeline(uuid4()) == []


@pytest.mark.stack
async def test_an_action_without_a_payment_is_in_no_timeline(postgres_log, audit_tx):
    await postgres_log.append([entry(AuditRecorded)])

    assert await queries.timelines(audit_tx, START, 500) == []


@pytest.mark.stack
async def test_timelines_are_paged_by_payment(postgres_log, audit_tx):
    payments = sorted(uuid4() for _ in range(5))
    for payment in payments:
        await postgres_log.append(
            [entry(AssessmentRequested, payment), entry(RiskAssessed, payment, 1)]
        )

    pages = [await queries.timelines(audit_tx, START, 2)]
    while pages[-1]:
        pages.append(await queries.timelines(audit_tx, pages[-1][-1]["payment_id"], 2))

    assert [one["payment_id"] for page in pages for one in page] == payments
    assert [len(page) for page in pages] == [2, 2, 1, 0]
    assert pages[0][0] == {
        "payment_id": payments[0],
        "events": ["PAYMENT_REQUESTED", "RISK_ASSESSED"],
        "versions": [1, None],
    }


LATER = timedelta(days=3650)


async def checked(tx, now=None):
    """Check all entries, long after the last of them."""
    return await queries.check(tx, NOON - LATER, now or datetime.now(UTC) + LATER)


async def found(tx, now=None):
    findings = await checked(tx, now)
    return [(one["invariant"], one["payment_id"], one["details"]) for one in findings.violations]


@pytest.mark.stack
async def test_a_settled_payment_has_no_findings(postgres_log, audit_tx):
    payment = uuid4()
    await postgres_log.append(
        [
            entry(AssessmentRequested, payment, version=1),
            entry(RiskAssessed, payment),
            entry(PaymentConfirmed, payment, version=2),
            entry(SettlementRequested, payment),
            entry(SettlementUpdated, payment, status="SENT", version=1),
            entry(SettlementUpdated, payment, status="SETTLED", version=2),
        ]
    )

    findings = await checked(audit_tx)

    assert (findings.violations, findings.unfinished) == ([], [])


@pytest.mark.parametrize(
    ("entries", "broken"),
    [
        (
            [
                (AssessmentRequested, {}),
                (RiskAssessed, {}),
                (SettlementRequested, {}),
                (PaymentConfirmed, {"version": 2}),
                (PaymentDeclined, {"version": 3}),
            ],
            ("I4", "confirmed and declined"),
        ),
        (
            [
                (AssessmentRequested, {}),
                (SettlementUpdated, {"status": "SETTLED"}),
                (SettlementUpdated, {"status": "REJECTED"}),
            ],
            ("I2", "settled and rejected"),
        ),
        (
            [(AssessmentRequested, {"version": 1}), (ChallengeRequested, {"version": 1})],
            ("I9", "version 1 has more than one row"),
        ),
        ([(RiskAssessed, {})], ("I9", "no entry of the first version")),
        (
            [
                (AssessmentRequested, {}),
                (PaymentConfirmed, {"version": 2}),
                (SettlementRequested, {}),
            ],
            ("I12", "confirmed without a risk result"),
        ),
        (
            [(AssessmentRequested, {}), (RiskAssessed, {}), (PaymentConfirmed, {"version": 2})],
            ("I9", "confirmed, and its settlement was not requested"),
        ),
    ],
)
@pytest.mark.stack
async def test_each_violation_names_its_invariant_and_payment(
    postgres_log, audit_tx, entries, broken
):
    payment = uuid4()
    await postgres_log.append([entry(event, payment, **fields) for event, fields in entries])

    assert await found(audit_tx) == [(broken[0], payment, broken[1])]


@pytest.mark.stack
async def test_a_payment_declined_at_once_needs_no_risk_request(postgres_log, audit_tx):
    await postgres_log.append([entry(PaymentDeclined, uuid4(), version=1)])

    assert await found(audit_tx) == []


@pytest.mark.stack
async def test_a_recent_payment_may_lack_entries(postgres_log, audit_tx):
    await postgres_log.append([entry(RiskAssessed, uuid4())])

    assert await found(audit_tx, now=NOON) == []


@pytest.mark.stack
async def test_a_check_since_a_time_skips_older_payments(postgres_log, audit_tx):
    await postgres_log.append([entry(RiskAssessed, uuid4())])
    now = datetime.now(UTC) + LATER

    findings = await queries.check(audit_tx, now - timedelta(hours=24), now)

    assert (findings.violations, findings.unfinished) == ([], [])


@pytest.mark.stack
async def test_a_whole_check_includes_the_oldest_payments(postgres_log, audit_tx):
    await postgres_log.append([entry(RiskAssessed, uuid4())])

    findings = await queries.check(audit_tx, queries.EVERYTHING, datetime.now(UTC) + LATER)

    assert [one["details"] for one in findings.violations] == ["no entry of the first version"]


@pytest.mark.stack
async def test_the_oldest_unfinished_payments_come_first(postgres_log, audit_tx):
    old, young, done = uuid4(), uuid4(), uuid4()
    await postgres_log.append(
        [
            entry(AssessmentRequested, young, seconds=30),
            entry(AssessmentRequested, old, seconds=0),
            entry(AssessmentRequested, done, seconds=10),
            entry(PaymentDeclined, done, seconds=20),
        ]
    )

    findings = await checked(audit_tx, now=NOON + timedelta(seconds=90))

    assert findings.unfinished == [
        {"payment_id": old, "age_s": 90},
        {"payment_id": young, "age_s": 60},
    ]


@pytest.mark.stack
async def test_the_number_of_findings_is_limited(postgres_log, audit_tx):
    await postgres_log.append([entry(RiskAssessed, UUID(int=number)) for number in range(1, 121)])

    findings = await checked(audit_tx)

    assert len(findings.violations) == len(findings.unfinished) == MOST_FINDINGS
