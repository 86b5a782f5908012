"""Where a consumer reads on: at the offsets that it has handled, compared with the log."""

from collections.abc import Mapping
from dataclasses import dataclass

from service_runtime.logs import Log
from service_runtime.messages import Partition
from service_runtime.ports import Database

_log = Log("positions")


@dataclass(frozen=True, slots=True)
class Extent:
    """The first offset of a partition's log and the end behind its last record."""

    begin: int
    end: int
    committed: int | None = None
    """What the group has committed at the broker: where a partition begins that is new here."""

    def start(self, known: int | None) -> int:
        """Return where to read on.

        A log that ends before the known offset is another one: its topic was created anew, or the
        broker was restored. All of it is read: handlers are idempotent.
        """
        wanted = self.committed if known is None else known
        return wanted if wanted is not None and self.begin <= wanted <= self.end else self.begin


class Positions:
    """The positions of one consumer."""

    def __init__(self, database: Database, consumer: str) -> None:
        self._database = database
        self._consumer = consumer

    async def known(self) -> dict[Partition, int]:
        """Return the next offset of each partition that was begun."""
        async with self._database.transaction() as tx:
            offsets: dict[Partition, int] = await tx.next_offsets(self._consumer)
        return offsets

    async def begin(self, logs: Mapping[Partition, Extent]) -> dict[Partition, int]:
        """Return where to read partitions that are new or whose offset is out of their log."""
        async with self._database.transaction() as tx:
            known = await tx.next_offsets(self._consumer)
            starts = {place: log.start(known.get(place)) for place, log in logs.items()}
            ends = {place: log.end for place, log in logs.items()}
            await tx.place_offsets(self._consumer, starts, ends)
        for place, start in starts.items():
            _report(place, known.get(place), start)
        return starts


def _report(place: Partition, known: int | None, start: int) -> None:
    if known is None or known == start:
        return
    where = {"topic": place[0], "partition": place[1], "offset": start}
    if start < known:
        _log.warning("log_replaced", **where)
    else:
        _log.error("records_lost", **where, count=start - known)
