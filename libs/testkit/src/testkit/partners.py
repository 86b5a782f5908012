"""Keys, messages and Hypothesis strategies: what settlement and a partner bank send."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from partner_messages.keys import Keys, SigningKey
from partner_messages.messages import (
    Instruction,
    Party,
    Report,
    StatementEntry,
    StatementPage,
    Status,
)
from payment_schemas.money import DECIMALS, Money

NOON = datetime(2026, 3, 9, 12, 0, tzinfo=UTC)
OURS = SigningKey.of_seed("ours-1", bytes(range(32)))
THEIRS = SigningKey.of_seed("theirs-1", bytes(range(32, 64)))
KEYS = Keys.of([OURS.public()])
UETR = UUID("8a562c67-ca16-48ba-b074-65581be6f011")


def instruction(**fields: Any) -> Instruction:
    """Return an instruction with these fields."""
    given: dict[str, Any] = {
        "uetr": UETR,
        "end_to_end_id": "tx-1",
        "amount": "5200.00",
        "currency": "USD",
        "debtor": Party(account="acc-1", agent="countersign"),
        "creditor": Party(account="south-payee-1", agent="south-bank"),
        "requested_at": NOON,
    }
    return Instruction(**(given | fields))


def report(**fields: Any) -> Report:
    """Return a report of a booked transfer with these fields."""
    given: dict[str, Any] = {
        "uetr": UETR,
        "status": Status.ACCEPTED,
        "bank_reference": "B-1",
        "booked_at": NOON,
    }
    return Report(**(given | fields))


def entry(**fields: Any) -> StatementEntry:
    """Return an entry of a statement with these fields."""
    given: dict[str, Any] = {
        "uetr": UETR,
        "amount": "5200.00",
        "currency": "USD",
        "bank_reference": "B-1",
        "booked_at": NOON,
    }
    return StatementEntry(**(given | fields))


def page(*entries: StatementEntry, **fields: Any) -> StatementPage:
    """Return the only page of a statement, with these entries and fields."""
    given: dict[str, Any] = {
        "statement_id": "S-2026-03-09",
        "day": NOON.date(),
        "page": 1,
        "is_last": True,
    }
    return StatementPage(**(given | fields), entries=entries)


IDENTIFIERS = st.text("ABCXYZabcxyz0189._:-", min_size=1, max_size=64)
PARTNERS = st.text("abcxyz019-", min_size=3, max_size=32)
REFERENCES = st.text("ABCXYZabcxyz019_.:/-", min_size=1, max_size=35)
TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - Hypothesis adds the zone


@st.composite
def amounts(draw: st.DrawFn) -> dict[str, str]:
    """Draw an amount of any size and currency."""
    money = Money(
        draw(st.one_of(st.integers(1, 999), st.integers(1, 10**12 - 1))),
        draw(st.sampled_from(sorted(DECIMALS))),
    )
    return {"amount": money.major(), "currency": money.currency}


@st.composite
def instructions(draw: st.DrawFn) -> Instruction:
    """Draw any instruction."""
    requested_at = draw(TIMES)
    left = draw(st.none() | st.timedeltas(timedelta(seconds=1), timedelta(hours=23)))
    return Instruction(
        uetr=draw(st.uuids(version=4)),
        end_to_end_id=draw(IDENTIFIERS),
        debtor=Party(account=draw(IDENTIFIERS), agent=draw(PARTNERS)),
        creditor=Party(account=draw(IDENTIFIERS), agent=draw(PARTNERS)),
        requested_at=requested_at,
        expires_at=None if left is None else requested_at + left,
        **draw(amounts()),
    )


@st.composite
def reports(draw: st.DrawFn) -> Report:
    """Draw any report."""
    status = draw(st.sampled_from(Status))
    reason = st.text("ABCXYZ0189", min_size=4, max_size=4)
    return Report(
        uetr=draw(st.uuids(version=4)),
        status=status,
        reason=draw(
            {
                Status.ACCEPTED: st.none(),
                Status.PENDING: st.none() | reason,
                Status.REJECTED: reason,
            }[status]
        ),
        bank_reference=draw(st.none() | REFERENCES),
        booked_at=draw(st.none() | TIMES) if status is Status.ACCEPTED else None,
    )


@st.composite
def entries(draw: st.DrawFn) -> StatementEntry:
    """Draw any entry of a statement."""
    return StatementEntry(
        uetr=draw(st.uuids(version=4)),
        is_reversal=draw(st.booleans()),
        bank_reference=draw(REFERENCES),
        booked_at=draw(TIMES),
        **draw(amounts()),
    )


@st.composite
def pages(draw: st.DrawFn) -> StatementPage:
    """Draw any page of a statement."""
    return StatementPage(
        statement_id=draw(st.text("ABCXYZabc019._:-", min_size=1, max_size=35)),
        day=draw(st.dates()),
        page=draw(st.integers(1, 99_999)),
        is_last=draw(st.booleans()),
        entries=tuple(draw(st.lists(entries(), max_size=5))),
    )
