"""The movements of the banks' statements by UETR, in a temporary database.

Statements are ordered by time and payments by id, so joining them needs an index; a day may have a
million entries, so the index is on disk.
"""

from collections.abc import Iterable, Iterator
from itertools import islice

from ops.check.scratch import Scratch
from payment_schemas.invariants import Movement

_BATCH = 5000
_CREATE = """create table movement (
    uetr text not null, partner text not null, end_to_end_id text not null,
    amount text not null, currency text not null, matched integer not null default 0)"""
_COLUMNS = "uetr, partner, end_to_end_id, amount, currency"


class Movements(Scratch):
    """Movements of money by UETR."""

    def __init__(self) -> None:
        super().__init__(_CREATE, "create index by_uetr on movement (uetr)")

    def add(self, movements: Iterable[Movement]) -> None:
        """Store movements."""
        source = iter(movements)
        while batch := list(islice(source, _BATCH)):
            self._db.execute("begin")
            self._db.executemany(
                f"insert into movement ({_COLUMNS}) values (?, ?, ?, ?, ?)",  # noqa: S608 - a constant
                [
                    (one.uetr, one.partner, one.end_to_end_id, one.amount, one.currency)
                    for one in batch
                ],
            )
            self._db.execute("commit")

    def of(self, uetr: str) -> list[Movement]:
        """Return the movements of a UETR and mark them as matched."""
        rows = self._db.execute(
            f"select {_COLUMNS} from movement where uetr = ?",  # noqa: S608 - a constant
            (uetr,),
        ).fetchall()
        if rows:
            self._db.execute("update movement set matched = 1 where uetr = ?", (uetr,))
        return [Movement(*row) for row in rows]

    def has_book_of(self, partner: str) -> bool:
        """Return whether any movement is the partner's."""
        found = self._db.execute("select 1 from movement where partner = ? limit 1", (partner,))
        return found.fetchone() is not None

    def unmatched(self) -> Iterator[Movement]:
        """Yield the movements that no payment has matched."""
        rows = self._db.execute(f"select {_COLUMNS} from movement where matched = 0")  # noqa: S608 - a constant
        return (Movement(*row) for row in rows)
