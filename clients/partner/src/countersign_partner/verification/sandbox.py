"""Countersign in a sandbox: its topics, its key set over HTTP, its instructions, its reader."""

import asyncio
import zlib
from collections import defaultdict
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from uuid import UUID, uuid4

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from countersign_partner.formats import JSON, STATUSES, Format, Report
from countersign_partner.properties import connection_of, read
from countersign_partner.records import INSTRUCTION, REPORT, signed_headers, texts_of
from countersign_partner.signing import SigningKey, verify
from countersign_partner.verification.http import serve_json

PARTITIONS = 2
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
_EXPIRED_AT = 1_577_836_800  # 2020-01-01


class Broken(Exception):  # noqa: N818 - it names what the bank has done to a rule
    """The bank breaks a rule; the text says how."""


@dataclass
class Sandbox:
    """One run. `file` is a Kafka client's configuration of a principal that may do everything."""

    file: Path
    bank_keys: dict[str, Any]
    within_s: float
    form: Format = JSON
    partner: str = field(default_factory=lambda: f"sandbox-{uuid4().hex[:8]}")
    current: SigningKey = field(default_factory=lambda: SigningKey.new("test-1"))
    following: SigningKey = field(default_factory=lambda: SigningKey.new("test-2"))
    expired: SigningKey = field(default_factory=lambda: SigningKey.new("test-0"))
    sent: dict[str, dict[str, Any]] = field(default_factory=dict)
    reports: dict[str, list[Report]] = field(default_factory=lambda: defaultdict(list))
    faults: list[str] = field(default_factory=list)
    """What is wrong with a report itself, whatever it answers."""

    def __post_init__(self) -> None:
        found = read(self.file)
        self._lines = self.file.read_text().splitlines()
        self._kafka = connection_of(found, self.file.parent)
        self._arrived = asyncio.Condition()
        self._undo = AsyncExitStack()
        self.instructions = f"settlement.instructions.{self.partner}.v1"
        self.reports_topic = f"settlement.reports.{self.partner}.v1"

    async def __aenter__(self) -> Self:
        await self._make_topics()
        self.jwks_url = self._undo.enter_context(serve_json(self._jwks()))
        # As Countersign does: a bank's client must be able to read it.
        self._producer = AIOKafkaProducer(
            enable_idempotence=True, compression_type="zstd", **self._kafka
        )
        await self._undo.enter_async_context(self._producer)
        consumer = AIOKafkaConsumer(auto_offset_reset="earliest", **self._kafka)
        await self._undo.enter_async_context(consumer)
        consumer.assign([TopicPartition(self.reports_topic, n) for n in range(PARTITIONS)])
        reader = asyncio.create_task(self._read_reports(consumer))
        self._undo.callback(reader.cancel)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._undo.aclose()

    def write_properties(self, file: Path) -> None:
        """Write what `countersign partners add` would give the bank."""
        kept = [one for one in self._lines if not one.startswith(("countersign.", "group.id"))]
        ours = {
            "group.id": f"partner-{self.partner}.main",
            "countersign.partner": self.partner,
            "countersign.format": self.form.name,
            "countersign.instructions.topic": self.instructions,
            "countersign.reports.topic": self.reports_topic,
            "countersign.dead-letters.topic": f"{self.reports_topic}-dlq",
            "countersign.jwks.url": self.jwks_url,
        }
        lines = [*kept, *(f"{name}={value}" for name, value in ours.items())]
        file.write_text("\n".join(lines) + "\n")

    def instruction(self, creditor: str, **fields: Any) -> dict[str, Any]:
        """Return a new instruction."""
        now = datetime.now(UTC).isoformat()
        return {
            "uetr": str(uuid4()),
            "end_to_end_id": f"tx-{uuid4().hex[:8]}",
            "amount": "52.00",
            "currency": "USD",
            "debtor": {"account": "acc-1", "agent": "countersign"},
            "creditor": {"account": creditor, "agent": self.partner},
            "requested_at": now,
            "expires_at": None,
        } | fields

    async def publish(self, instruction: dict[str, Any], **how: Any) -> str:
        """Publish an instruction as Countersign does; return its UETR."""
        self.sent[instruction["uetr"]] = instruction
        value = self.form.write_instruction(instruction)
        await self.publish_raw(value, instruction["uetr"], **how)
        return str(instruction["uetr"])

    async def publish_raw(
        self,
        value: bytes,
        uetr: str,
        *,
        key: SigningKey | None = None,
        topic: str | None = None,
        change: Callable[[bytes, dict[str, str]], bytes] | None = None,
    ) -> None:
        """Publish a value, signed by `key` for `topic`; `change` changes what was signed."""
        headers = dict(
            signed_headers(
                value,
                topic=topic or self.instructions,
                ce_type=INSTRUCTION,
                source="/countersign/settlement",
                key=key or self.current,
                now=datetime.now(UTC),
                content_type=self.form.content_type,
            )
        )
        texts = {name: raw.decode() for name, raw in headers.items()} | {"traceparent": TRACE}
        value = change(value, texts) if change else value
        await self._producer.send_and_wait(
            self.instructions,
            value,
            key=uetr.encode(),
            partition=zlib.crc32(uetr.encode()) % PARTITIONS,
            headers=[(name, text.encode()) for name, text in texts.items()],
        )

    def uetr_beside(self, uetr: str) -> str:
        """Return a UETR of the same partition: what follows there is read later."""
        partition = zlib.crc32(uetr.encode()) % PARTITIONS
        while True:
            found = str(uuid4())
            if zlib.crc32(found.encode()) % PARTITIONS == partition:
                return found

    async def reported(
        self, uetr: str, *statuses: str, count: int = 1, within_s: float | None = None
    ) -> list[Report]:
        """Wait for so many reports with one of the statuses. Raises Broken."""
        wanted, within_s = statuses or STATUSES, within_s or self.within_s

        def found() -> list[Report]:
            return [one for one in self.reports[uetr] if one.status in wanted]

        try:
            await self.heard(lambda: len(found()) >= count, within_s)
        except TimeoutError:
            had = ", ".join(one.status for one in self.reports[uetr]) or "nothing"
            said = f"{count} reports {' or '.join(wanted)}"
            raise Broken(f"no {said} within {within_s:g} s, but {had}") from None
        return found()

    async def heard(self, enough: Callable[[], bool], within_s: float) -> None:
        """Wait until the reports are enough. Raises TimeoutError."""
        async with asyncio.timeout(within_s), self._arrived:
            await self._arrived.wait_for(enough)

    async def _make_topics(self) -> None:
        admin = AIOKafkaAdminClient(**self._kafka)
        await admin.start()
        try:
            names = (self.instructions, self.reports_topic, f"{self.reports_topic}-dlq")
            await admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in names])
        finally:
            await admin.close()

    def _jwks(self) -> dict[str, Any]:
        live = [self.current.jwk(), self.following.jwk()]
        return {"keys": [*live, self.expired.jwk(exp=_EXPIRED_AT)]}

    async def _read_reports(self, consumer: AIOKafkaConsumer) -> None:
        async for record in consumer:
            async with self._arrived:
                try:
                    report = self._judged(record)
                    self.reports[report.uetr].append(report)
                except (ValueError, KeyError, AttributeError) as bad:
                    self.faults.append(f"{record.partition}/{record.offset}: {bad}")
                self._arrived.notify_all()

    def _judged(self, record: Any) -> Report:
        """Return a report as settlement would take it. Raises ValueError with the broken rule."""
        headers, value = texts_of(record.headers), record.value or b""
        verify(
            value, topic=record.topic, headers=headers, jwks=self.bank_keys, now=datetime.now(UTC)
        )
        if headers.get("ce_type") != REPORT:
            raise ValueError(f"ce_type: must be {REPORT}")
        UUID(headers["ce_id"])
        found = self.form.read_report(value)
        if found.uetr not in self.sent:
            raise ValueError("uetr: this bank was never asked for it")
        if (record.key or b"").decode() != found.uetr:
            raise ValueError("key: must be the report's uetr")
        if found.status not in STATUSES:
            raise ValueError(f"status: must be one of {', '.join(STATUSES)}")
        if found.status == "REJECTED" and len(found.reason or "") != 4:
            raise ValueError("reason: a rejection needs an ISO 20022 code of 4 characters")
        return found
