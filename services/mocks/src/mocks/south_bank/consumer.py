"""The bank's client of Kafka: instructions in, reports and statements out.

The booking is on the disk before its report is sent, and Kafka's offset is committed last. After a
crash the instructions come again: the book knows them, and the same outcome is reported.
"""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.errors import KafkaError

from mocks.faults import Faults
from mocks.partner_bank.ledger import SLICE_ROWS, BankLedger, Busy, Conflict, Span
from mocks.partner_bank.transfers import Transfer, accept
from mocks.settings import SouthBankSettings
from mocks.south_bank.answers import order_of, page_of, refusal_of, report_of
from mocks.south_bank.disorder import in_disorder
from partner_messages.errors import BadSignature, Malformed
from partner_messages.formats import format_of
from partner_messages.keys import Keys, SigningKey
from partner_messages.messages import (
    Instruction,
    Report,
    StatementPage,
    instructions_topic,
    reports_topic,
)
from partner_messages.records import Attributes, signed_headers, verified
from service_runtime import tracing
from service_runtime.clock import Clock
from service_runtime.errors import ServiceError
from service_runtime.http_client import HttpClient
from service_runtime.logs import Log
from service_runtime.messages import ProducerRecord
from service_runtime.producer import KafkaProducer

PARTNER = "south-bank"
RECORDS = 200
"""Instructions that are booked in one transaction."""
POLL_MS = 100
FETCH_BYTES, FETCH_WAIT_MS = 256 * 1024, 50
"""What the broker waits for, and how long: few large batches cost less than many small ones."""
AGAIN_S = 1.0
KEYS_EVERY = timedelta(seconds=30)
STATEMENTS_EVERY = timedelta(hours=1)
_FORMAT = format_of("json")
_log = Log("south_bank")
Trace = tuple[tuple[str, str], ...]


@dataclass
class Countersign:
    """The public keys of Countersign, read again every 30 s; while that fails, the last ones."""

    client: HttpClient
    keys: Keys | None = None
    read_at: datetime | None = None

    async def keys_at(self, now: datetime) -> Keys:
        """Return the keys. Raises ServiceError or Malformed where they were never read."""
        if self.read_at is None or self.keys is None or now - self.read_at > KEYS_EVERY:
            try:
                self.keys = Keys.of_jwks((await self.client.get("")).body)
            except (ServiceError, Malformed):
                if self.keys is None:
                    raise
            self.read_at = now
        return self.keys


