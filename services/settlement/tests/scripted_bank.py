"""A partner bank as a process of its own: `python scripted_bank.py <partner> <book>`.

It books in SQLite and reports from its book, twice, and sometimes first that it waits. It commits
its offsets after its reports, so that a kill at any point repeats work.
"""

import asyncio
import os
import sqlite3
import sys
from datetime import UTC, datetime
from uuid import uuid4

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from settlement_builders import BANK_KEY, OUR_KEYS

from partner_messages.formats import format_of
from partner_messages.keys import Keys, SigningKey
from partner_messages.messages import Report, Status, instructions_topic, reports_topic
from partner_messages.records import Attributes, signed_headers, verified
from service_runtime.settings import KafkaSettings

FORMAT = format_of("json")
OURS = Keys.of([SigningKey.of_seed(OUR_KEYS.current.id, OUR_KEYS.current.material).public()])
FOREIGN_KEY = SigningKey.of_seed(BANK_KEY.kid, bytes([9]) * 32)


class Bank:
    """The bank's book and its connection to Kafka."""

    def __init__(self, partner: str, book: str) -> None:
        self.topic, self.reports = instructions_topic(partner), reports_topic(partner)
        self.partner = partner
        self.book = sqlite3.connect(book)
        self.book.execute("create table if not exists booking (uetr text primary key, bytes blob)")
        self.brokers = KafkaSettings().brokers.arguments

    async def run(self) -> None:
        consumer = AIOKafkaConsumer(
            self.topic,
            **self.brokers,
            group_id=f"partner-{self.partner}.main",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=6000,
        )
        producer = AIOKafkaProducer(**self.brokers)
        async with consumer, producer:
            while True:
                found = await consumer.getmany(timeout_ms=200, max_records=5)
                for record in [one for records in found.values() for one in records]:
                    for report, key in self._take(record):
                        await self._send(producer, report, key)
                if found:
                    await consumer.commit()

    def _take(self, record):
        """Book an instruction once; return what to report, out of order and with a forgery."""
        verified(record.topic, record.headers, record.value, OURS, datetime.now(UTC))
        uetr = FORMAT.decode_instruction(record.value).uetr
        with self.book:
            insert = "insert into booking values (?, ?) on conflict do nothing"
            self.book.execute(insert, (str(uetr), record.value))
        accepted = Report(uetr=uetr, status=Status.ACCEPTED, bank_reference=f"B-{uetr.hex[:8]}")
        rejected = Report(uetr=uetr, status=Status.REJECTED, reason="AC04")
        pending = Report(uetr=uetr, status=Status.PENDING)
        waits = [(pending, BANK_KEY)] if uetr.int % 2 else []
        forged = [(rejected, FOREIGN_KEY)] if uetr.int % 5 == 0 else []
        return [*forged, *waits, (accepted, BANK_KEY), *waits, (accepted, BANK_KEY)]

    async def _send(self, producer, report, key) -> None:
        value = FORMAT.encode_report(report)
        source, now = f"/partners/{self.partner}", datetime.now(UTC)
        attributes = Attributes(uuid4(), Report.ce_type, source, now)
        headers = signed_headers(self.reports, value, attributes, FORMAT.content_type, key)
        key_bytes = str(report.uetr).encode()
        await producer.send(self.reports, value, key_bytes, headers=list(headers))


if __name__ == "__main__":
    os.environ.setdefault("PORT", "1")
    asyncio.run(Bank(*sys.argv[1:3]).run())
