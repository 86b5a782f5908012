"""Checkpoints: a job seals what the trees have grown by, another one the rows of before."""

import hashlib
from collections.abc import Callable, Sequence

from audit.domain.sealing import BrokenTreeError, Pending, leaves_of, reaches, unsealed, until
from audit.store.archive import Archive
from audit.store.trees import Sealed, Trees
from payment_schemas.checkpoints import HISTORY, Checkpoint, Growth, digest_of, packed_leaves
from service_runtime import metrics
from service_runtime.clock import Clock
from service_runtime.cursor import Held
from service_runtime.jobs import Run
from service_runtime.logs import Log
from service_runtime.postgres import PostgresDatabase

MOST_LEAVES = 100_000
"""A checkpoint seals not many more; what is left is the next one's, at once."""
HISTORY_ROWS = 2000
"""Rows of before that one transaction seals."""
PROGRESS_ROWS = 100_000
"""Sealed rows of before between two lines in the log."""

_log = Log("sealing")
IsEnough = Callable[[Sequence[Pending]], bool]


class Checkpoints:
    """Writes checkpoints. A store that is away delays no append: leaves wait in the database."""

    def __init__(self, database: PostgresDatabase, archive: Archive, clock: Clock) -> None:
        self._database = database
        self._archive = archive
        self._clock = clock

    async def run(self, run: Run) -> None:
        """Seal all that waits. Raises where the store is away, or has another log."""
        try:
            while await self._next(run.held):
                pass
        except (BrokenTreeError, ValueError) as error:
            _log.error("audit_trees_broken", reason=str(error))
            raise

    async def _next(self, held: Held) -> bool:
        """Write the next checkpoint, or take over one of the store; return whether more waits.

        A checkpoint is in the store alone after a crash between the two, and after a backup of the
        database was restored: the records that are then read again give the same trees.
        """
        async with self._database.transaction() as tx:
            sealed = await Trees(tx).sealed()
        known = await self._archive.read(sealed.number + 1)
        if known is not None:
            return await self._take_over(held, sealed, *known)
        pending, growths = await self._waiting(_is_full)
        checkpoint, text = await self._written(sealed, growths)
        await self._save(held, (checkpoint, text), pending, growths)
        return _is_full(pending)

    async def _take_over(
        self, held: Held, sealed: Sealed, checkpoint: Checkpoint, text: str
    ) -> bool:
        if checkpoint.previous != sealed.digest:
            raise BrokenTreeError(f"checkpoint {checkpoint.number} follows another one")
        pending, waiting = await self._waiting(lambda found: reaches(found, checkpoint.trees))
        growths = until(waiting, checkpoint.trees)
        if growths is None:
            _log.warning("audit_behind_checkpoints", count=checkpoint.number)
            return False
        await self._save(held, (checkpoint, text), pending, growths)
        return True

    async def _waiting(self, is_enough: IsEnough) -> tuple[Sequence[Pending], list[Growth]]:
        """Return leaves that wait, the first ones first, until there are enough."""
        pending: list[Pending] = []
        while not is_enough(pending):
            async with self._database.transaction() as tx:
                found = await Trees(tx).pending(pending[-1].number if pending else 0)
            if not found:
                break
            pending += found
        async with self._database.transaction() as tx:
            return pending, unsealed(pending, await Trees(tx).seals())

    async def _written(self, sealed: Sealed, growths: Sequence[Growth]) -> tuple[Checkpoint, str]:
        heads, leaves = packed_leaves(growths)
        checkpoint = Checkpoint(
            sealed.number + 1,
            self._clock.now(),
            sealed.digest,
            sealed.history_last_id,
            hashlib.sha256(leaves).hexdigest(),
            heads,
        )
        return checkpoint, await self._archive.write(checkpoint, leaves)

    async def _save(
        self,
        held: Held,
        sealed: tuple[Checkpoint, str],
        pending: Sequence[Pending],
        growths: Sequence[Growth],
    ) -> None:
        """Store what the checkpoint has sealed; forget the leaves that it has."""
        checkpoint, text = sealed
        made = checkpoint.number, digest_of(text), checkpoint.time
        async with self._database.transaction() as tx:
            await held.fence(tx)
            trees = Trees(tx)
            sizes = {tree: seal.size for tree, seal in (await trees.seals()).items()}
            sizes |= {one.tree: one.before.size + len(one.leaves) for one in growths}
            done = [one.number for one in pending if one.is_sealed(sizes)]
            await trees.seal(growths, made, done)


def _is_full(pending: Sequence[Pending]) -> bool:
    return sum(one.count for one in pending) >= MOST_LEAVES


class History:
    """Adds the rows of before the log had trees to trees of their own, in their order."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    async def run(self, run: Run) -> None:
        """Add all that are left; a run that was interrupted goes on where it was."""
        while await self._some(run.held):
            pass

    async def _some(self, held: Held) -> bool:
        async with self._database.transaction() as tx:
            await held.fence(tx)
            trees = Trees(tx)
            sealed = await trees.sealed()
            done, last = sealed.history_done_id, sealed.history_last_id
            if done >= last:
                return False
            rows = await trees.rows(done + 1, last, HISTORY_ROWS)
            if rows:
                leaves = leaves_of(HISTORY, rows)
                names = sorted((tree.topic, tree.partition) for tree in leaves)
                await trees.grow(HISTORY, leaves, await trees.frontiers(HISTORY, names))
            now = rows[-1][0] if rows else last
            await trees.note_history(now)
        if now // PROGRESS_ROWS > done // PROGRESS_ROWS or now >= last:
            _log.info("audit_history_sealed", count=last - now)
        return True


class SealWatch:
    """What waits for a checkpoint, as metrics of every instance."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database
        self._age_s, self._leaves, self._history = 0.0, 0, 0
        metrics.gauge("audit_checkpoint_age", "Seconds since a checkpoint.", lambda: self._age_s)
        metrics.gauge(
            "audit_leaves_unsealed", "Rows that no checkpoint seals yet.", lambda: self._leaves
        )
        metrics.gauge(
            "audit_history_rows_left", "Ids of rows of before that are in no tree yet.",
            lambda: self._history,
        )  # fmt: skip

    async def count(self) -> None:
        """Count anew."""
        async with self._database.transaction() as tx:
            self._age_s, self._leaves, self._history = await Trees(tx).waiting()
