"""The Merkle trees in PostgreSQL: appended to with the rows, and sealed by checkpoints."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from audit.domain.sealing import Frontiers, Leaves, Pending, growths_of
from payment_schemas.checkpoints import Growth, Row, TreeName, pack
from payment_schemas.merkle import Frontier
from service_runtime.postgres import PostgresTransaction

MOST_BATCHES = 50
"""Appends whose leaves one statement reads: up to 250,000 leaves of 48 bytes."""


class Sealed(NamedTuple):
    """The last checkpoint, and the last row of before the log had trees."""

    number: int
    digest: str
    made_at: datetime
    history_last_id: int
    history_done_id: int


class Trees:
    """The trees within one transaction."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self._tx = tx

    async def frontiers(self, era: int, trees: Iterable[tuple[str, int]]) -> Frontiers:
        """Return the frontiers of these topics and partitions; a new tree has none."""
        topics, partitions = zip(*trees, strict=True)
        rows = await self._tx.rows(
            """select tree.era, tree.topic, tree."partition", tree.size, tree.peaks
               from unnest(%(topics)s::text[], %(partitions)s::int[]) as known (topic, "partition")
               join audit_tree as tree on tree.era = %(era)s and tree.topic = known.topic
                    and tree."partition" = known."partition\"""",
            era=era,
            topics=list(topics),
            partitions=list(partitions),
        )
        return _frontiers(rows)

    async def grow(self, era: int, leaves: Leaves, frontiers: Frontiers) -> None:
        """Add leaves to the trees of an era.

        A tree that is no longer as it was read fails the transaction, which is then repeated.
        """
        grown = growths_of(leaves, frontiers)
        if not grown:
            return
        after = [one.after for one in grown]
        await self._tx.connection.execute(
            "select grow_trees(%s::smallint, %s::text[], %s::int[], %s::bigint[], %s::bigint[],"
            " %b::bytea[], %s::json, %b::bytea)",
            [
                era,
                [one.tree.topic for one in grown],
                [one.tree.partition for one in grown],
                [one.before.size for one in grown],
                [one.size for one in after],
                [one.packed for one in after],
                json.dumps([[*one.tree, one.before.size, len(one.leaves)] for one in grown]),
                b"".join(pack(one.leaves) for one in grown),
            ],
        )

    async def sealed(self) -> Sealed:
        """Return the last checkpoint."""
        (row,) = await self._tx.rows(
            """select number, digest, made_at, last_id, done_id
               from audit_checkpoint, audit_history"""
        )
        return Sealed(*row.values())

    async def seals(self) -> Frontiers:
        """Return the trees as the last checkpoint has them."""
        return _frontiers(
            await self._tx.rows('select era, topic, "partition", size, peaks from audit_seal')
        )

    async def heads(self) -> Frontiers:
        """Return the trees as they are."""
        return _frontiers(
            await self._tx.rows('select era, topic, "partition", size, peaks from audit_tree')
        )

    async def pending(self, after: int = 0) -> list[Pending]:
        """Return the leaves of appends that wait, the first ones behind a number."""
        rows = await self._tx.rows(
            """select number, trees, leaves from audit_leaves where number > %(after)s
               order by number limit %(most)s""",
            after=after,
            most=MOST_BATCHES,
        )
        return [Pending(**row) for row in rows]

    async def seal(
        self, growths: Sequence[Growth], checkpoint: tuple[int, str, datetime], done: Sequence[int]
    ) -> None:
        """Store what a checkpoint has sealed; forget the leaves with these numbers."""
        after = [one.after for one in growths]
        await self._tx.connection.execute(
            """insert into audit_seal (era, topic, "partition", size, peaks)
               select * from unnest(%s::smallint[], %s::text[], %s::int[], %s::bigint[],
                                    %b::bytea[])
               on conflict (era, topic, "partition")
               do update set size = excluded.size, peaks = excluded.peaks""",
            [
                [one.tree.era for one in growths],
                [one.tree.topic for one in growths],
                [one.tree.partition for one in growths],
                [one.size for one in after],
                [one.packed for one in after],
            ],
        )
        number, digest, made_at = checkpoint
        await self._tx.run(
            """update audit_checkpoint
               set number = %(number)s, digest = %(digest)s, made_at = %(made_at)s""",
            number=number,
            digest=digest,
            made_at=made_at,
        )
        await self._tx.run(
            "delete from audit_leaves where number = any (%(done)s)", done=list(done)
        )

    async def note_history(self, done_id: int) -> None:
        """Store how far the rows of before are in their trees."""
        await self._tx.run("update audit_history set done_id = %(done_id)s", done_id=done_id)

    async def rows(self, first: int, last: int, limit: int) -> list[tuple[int, Row]]:
        """Return rows from an id to another one, with their ids and in their order."""
        found = await self._tx.rows(
            _ROWS + "where id between %(first)s and %(last)s order by id limit %(limit)s",
            first=first,
            last=last,
            limit=limit,
        )
        return [(one["id"], _row(one)) for one in found]

    async def rows_of(self, event_id: UUID) -> list[tuple[int, Row, datetime]]:
        """Return an event's rows, one a topic, with their ids and when they were recorded."""
        found = await self._tx.rows(
            _ROWS + "where event_id = %(event_id)s order by id limit 100", event_id=event_id
        )
        return [(one["id"], _row(one), one["recorded_at"]) for one in found]

    async def waiting(self) -> tuple[float, int, int]:
        """Return the age of the last checkpoint in seconds, the leaves that wait, old rows left."""
        (row,) = await self._tx.rows(
            """select extract(epoch from clock_timestamp() - made_at)::float as age_s,
                      (select coalesce(sum(length(leaves)), 0) / 48 from audit_leaves) as leaves,
                      greatest(last_id - done_id, 0) as history
               from audit_checkpoint, audit_history"""
        )
        return row["age_s"], int(row["leaves"]), row["history"]


def _frontiers(rows: Iterable[dict[str, Any]]) -> dict[TreeName, Frontier]:
    return {
        TreeName(row["era"], row["topic"], row["partition"]): Frontier.of(row["size"], row["peaks"])
        for row in rows
    }


def _row(row: dict[str, Any]) -> Row:
    is_raw = row["value"] is not None
    content = row["value"] if is_raw else row["columns"].encode()
    where = row["topic"], row["partition"], row["offset"], row["created_at"]
    return Row(*where, row["event_id"], row["event"], row["payment_id"], content, is_raw)


_ROWS = """
    select id, topic, "partition", "offset", created_at, event_id, event, payment_id, recorded_at,
           value, case when value is null
                       then stored_columns(tx_id, user_id, reference, metadata) end as columns
    from audit_entry """
