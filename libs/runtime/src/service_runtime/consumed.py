"""The offsets up to which a consumer has handled partitions, in the transaction of the effect."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import LiteralString

import psycopg
from psycopg.rows import DictRow

from service_runtime.messages import Partition, Record

# A materialized lock in one order: two instances with the same partitions cannot deadlock. It waits
# for another instance's transaction and then returns the offset that this one has left.
_CLAIM: LiteralString = """
    with asked as materialized (
        select * from unnest(%b::text[], %b::int[], %b::bigint[], %b::bigint[], %b::bigint[])
            as span (topic, "partition", first, next, records)),
    old as materialized (
        select kept.topic, kept."partition", kept.next_offset
        from asked join consumed as kept using (topic, "partition") where kept.consumer = %s
        order by kept.topic, kept."partition" for update of kept)
    update consumed as kept
       set next_offset = greatest(kept.next_offset, asked.next),
           handled = kept.handled + case when old.next_offset <= asked.first then asked.records
                                         else 0 end
      from asked join old using (topic, "partition")
     where kept.consumer = %s and kept.topic = asked.topic and kept."partition" = asked."partition"
    returning kept.topic, kept."partition", old.next_offset"""


@dataclass(slots=True)
class Span:
    """Records of one partition: the first offset, the one behind the last, their number."""

    first: int
    next: int
    records: int = 1


def spans_of(records: Sequence[Record]) -> dict[Partition, Span]:
    """Return the span of each partition; the records of a partition are in order."""
    spans: dict[Partition, Span] = {}
    for record in records:
        span = spans.get(record.place)
        if span is None:
            spans[record.place] = Span(record.offset, record.offset + 1)
        else:
            span.next, span.records = record.offset + 1, span.records + 1
    return spans


class PostgresConsumed:
    """The handled offsets within one transaction."""

    connection: psycopg.AsyncConnection[DictRow]

    async def next_offsets(self, consumer: str) -> dict[Partition, int]:
        """Return the next offset of each partition that the consumer has begun."""
        cursor = await self.connection.execute(
            'select topic, "partition", next_offset from consumed where consumer = %s', (consumer,)
        )
        return _offsets(await cursor.fetchall())

    async def raise_offsets(
        self, consumer: str, records: Sequence[Record], *, are_handled: bool
    ) -> dict[Partition, int]:
        """Raise the next offsets behind the records; return those before, locked to the commit."""
        spans = spans_of(records)
        keys = sorted(spans)
        found = [spans[key] for key in keys]
        old = await self._raise(
            consumer,
            [key[0] for key in keys],
            [key[1] for key in keys],
            [span.first for span in found],
            [span.next for span in found],
            [span.records if are_handled else 0 for span in found],
        )
        for place, span in spans.items() if are_handled else ():
            if span.first < old.get(place, 0) < span.next:
                new = sum(one.place == place and one.offset >= old[place] for one in records)
                await self._count(consumer, place, new)
        return old

    async def _raise(self, consumer: str, *spans: Sequence[object]) -> dict[Partition, int]:
        cursor = await self.connection.execute(_CLAIM, (*spans, consumer, consumer))
        return _offsets(await cursor.fetchall())

    async def _count(self, consumer: str, place: Partition, new: int) -> None:
        """Count the records of a span that was handled in part: seldom, by an instance before."""
        await self.connection.execute(
            """update consumed set handled = handled + %s
               where consumer = %s and topic = %s and "partition" = %s""",
            (new, consumer, *place),
        )

    async def place_offsets(
        self, consumer: str, starts: Mapping[Partition, int], ends: Mapping[Partition, int]
    ) -> None:
        """Begin partitions at their starts: those that are new, or lie beyond their log's end."""
        keys = sorted(starts)
        await self.connection.execute(
            """insert into consumed (consumer, topic, "partition", first_offset, next_offset)
               select %s, topic, "partition", start, start
               from unnest(%b::text[], %b::int[], %b::bigint[]) as log (topic, "partition", start)
               order by topic, "partition"
               on conflict do nothing""",
            (consumer, *_columns(keys), [starts[key] for key in keys]),
        )
        await self.connection.execute(
            """update consumed as kept
               set first_offset = log.start, next_offset = log.start, handled = 0
               from unnest(%b::text[], %b::int[], %b::bigint[], %b::bigint[])
                    as log (topic, "partition", start, "end")
               where kept.consumer = %s and kept.topic = log.topic
                 and kept."partition" = log."partition" and kept.next_offset > log."end\"""",
            (*_columns(keys), [starts[key] for key in keys], [ends[key] for key in keys], consumer),
        )

    async def consumption(self, consumer: str) -> list[DictRow]:
        """Return the consumer's offsets by partition.

        `missing`: records that they were raised over, neither handled nor dead letters.
        """
        cursor = await self.connection.execute(
            """select topic, "partition", first_offset, next_offset,
                      greatest(0, next_offset - first_offset - handled - letters.count) as missing
               from consumed cross join lateral (
                   select count(*) from dead_letter as letter
                   where letter.topic = consumed.topic
                     and letter."partition" = consumed."partition"
                     and letter."offset" >= first_offset
                     and letter."offset" < next_offset) as letters
               where consumer = %s order by topic, "partition\"""",
            (consumer,),
        )
        return await cursor.fetchall()


def _columns(keys: Sequence[Partition]) -> tuple[list[str], list[int]]:
    return [topic for topic, _ in keys], [number for _, number in keys]


def _offsets(rows: Sequence[DictRow]) -> dict[Partition, int]:
    return {(row["topic"], row["partition"]): row["next_offset"] for row in rows}
