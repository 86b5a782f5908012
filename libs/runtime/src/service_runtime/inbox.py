"""Which events a handler has handled by id, and dead letters, in the transaction of the effect.

Offsets say what was handled (see `consumed`); a handler with an inbox also drops an event that
comes again at another offset. An id is unique within its topic.
"""

from collections.abc import Sequence
from uuid import UUID

import orjson
import psycopg
from psycopg.rows import DictRow

from service_runtime.ports import DeadLetter


def _dead_letter_row(letter: DeadLetter) -> dict[str, object]:
    record = letter.record
    ids = [value for name, value in record.headers if name == "ce_id" and value is not None]
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        # The header may hold any bytes; the column takes only text without NUL.
        "event_id": ids[0].decode("utf-8", "replace").replace("\x00", "")[:64] if ids else None,
        "reason": letter.reason,
        "error_class": letter.error_class,
        "attempts": letter.attempts,
        "first_seen": letter.first_seen.isoformat(),
    }


class PostgresInbox:
    """Inbox and dead letters within one transaction."""

    connection: psycopg.AsyncConnection[DictRow]

    async def claim_inbox(self, consumer: str, topic: str, event_ids: Sequence[UUID]) -> set[UUID]:
        """Record the ids of a topic's events as handled; return those that are new.

        Sorted, so that two instances that claim the same ids cannot deadlock.
        """
        ids = orjson.dumps(sorted({str(event_id) for event_id in event_ids})).decode()
        cursor = await self.connection.execute(
            """insert into inbox (consumer, topic, event_id)
               select %s, %s, value::uuid from json_array_elements_text(%s::json)
               on conflict do nothing returning event_id""",
            (consumer, topic, ids),
        )
        return {row["event_id"] for row in await cursor.fetchall()}

    async def record_dead_letters(
        self, consumer: str, letters: Sequence[DeadLetter]
    ) -> list[DeadLetter]:
        """Record the dead letters; return those that are new by topic, partition and offset."""
        rows = orjson.dumps([_dead_letter_row(letter) for letter in letters]).decode()
        cursor = await self.connection.execute(
            """insert into dead_letter (topic, "partition", "offset", consumer, event_id, reason,
                                        error_class, attempts, first_seen)
               select topic, "partition", "offset", %s, event_id, reason, error_class, attempts,
                      first_seen
               from json_to_recordset(%s::json) as letter
                    (topic text, "partition" int, "offset" bigint, event_id text, reason text,
                     error_class text, attempts int, first_seen timestamptz)
               on conflict do nothing returning topic, "partition", "offset\"""",
            (consumer, rows),
        )
        new = {(row["topic"], row["partition"], row["offset"]) for row in await cursor.fetchall()}
        return [
            letter
            for letter in letters
            if (letter.record.topic, letter.record.partition, letter.record.offset) in new
        ]
