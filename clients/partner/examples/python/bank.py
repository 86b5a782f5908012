"""A partner bank on Kafka, in one file: python bank.py partner.properties bank-key.pem book.db

It books each transfer once. The booking and its report are one transaction of the
bank's own book, here SQLite; the report is sent after the commit, and again after a crash.
"""

import asyncio
import logging
import sqlite3
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from countersign_partner.formats import Instruction, Malformed, Report
from countersign_partner.jwks import KeySet
from countersign_partner.kafka import consumer_of, producer_of
from countersign_partner.properties import Partner, partner_of
from countersign_partner.records import REPORT, read_instruction, signed_headers, texts_of
from countersign_partner.signing import BadSignature, SigningKey

TABLES = """
create table if not exists transfer (
    uetr text primary key,  -- a UETR is booked once: the database says so, too
    creditor text not null, amount text not null, currency text not null,
    status text not null, reason text, bank_reference text not null,
    booked_at text, due_at text, traceparent text
);
create table if not exists report (
    id integer primary key autoincrement, uetr text not null, value text not null, traceparent text
);
"""
REVIEW = timedelta(seconds=1)
"""How long this bank thinks about a transfer that it reviews."""


class Bank:
    """A bank with a few rules: who is refused, who is reviewed, what comes too late."""

    def __init__(self, partner: Partner, key: SigningKey, book: Path) -> None:
        self.partner, self.key = partner, key
        self.keys = KeySet(partner.jwks_url)
        self.book = sqlite3.connect(book)
        self.book.row_factory = sqlite3.Row
        self.book.execute("pragma journal_mode = wal")
        self.book.executescript(TABLES)

    async def run(self) -> None:
        """Take instructions and send reports until the process ends."""
        async with consumer_of(self.partner) as consumer, producer_of(self.partner) as producer:
            self.consumer, self.producer = consumer, producer
            while True:
                found = await consumer.getmany(timeout_ms=200, max_records=100)
                await self.handle([record for records in found.values() for record in records])

    async def handle(self, records: list) -> None:
        """One transaction of the book, then the reports, then Kafka's offsets."""
        now = datetime.now(UTC)
        jwks = await self.keys.at(now)
        with self.book:
            for record in records:
                self.take(record, jwks, now)
            self.end_reviews(now)
        await self.send_reports()
        # Last: after a crash the records come again, and the book knows them.
        if records:
            await self.consumer.commit()

    def take(self, record, jwks: dict, now: datetime) -> None:
        """Book one instruction, or answer a repeated one as the first time."""
        try:
            instruction = self.read(record, jwks, now)
        except (BadSignature, Malformed) as refused:
            # An operator looks at it. It must not stop the instructions behind it.
            logging.warning("refused %s/%s: %s", record.partition, record.offset, refused)
            return
        transfer = self.find(instruction.uetr)
        if transfer is None:
            self.store(instruction, texts_of(record.headers).get("traceparent"), now)
            transfer = self.find(instruction.uetr)
        elif not same(transfer, instruction):
            logging.error("uetr %s came again as another transfer", instruction.uetr)
            return
        self.report(transfer)

    def read(self, record, jwks: dict, now: datetime) -> Instruction:
        return read_instruction(record, jwks, now, self.partner.format)

    def find(self, uetr: str) -> sqlite3.Row | None:
        return self.book.execute("select * from transfer where uetr = ?", [uetr]).fetchone()

    def store(self, one: Instruction, traceparent: str | None, now: datetime) -> None:
        """Decide about a new transfer and write it into the book."""
        status, reason = self.decide(one, now)
        booked_at = now.isoformat() if status == "ACCEPTED" else None
        due_at = (now + REVIEW).isoformat() if status == "PENDING" else None
        money = [one.creditor, str(one.amount), one.currency]
        decision = [status, reason, uuid4().hex[:12].upper(), booked_at, due_at, traceparent]
        row = [one.uetr, *money, *decision]
        self.book.execute("insert into transfer values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)

    def decide(self, one: Instruction, now: datetime) -> tuple[str, str | None]:
        """Return status and reason: codes of ISO 20022 (ExternalStatusReason1Code)."""
        if one.expires_at is not None and one.expires_at <= now:
            return "REJECTED", "TM01"
        if one.creditor.endswith("payee-rejected"):
            return "REJECTED", "AC04"
        if one.creditor.endswith("payee-late"):
            return "PENDING", None
        return "ACCEPTED", None

    def end_reviews(self, now: datetime) -> None:
        """Book the transfers whose review is over."""
        due = "select uetr from transfer where status = 'PENDING' and due_at <= ?"
        for row in self.book.execute(due, [now.isoformat()]).fetchall():
            self.book.execute(
                "update transfer set status = 'ACCEPTED', booked_at = ? where uetr = ?",
                [now.isoformat(), row["uetr"]],
            )
            self.report(self.find(row["uetr"]))

    def report(self, transfer: sqlite3.Row) -> None:
        """Put a report into the book; `send_reports` sends it."""
        fields = ("uetr", "status", "reason", "bank_reference", "booked_at")
        report = Report(**{name: transfer[name] for name in fields})
        value = self.partner.format.write_report(report).decode()
        self.book.execute(
            "insert into report (uetr, value, traceparent) values (?, ?, ?)",
            [transfer["uetr"], value, transfer["traceparent"]],
        )

    async def send_reports(self) -> None:
        """Send what the book has committed, in its order; a report may be sent twice."""
        waiting = self.book.execute("select * from report order by id").fetchall()
        sent = [await self.send(row) for row in waiting]
        for acknowledged in sent:
            await acknowledged
        with self.book:
            self.book.executemany(
                "delete from report where id = ?", [[row["id"]] for row in waiting]
            )

    async def send(self, row: sqlite3.Row) -> asyncio.Future:
        value, topic = row["value"].encode(), self.partner.reports
        headers = signed_headers(
            value,
            topic=topic,
            ce_type=REPORT,
            source=f"/partners/{self.partner.id}",
            key=self.key,
            now=datetime.now(UTC),
            content_type=self.partner.format.content_type,
        )
        if row["traceparent"]:
            headers.append(("traceparent", row["traceparent"].encode()))
        # The key keeps the reports of one transfer in their order.
        return await self.producer.send(topic, value, key=row["uetr"].encode(), headers=headers)


def same(transfer: sqlite3.Row, instruction: Instruction) -> bool:
    money = (instruction.creditor, str(instruction.amount), instruction.currency)
    return (transfer["creditor"], transfer["amount"], transfer["currency"]) == money


def main(bank: type[Bank] = Bank) -> None:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    properties, key, book = (Path(name) for name in sys.argv[1:4])
    partner = partner_of(properties)
    # The key's id is its file's name; it is the `kid` in the key set that Countersign has.
    one = bank(partner, SigningKey.read(key.stem, key), book)
    asyncio.run(one.run())


if __name__ == "__main__":
    main()
