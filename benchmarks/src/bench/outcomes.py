"""What has become of the payments of a run: by their events, and by the services' own checks.

Both are contracts of the services, so a change of a service's tables changes nothing here.
"""

from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from aiokafka import TopicPartition

from bench.system import System
from ops.clients.system import System as Owners
from ops.clients.topics import Span, reader, records_in, run_query
from payment_schemas.cloudevents import read_attributes
from payment_schemas.events.confirmation import PaymentConfirmed, PaymentDeclined
from payment_schemas.events.record import NotificationDelivered
from payment_schemas.events.risk import AssessmentRequested, RiskAssessed
from payment_schemas.events.settlement import SettlementRequested, SettlementUpdated
from service_runtime.clock import SystemClock

_STEPS = {
    AssessmentRequested.topic: "stored",
    RiskAssessed.topic: "scored",
    PaymentConfirmed.topic: "confirmed",
    PaymentDeclined.topic: "declined",
    SettlementRequested.topic: "requested",
}
_READ_WITHIN_S = 60

Spans = Mapping[TopicPartition, Span]


@dataclass(slots=True)
class PaymentOutcome:
    """The number of events of each kind about one payment."""

    payment_id: str = ""
    stored: int = 0
    scored: int = 0
    confirmed: int = 0
    declined: int = 0
    requested: int = 0
    """Requests to settle it."""
    settled: int = 0
    confirmed_at: datetime | None = None
    settled_at: datetime | None = None

    @property
    def settled_s(self) -> float | None:
        """Return the seconds from the confirmation to the settlement."""
        if self.confirmed_at is None or self.settled_at is None:
            return None
        return (self.settled_at - self.confirmed_at).total_seconds()


def payments_of(system: System, run: str, spans: Spans) -> dict[str, PaymentOutcome]:
    """Return the payments of a run by transaction, from the records in these spans."""
    found: dict[str, PaymentOutcome] = {}

    async def read() -> None:
        async for record in records_of(system, spans, {*_STEPS, SettlementUpdated.topic}):
            event = orjson.loads(record.value)
            name = event["transaction_id"]
            if name.rpartition("-")[0] == run:
                outcome = found.setdefault(name, PaymentOutcome(event["payment_id"]))
                _note(outcome, record, event)

    run_query(read(), system.found.brokers, _READ_WITHIN_S)
    return found


def _note(outcome: PaymentOutcome, record: Any, event: Mapping[str, Any]) -> None:
    if step := _STEPS.get(record.topic):
        setattr(outcome, step, getattr(outcome, step) + 1)
        if step == "confirmed":
            outcome.confirmed_at = _time_of(record)
        return
    if event["status"] == "SETTLED":
        outcome.settled += 1
        outcome.settled_at = _time_of(record)


def _time_of(record: Any) -> datetime:
    return read_attributes(record.headers)[1].time


async def records_of(
    system: System, spans: Spans, topics: Collection[str] | None = None
) -> AsyncIterator[Any]:
    """Yield the records of the spans, of these topics or of all."""
    async with reader(system.found.brokers) as consumer:
        wanted = {one: span for one, span in spans.items() if not topics or one.topic in topics}
        async for records in records_in(consumer, wanted):
            for record in records:
                yield record


def messages(system: System, spans: Spans) -> dict[str, int]:
    """Count the ended messages to customers by result; an `obsolete` one needed no sending."""
    results: Counter[str] = Counter()

    async def read() -> None:
        async for record in records_of(system, spans, {NotificationDelivered.topic}):
            event = orjson.loads(record.value)
            results["obsolete" if event.get("obsolete") else event["result"]] += 1

    run_query(read(), system.found.brokers, _READ_WITHIN_S)
    return dict(results)


def unfinished(system: System, *owners: str) -> int:
    """Count unfinished payments or messages at these services, up to a hundred each."""
    now = SystemClock().now()
    return sum(len(_check(system, owner, now)["unfinished"]) for owner in owners)


def violations(
    system: System, since: datetime, owners: Iterable[str] = ("confirm", "settlement")
) -> list[str]:
    """Return the violated invariants of ledger and settlement among the changes since then."""
    return [
        f"{owner}: {row['invariant']} {row['details']}"
        for owner in owners
        for row in _check(system, owner, since)["violations"]
    ]


def _check(system: System, owner: str, since: datetime) -> dict[str, Any]:
    query: dict[str, Any] = {"unfinished_after_s": 0} if owner == "confirm" else {}
    with Owners(system.addresses) as owners:
        found: dict[str, Any] = owners.get(owner, "/admin/check", since=since.isoformat(), **query)
    return found
