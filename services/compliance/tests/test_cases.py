"""Deadlines, states, business days, and what a draft says. No server."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compliance.domain.cases import (
    Case,
    CaseError,
    assigned,
    case_id_of,
    check_closable,
    ctr_due_on,
    escalated,
    open_case,
    sar_due_on,
    without_suspect,
)
from compliance.domain.cash import business_day, holidays, is_reportable
from compliance.domain.filings import DEMONSTRATION, EvidencePayment, Filing, ctr_of, sar_of

ZONE = ZoneInfo("America/New_York")
DAY = date(2026, 11, 30)
CASE = Case(
    id=UUID(int=7),
    kind="SAR",
    user_id="usr-1",
    detected_at=datetime(2026, 11, 30, 12, tzinfo=UTC),
    due_on=date(2026, 12, 30),
    opened_at=datetime(2026, 11, 30, 12, tzinfo=UTC),
)
CASH = replace(CASE, kind="CTR", business_day=DAY)


def payment(number, cents, **fields):
    at = datetime(2026, 11, 30, 15, tzinfo=UTC)
    return EvidencePayment(payment_id=UUID(int=number), at=at, amount_usd_minor=cents, **fields)


def parsed(document):
    return ET.fromstring(document)  # noqa: S314 - our own


def texts(document, name):
    return [one.text for one in parsed(document).iter(f"{{www.fincen.gov/base}}{name}")]


def test_a_sar_is_due_after_30_days_and_after_60_without_a_suspect():
    assert sar_due_on(DAY, suspect_known=True) == date(2026, 12, 30)
    assert sar_due_on(DAY, suspect_known=False) == date(2027, 1, 29)
    assert ctr_due_on(DAY) == date(2026, 12, 15)
    assert without_suspect(CASE, DAY, suspect_known=False) == date(2027, 1, 29)
    with pytest.raises(CaseError, match="only a SAR has a suspect"):
        without_suspect(CASH, DAY, suspect_known=False)


@pytest.mark.parametrize(
    ("before", "after_assignment", "after_escalation"),
    [
        ("OPEN", "ASSIGNED", "ESCALATED"),
        ("ASSIGNED", "ASSIGNED", "ESCALATED"),
        ("ESCALATED", "ESCALATED", None),
        ("CLOSED", None, None),
    ],
)
def test_a_case_takes_these_steps_and_no_others(before, after_assignment, after_escalation):
    case = replace(CASE, state=before)
    for step, expected in ((assigned, after_assignment), (escalated, after_escalation)):
        if expected is None:
            with pytest.raises(CaseError, match="it is"):
                step(case)
        else:
            assert step(case) == expected


def test_a_case_ends_once_it_is_assigned_and_its_business_day_is_over():
    check_closable(replace(CASE, state="ASSIGNED"), DAY)
    check_closable(replace(CASH, state="ESCALATED"), DAY + timedelta(days=1))
    with pytest.raises(CaseError, match="assign it first"):
        check_closable(CASE, DAY)
    with pytest.raises(CaseError, match="is not over"):
        check_closable(replace(CASH, state="ASSIGNED"), DAY)
    with pytest.raises(CaseError, match="closed"):
        open_case(replace(CASE, state="CLOSED"))


def test_the_same_payment_opens_the_same_case_of_a_kind():
    assert case_id_of("SAR", UUID(int=1)) == case_id_of("SAR", UUID(int=1))
    assert case_id_of("SAR", UUID(int=1)) != case_id_of("CTR", UUID(int=1))


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        ("2026-12-01T04:59:59Z", date(2026, 11, 30)),
        ("2026-12-01T05:00:00Z", date(2026, 12, 1)),
        ("2026-12-01T23:59:59Z", date(2026, 12, 1)),
        ("2026-07-01T03:59:59Z", date(2026, 6, 30)),
        ("2026-12-05T12:00:00Z", date(2026, 12, 7)),
        ("2026-12-06T12:00:00Z", date(2026, 12, 7)),
        ("2026-11-26T17:00:00Z", date(2026, 11, 27)),
        ("2022-12-24T12:00:00Z", date(2022, 12, 27)),
    ],
    ids=[
        "before midnight in New York", "at midnight in New York", "after midnight in UTC",
        "in summer", "Saturday", "Sunday", "Thanksgiving", "Christmas on a Sunday",
    ],
)  # fmt: skip
def test_cash_counts_for_the_banks_business_day(moment, day):
    assert business_day(datetime.fromisoformat(moment), ZONE) == day


def test_the_holidays_of_2026_are_those_of_the_federal_reserve():
    # frbservices.org, holiday schedule; Independence Day is a Saturday, and kept on no other day.
    assert sorted(holidays(2026)) == [
        date(2026, 1, 1), date(2026, 1, 19), date(2026, 2, 16), date(2026, 5, 25),
        date(2026, 6, 19), date(2026, 7, 4), date(2026, 9, 7), date(2026, 10, 12),
        date(2026, 11, 11), date(2026, 11, 26), date(2026, 12, 25),
    ]  # fmt: skip


@given(st.datetimes(datetime(2000, 1, 1), datetime(2099, 1, 1)))  # noqa: DTZ001 - made aware
def test_a_business_day_is_never_before_the_day_and_never_free(moment):
    local = moment.replace(tzinfo=ZONE)
    day = business_day(local, ZONE)
    assert timedelta(0) <= day - local.date() <= timedelta(days=4)
    assert day.weekday() < 5
    assert day not in holidays(day.year)


def test_cash_is_reported_above_ten_thousand_dollars():
    assert [is_reportable(one) for one in (10_000_00, 10_000_01)] == [False, True]


@pytest.mark.parametrize(
    ("cents", "dollars"), [([1_000_001], "10001"), ([600_000, 400_050], "10001"), ([1], "1")]
)
def test_amounts_are_whole_dollars_rounded_up(cents, dollars):
    payments = [payment(number, one) for number, one in enumerate(cents)]
    sar = sar_of([Filing(CASE, payments, [], DAY, ZONE)], DEMONSTRATION)
    ctr = ctr_of([Filing(CASH, payments, [], DAY, ZONE)], DEMONSTRATION)
    assert texts(sar, "TotalSuspiciousAmountText") == [dollars]
    assert texts(ctr, "TotalCashInReceiveAmountText") == [dollars]
    assert parsed(ctr).get("TotalAmount") == dollars


def test_a_ctr_names_each_branch_with_its_cash_and_marks_what_is_aggregated():
    payments = [
        payment(1, 600_000, account="acc-1", branch="north"),
        payment(2, 500_050, account="acc-1", branch="south"),
    ]
    ctr = ctr_of([Filing(CASH, payments, [], DAY, ZONE)], DEMONSTRATION)
    assert texts(ctr, "IndividualEntityCashInAmountText") == ["6000", "5001", "11001"]
    assert texts(ctr, "AggregateTransactionIndicator") == ["Y"]
    assert texts(ctr, "TransactionDateText") == ["20261130"]
    assert texts(ctr, "AccountNumberText") == ["acc-1"]
    assert {"north", "south"} <= set(texts(ctr, "PartyIdentificationNumberText"))
    assert texts(ctr, "InitialReportIndicator") == ["Y"]
    amended = replace(CASH, amends=UUID(int=1))
    again = ctr_of([Filing(amended, payments, [], DAY, ZONE)], DEMONSTRATION)
    assert texts(again, "CorrectsAmendsPriorReportIndicator") == ["Y"]


def test_a_sar_tells_what_is_known_and_says_what_is_not():
    payments = [
        payment(1, 900_000, account="acc-1", payee="acc-9", score=95, reasons=["risk", "rule"]),
        replace(payment(2, None, reasons=["amount"]), at=datetime(2026, 12, 2, 3, tzinfo=UTC)),
    ]
    sar = sar_of([Filing(CASE, payments, ["Paid\nby a\x00 friend"], DAY, ZONE)], DEMONSTRATION)
    (narrative,) = texts(sar, "ActivityNarrativeText")
    assert narrative.startswith("DRAFT. Case 00000000-0000-0000-0000-000000000007, customer usr-1")
    assert "Paid by a friend" in narrative
    assert "USD 9000.00, from acc-1 to acc-9, score 95, reasons risk, rule." in narrative
    assert "amount unknown, from unknown to unknown" in narrative
    assert texts(sar, "SuspiciousActivitySubtypeID") == ["805", "812"]
    assert texts(sar, "SuspiciousActivityFromDateText") == ["20261130"]
    assert texts(sar, "SuspiciousActivityToDateText") == ["20261201"]
    assert texts(sar, "TINUnknownIndicator") == ["Y"]


def test_a_narrative_has_five_blocks_at_most():
    notes = ["x" * 3999 for _ in range(8)]
    sar = sar_of([Filing(CASE, [payment(1, 1)], notes, DAY, ZONE)], DEMONSTRATION)
    blocks = texts(sar, "ActivityNarrativeText")
    assert len(blocks) == 5
    assert max(map(len, blocks)) <= 4000


def test_an_account_that_the_form_has_no_room_for_is_left_out_whole():
    payments = [payment(1, 1, account="a" * 41), payment(2, 1, account="a" * 40)]
    for document in (
        sar_of([Filing(CASE, payments, [], DAY, ZONE)], DEMONSTRATION),
        ctr_of([Filing(CASH, payments, [], DAY, ZONE)], DEMONSTRATION),
    ):
        assert texts(document, "AccountNumberText") == ["a" * 40]
