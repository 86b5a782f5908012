"""Drafts of reports to FinCEN, by the hundred, against the schemas in CONFORMANCE_DATA."""

import os
import sys
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from compliance.domain.cases import Case
from compliance.domain.filings import (
    DEMONSTRATION,
    EvidencePayment,
    Filer,
    Filing,
    ctr_of,
    sar_of,
)

DRAFTS = 500
SCHEMAS = {"SAR": "EFL_SARXBatchSchema.xsd", "CTR": "EFL_CTRXBatchSchema.xsd"}
MADE = {"SAR": sar_of, "CTR": ctr_of}
ZONE = ZoneInfo("America/New_York")
CASE_ID = UUID(int=7)
NAME = "{www.fincen.gov/base}"
IDS = st.from_regex(r"[A-Za-z0-9._:\-]{1,64}", fullmatch=True)
ODD = st.text(
    st.characters(exclude_categories=["Cs"])
    | st.sampled_from("&<>\"'\n\t\r \x00\x0b]]>ßéñ漢字عربى🏦\u00a0\u200d\u202e\ufffe"),
    min_size=1,
    max_size=300,
)
TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2099, 1, 1)).map(  # noqa: DTZ001 - made aware
    lambda one: one.replace(tzinfo=UTC)
)
PAYMENTS = st.builds(
    EvidencePayment,
    payment_id=st.uuids(),
    transaction_id=st.none() | IDS,
    at=TIMES,
    account=st.none() | IDS,
    payee=st.none() | IDS,
    amount_usd_minor=st.none() | st.integers(1, 10**12),
    branch=st.none() | IDS,
    score=st.none() | st.integers(0, 100),
    reasons=st.lists(st.sampled_from(["amount", "risk", "rule", "cash"]), unique=True),
)
FILERS = st.builds(
    Filer,
    name=ODD.map(lambda one: f"Bank {one}"),
    ein=st.from_regex(r"[0-9]{9}", fullmatch=True),
    transmitter_code=st.from_regex(r"P[A-Z0-9]{7}", fullmatch=True),
    regulator=st.sampled_from("1234679"),
    street=ODD.map(lambda one: f"1 {one}"),
    city=ODD.map(lambda one: f"X{one}"),
    state=st.sampled_from(["VA", "NY"]),
    zip_code=st.from_regex(r"[0-9]{5}([0-9]{4})?", fullmatch=True),
    phone=st.from_regex(r"[0-9]{10}", fullmatch=True),
    contact=ODD.map(lambda one: f"Office {one}"),
)


@st.composite
def filings(draw: st.DrawFn, kind: str) -> Filing:
    detected_at = draw(TIMES)
    case = Case(
        id=draw(st.uuids()),
        kind=kind,
        user_id=draw(st.text(min_size=1, max_size=128)),
        business_day=detected_at.date() if kind == "CTR" else None,
        detected_at=detected_at,
        suspect_known=draw(st.booleans()),
        due_on=detected_at.date() + timedelta(days=30),
        amends=draw(st.none() | st.uuids()),
        opened_at=detected_at,
    )
    payments = draw(st.lists(PAYMENTS, min_size=1, max_size=8))
    notes = draw(st.lists(ODD | ODD.map(lambda one: one * 100), max_size=3))
    return Filing(case, payments, notes, draw(TIMES).date(), ZONE)


@cache
def schema_of(kind: str) -> etree.XMLSchema:
    folder = Path(os.environ["CONFORMANCE_DATA"]) / "fincen"
    return etree.XMLSchema(file=str(folder / SCHEMAS[kind]))


def faults_of(kind: str, document: bytes) -> list[str]:
    schema = schema_of(kind)
    schema.validate(etree.fromstring(document))
    return [f"{one.line}: {one.message}" for one in schema.error_log]


@pytest.mark.parametrize("kind", ["SAR", "CTR"])
def test_every_draft_is_valid(kind):
    found: Counter[str] = Counter()

    @settings(max_examples=DRAFTS, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(filings(kind), min_size=1, max_size=3), FILERS)
    def drafted(cases, filer):
        faults = faults_of(kind, MADE[kind](cases, filer))
        found["drafts"] += 1
        found["valid"] += not faults
        assert faults == []

    try:
        drafted()
    finally:
        share = Decimal(100 * found["valid"]) / max(1, found["drafts"])
        sys.stdout.write(f"{kind}: {found['drafts']} drafts, {share:.1f} % valid\n")
    assert found["drafts"] >= DRAFTS
    assert found["valid"] == found["drafts"]


@pytest.mark.parametrize("kind", ["SAR", "CTR"])
def test_the_schema_refuses_what_a_draft_must_not_be(kind):
    at = datetime(2026, 11, 30, 12, tzinfo=UTC)
    payment = EvidencePayment(payment_id=CASE_ID, at=at)
    case = Case(
        id=CASE_ID, kind=kind, user_id="usr-1", detected_at=at, due_on=date(2026, 12, 30),
        business_day=at.date() if kind == "CTR" else None, opened_at=at,
    )  # fmt: skip
    document = MADE[kind]([Filing(case, [payment], [], at.date(), ZONE)], DEMONSTRATION)
    assert faults_of(kind, document) == []
    for part in (f"{NAME}FormTypeCode", f"{NAME}Activity/{NAME}FilingDateText"):
        broken = etree.fromstring(document)
        broken.find(part).text = "x"
        assert faults_of(kind, etree.tostring(broken))