@dataclass
class Consumer:
    """Reads, books and reports until the process stops; begins again where Kafka fails."""

    settings: SouthBankSettings
    ledger: BankLedger
    countersign: Countersign
    clock: Clock
    faults: Faults = field(default_factory=Faults)
    waiting: dict[str, tuple[datetime, Trace]] = field(default_factory=dict)
    """UETR → when a pending transfer is booked. A crash forgets them; an enquiry asks again."""
    stated_at: datetime | None = None

    def __post_init__(self) -> None:
        ring = self.settings.partner_key
        self._key = SigningKey.of_seed(ring.current.id, ring.current.material)

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until the process stops. Topic and login may be made later."""
        while not stopping.is_set():
            try:
                await self._connected(stopping)
            except (KafkaError, OSError, ServiceError, Malformed, Busy) as error:
                _log.warning("bank_waits", error_class=type(error).__qualname__)
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), AGAIN_S)

    async def _connected(self, stopping: asyncio.Event) -> None:
        consumer = AIOKafkaConsumer(
            instructions_topic(PARTNER),
            group_id=f"partner-{PARTNER}.main",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=6000,
            fetch_min_bytes=FETCH_BYTES,
            fetch_max_wait_ms=FETCH_WAIT_MS,
            **self.settings.brokers.arguments,
        )
        async with AsyncExitStack() as undo:
            # A client that cannot start must be stopped, too.
            undo.push_async_callback(consumer.stop)
            await consumer.start()
            producer = await undo.enter_async_context(
                KafkaProducer(self.settings.brokers, f"partner-{PARTNER}")
            )
            while not stopping.is_set():
                found = await consumer.getmany(timeout_ms=POLL_MS, max_records=RECORDS)
                records = [record for several in found.values() for record in several]
                await _publish(producer, await self.answer(records))
                if records:
                    await consumer.commit()

    async def answer(self, records: Sequence[ConsumerRecord]) -> list[ProducerRecord]:
        """Book instructions; return the records that the bank publishes now."""
        now = self.clock.now()
        keys = await self.countersign.keys_at(now)
        taken = [one for record in records if (one := _read(record, keys, now))]
        reports = [*await self._book(taken, now), *await self._end_reviews(now)]
        outgoing = [self._reported(*one) for one in in_disorder(reports, self.faults)]
        if self.stated_at is None or now - self.stated_at > STATEMENTS_EVERY:
            outgoing += [self._stated(page) for page in await self._statements(now)]
            self.stated_at = now
        return outgoing

    async def _book(
        self, taken: Iterable[tuple[Instruction, Trace]], now: datetime
    ) -> list[tuple[Report, Trace]]:
        """Book new transfers in one transaction; return a report for each instruction."""
        reports, orders = [], {}
        for instruction, trace in taken:
            if refused := refusal_of(instruction, now):
                reports.append((refused, trace))
            else:
                orders[order_of(instruction)] = trace
        late = timedelta(seconds=self.settings.partner_late_s)
        transfers = [accept(PARTNER, order, now, late) for order in orders]
        traces = {order.uetr: trace for order, trace in orders.items()}
        for transfer in await self._insert(transfers):
            trace = traces[transfer.order.uetr]
            reports.append((report_of(transfer, now), trace))
            if transfer.booked_at is not None and transfer.booked_at > now:
                self.waiting[transfer.order.uetr] = transfer.booked_at, trace
        return reports

    async def _insert(self, transfers: list[Transfer]) -> list[Transfer]:
        """Insert transfers in one transaction, without those whose UETR is another transfer's."""
        while transfers:
            try:
                return await self.ledger.insert(PARTNER, transfers)
            except Conflict as conflict:
                _log.warning("bank_refuses", reason="uetr: came as another transfer before")
                transfers = [one for at, one in enumerate(transfers) if at != conflict.position]
        return []

    async def _end_reviews(self, now: datetime) -> list[tuple[Report, Trace]]:
        ended = [uetr for uetr, (due_at, _) in self.waiting.items() if due_at <= now]
        found = await self.ledger.find(PARTNER, ended) if ended else {}
        return [(report_of(found[uetr], now), self.waiting.pop(uetr)[1]) for uetr in ended]

    async def _statements(self, now: datetime) -> list[StatementPage]:
        """Return the statements of yesterday and of today until now."""
        pages = []
        for day in (now.date() - timedelta(days=1), now.date()):
            span, after, number, is_last = Span(day, now, PARTNER), Span.beginning(day), 1, False
            while not is_last:
                entries = await self.ledger.page(span, after, SLICE_ROWS)
                pages.append(page := page_of(entries, day, now, number))
                after = entries[-1].position_in_statement if entries else after
                number, is_last = number + 1, page.is_last
        return pages

    def _stated(self, page: StatementPage) -> ProducerRecord:
        value = _FORMAT.encode_statement(page, self.clock.now())
        return self._record(value, StatementPage.ce_type, page.statement_id, ())

    def _reported(self, report: Report, trace: Trace) -> ProducerRecord:
        value = _FORMAT.encode_report(report, self.clock.now())
        return self._record(value, Report.ce_type, str(report.uetr), trace)

    def _record(self, value: bytes, ce_type: str, key: str, trace: Trace) -> ProducerRecord:
        now, source, topic = self.clock.now(), f"/partners/{PARTNER}", reports_topic(PARTNER)
        attributes = Attributes(self.clock.new_id(), ce_type, source, now, trace)
        headers = signed_headers(topic, value, attributes, _FORMAT.content_type, self._key)
        return ProducerRecord(topic, key.encode(), value, headers)


async def _publish(producer: KafkaProducer, records: Sequence[ProducerRecord]) -> None:
    """Return when the broker has all records. Raises ServiceError."""
    if records:
        batches = await producer.build_batches(records)
        await asyncio.gather(*[await batch.send() for batch in batches])


def _read(record: ConsumerRecord, keys: Keys, now: datetime) -> tuple[Instruction, Trace] | None:
    """Return an instruction and the trace of its handling; None where the record is refused."""
    try:
        attributes = verified(record.topic, record.headers, record.value, keys, now)
        instruction = _FORMAT.decode_instruction(record.value)
    except (BadSignature, Malformed) as refused:
        _log.warning("bank_refuses", reason=str(refused))
        return None
    name = f"{PARTNER} {Instruction.ce_type}"
    with tracing.serving(name, dict(attributes.trace), may_begin=False):
        return instruction, tracing.current_trace() or attributes.trace
