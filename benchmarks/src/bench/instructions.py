"""Instructions of payments that nobody made: records under confirm's MAC, and their outcome."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

import orjson
import uvloop

from bench import meters
from bench.gate import Fault
from bench.measuring import GENERATOR
from bench.outcomes import Spans, records_of
from bench.system import System
from local_stack.waiting import wait_until
from ops.clients.topics import run_query
from payment_schemas.cloudevents import Attributes, headers_of, read_attributes
from payment_schemas.events.settlement import SettlementRequested, SettlementUpdated
from payment_schemas.ids import EventId, PaymentId, Uetr
from service_runtime.clock import SystemClock
from service_runtime.keys import KeyRing
from service_runtime.message_macs import MessageMacs
from service_runtime.messages import ProducerRecord
from service_runtime.producer import KafkaProducer
from testbed.edge import Edge

EMITTER, MAC_KEYS = "confirm", "mac-confirm-settlement"
SETTLED_WITHIN_S = 180
PUBLISHED_WITHIN_S = 30
_LISTED = 3
_READ_WITHIN_S = 60


@dataclass(frozen=True, slots=True)
class Bank:
    """A partner bank, the process that is it, and an account there."""

    partner: str
    process: str
    transport: str
    account: str


KAFKA = Bank("south-bank", "south_bank", "Kafka", "south-shop")
HTTP = Bank("north-bank", "partner_bank", "HTTP", "north-shop")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What settlement has published about instructions."""

    settled: Mapping[str, int]
    """UETR → events SETTLED."""
    ended_at: datetime
    """The time of the last one."""


@dataclass(frozen=True, slots=True)
class Passed:
    """Instructions that have gone through a bank."""

    bank: Bank
    uetrs: Sequence[str]
    outcome: Outcome
    seconds: float
    """From before the first record was published until the last instruction was SETTLED."""
    cpu_us: Mapping[str, float]
    """An instruction, by process."""

    @property
    def rate(self) -> float:
        """Return the instructions a second."""
        return len(self.uetrs) / self.seconds

    @property
    def cost_us(self) -> float:
        """Return the CPU of an instruction, without the generator's."""
        return sum(used for name, used in self.cpu_us.items() if name != GENERATOR)


def instructions_to(bank: Bank, count: int) -> list[SettlementRequested]:
    """Return new instructions."""
    now = SystemClock().now()
    return [
        SettlementRequested(
            payment_id=PaymentId(uuid4()),
            user_id="usr-bench",
            transaction_id=f"{bank.partner}-{number}",
            uetr=Uetr(uuid4()),
            amount_minor=10_00,
            currency="USD",
            debtor_account="bench-0001",
            creditor_account=bank.account,
            confirmed_at=now,
        )
        for number in range(count)
    ]


def publish(system: System, events: Iterable[SettlementRequested]) -> None:
    """Publish instructions as confirm does, and wait until the broker has all of them."""
    uvloop.run(_publish(system, map(_record_of, events)))


def _record_of(event: SettlementRequested) -> ProducerRecord:
    attributes = Attributes(EventId(uuid4()), SystemClock().now())
    headers = headers_of(event, attributes, EMITTER)
    value = event.model_dump_json().encode()
    return ProducerRecord(event.topic, event.key.encode(), value, headers, event.partition)


async def _publish(system: System, records: Iterable[ProducerRecord]) -> None:
    macs = MessageMacs()
    macs.add(KeyRing.of_file(system.stack.credentials.path(MAC_KEYS)), [SettlementRequested])
    async with KafkaProducer(system.found.brokers_as(EMITTER), "bench", macs) as producer:
        # In batches: a record by itself costs four times more, of the CPU that is measured.
        batches = await producer.build_batches([*records])
        await asyncio.gather(*[await batch.send() for batch in batches])


def wait_for(system: System, bank: Bank, settled: int) -> None:
    """Wait until settlement has settled that many at the bank since its start."""
    wait_until(
        lambda: meters.settled(system, bank.partner) >= settled,
        seconds=SETTLED_WITHIN_S,
        otherwise=f"{bank.partner} leaves instructions unsettled: read settlement's and its log",
        pause_s=1.0,
    )


def spans_now(system: System) -> Spans:
    """Return the spans of what settlement has published."""
    return meters.spans_of_topics(system, {SettlementUpdated.topic})


def outcome_of(system: System, before: Spans, count: int) -> Outcome:
    """Return what settlement has published since then, once that many are settled in it."""
    found: list[Outcome] = []

    def is_whole() -> bool:
        now = spans_now(system)
        found.append(_read(system, {one: (before[one][1], now[one][1]) for one in now}))
        return len(found[-1].settled) >= count

    otherwise = "settlement does not publish what it has settled: read its log"
    wait_until(is_whole, seconds=PUBLISHED_WITHIN_S, otherwise=otherwise, pause_s=0.5)
    return found[-1]


def _read(system: System, spans: Spans) -> Outcome:
    settled: Counter[str] = Counter()
    times: list[datetime] = []

    async def read() -> None:
        async for record in records_of(system, spans):
            event = orjson.loads(record.value)
            if event["status"] == "SETTLED":
                settled[event["uetr"]] += 1
                times.append(read_attributes(record.headers)[1].time)

    run_query(read(), system.found.brokers, _READ_WITHIN_S)
    return Outcome(settled, max(times, default=SystemClock().now()))


def books_of(system: System) -> Mapping[str, Sequence[str]]:
    """Return UETR → the banks that have booked it, a bank once for each booking."""

    async def read() -> list[dict[str, str]]:
        edge = Edge(system.found)
        try:
            return await edge.statement()
        finally:
            await edge.close()

    books = defaultdict(list)
    for entry in uvloop.run(read()):
        books[entry["uetr"]].append(entry["partner"])
    return books


def faults_of(passed: Passed, books: Mapping[str, Sequence[str]]) -> Iterator[Fault]:
    """Yield a fault for each promise that does not hold: settled once, booked once at its bank."""
    bank, settled = passed.bank.partner, passed.outcome.settled
    checks = {
        "settled once": [one for one in passed.uetrs if settled.get(one, 0) != 1],
        "booked once": [one for one in passed.uetrs if list(books.get(one, ())) != [bank]],
    }
    for promise, broken in checks.items():
        if broken:
            yield Fault(
                f"{bank}: {len(broken)} of {len(passed.uetrs)} are not {promise},"
                f" such as {', '.join(broken[:_LISTED])}",
                "read settlement's and the bank's log",
            )
