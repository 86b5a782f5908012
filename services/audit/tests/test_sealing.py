"""Trees grow with the rows of an append, and checkpoints seal them, on the real PostgreSQL."""

import asyncio
import shutil
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from audit.domain import AUDITED, Origin, RawEvent, entry_of, is_raw
from audit.domain.sealing import BrokenTreeError, leaves_of, steps
from audit.handlers import sealing
from audit.handlers.sealing import Checkpoints, History, SealWatch
from audit.store import PostgresAuditLog
from audit.store.archive import Archive
from audit.store.trees import Trees
from payment_schemas.checkpoints import HISTORY, LIVE, Checkpoint, TreeName, checkpoint_name
from payment_schemas.events.otp import VerificationRequested
from payment_schemas.events.risk import RiskAssessed
from payment_schemas.merkle import Frontier
from service_runtime.cursor import Cursor
from service_runtime.jobs import Run
from service_runtime.keys import KeyRing
from service_runtime.migrations import migrate
from service_runtime.object_store import FolderStore
from service_runtime.sealing import public_keys, verify_signature
from testbed.database import fresh_database
from testbed.service import database_of
from testkit.events import NOON, event_of
from testkit.memory import SteadyClock

pytestmark = pytest.mark.stack
MIGRATIONS = Path(__file__).parents[1] / "migrations"
KEYS = KeyRing(b"k" * 32)


class Log:
    """A log of its own with its jobs."""

    def __init__(self, database, fresh, folder):
        self.database, self.fresh, self.folder = database, fresh, folder
        self.clock = SteadyClock(NOON)
        self.store = FolderStore(folder)
        self.checkpoints = Checkpoints(database, Archive(self.store, KEYS), self.clock)

    async def run(self, job):
        """Run a job once, as its only instance."""
        cursor = Cursor(self.database, "job:test")
        held = await cursor.hold()
        try:
            await job(Run(self.clock.now(), held))
        finally:
            await cursor.release(held)

    async def seal(self):
        await self.run(self.checkpoints.run)

    async def append(self, *events):
        async with self.database.transaction() as tx:
            await append(tx, *events)

    async def trees(self):
        async with self.database.transaction() as tx:
            return dict(await Trees(tx).heads())

    async def rows(self):
        async with self.database.transaction() as tx:
            return await Trees(tx).rows(0, 2**62, 10_000)

    async def expected(self, era=LIVE):
        """Return the trees that follow from the rows."""
        leaves = leaves_of(era, await self.rows())
        return {tree: Frontier().grown(one.hash for one in found) for tree, found in leaves.items()}

    async def waiting(self):
        async with self.database.transaction() as tx:
            return (await Trees(tx).waiting())[1:]

    def checkpoint(self, number):
        text, signature, _ = (self.folder / checkpoint_name(number)).read_text().split("\n")
        verify_signature(public_keys(KEYS), signature, text.encode())
        return Checkpoint.read(text)


async def append(tx, *events):
    """Append events with their origins, each in its form."""
    for event, origin in events:
        if isinstance(event, RawEvent):
            await PostgresAuditLog(tx).append_raw([(event, origin)])
        else:
            await PostgresAuditLog(tx).append([entry_of(event, origin)])


def of(kind, offset, partition=0, event_id=None, payment=None):
    """Return an event in the form in which audit stores it."""
    fields = {"payment_id": payment or uuid4()} if kind.model_fields.get("payment_id") else {}
    event = event_of(kind, **fields)
    origin = Origin(event_id or uuid4(), NOON, kind.topic, partition, offset)
    if is_raw(kind):
        return RawEvent(kind, event.payment_id, event.model_dump_json().encode()), origin
    return event, origin


@asynccontextmanager
async def opened(infrastructure, tmp_path, migrations=MIGRATIONS):
    with fresh_database(infrastructure, "audit", [migrations]) as fresh:
        async with database_of(fresh.dsn, tmp_path) as database:
            yield Log(database, fresh, tmp_path / "checkpoints")


@pytest.fixture
async def log(infrastructure, tmp_path):
    async with opened(infrastructure, tmp_path) as found:
        yield found


async def test_the_trees_are_those_of_the_stored_rows(log):
    """Of every event, bytes and columns; what comes again, at once or later, adds no leaf."""
    events = [of(kind, number, number % 2) for number, kind in enumerate(AUDITED)]
    raw = [of(RiskAssessed, 50 + number) for number in range(9)]
    async with log.database.transaction() as tx:
        await append(tx, *events)
        await PostgresAuditLog(tx).append_raw([*raw[:5], raw[0], raw[4]])
    async with log.database.transaction() as tx:
        await append(tx, *events)
        await PostgresAuditLog(tx).append_raw([raw[4], raw[6], raw[2], raw[8], raw[6]])

    trees = await log.trees()

    assert trees == await log.expected()
    assert trees[TreeName(LIVE, RiskAssessed.topic, 0)].size >= 7
    assert sum(tree.size for tree in trees.values()) == len(AUDITED) + 7


async def test_an_event_that_comes_again_under_another_offset_adds_no_leaf(log):
    await log.append(of(RiskAssessed, 1, event_id=UUID(int=1)))
    before = await log.trees()

    await log.append(of(RiskAssessed, 9, event_id=UUID(int=1)))
    await log.append(of(VerificationRequested, 9, event_id=UUID(int=1)))
    await log.append(of(VerificationRequested, 10, event_id=UUID(int=1)))

    after = await log.trees()
    assert after.pop(TreeName(LIVE, VerificationRequested.topic, 0)).size == 1
    assert after == before


async def test_rows_that_are_rolled_back_leave_no_leaf(log):
    async def failing():
        async with log.database.transaction() as tx:
            await append(tx, of(RiskAssessed, 1))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await failing()
    await log.append(of(RiskAssessed, 1))

    assert await log.trees() == await log.expected()


async def test_a_tree_that_has_grown_meanwhile_fails_the_transaction(log):
    await log.append(of(RiskAssessed, 1))
    stale = await log.trees()
    await log.append(of(RiskAssessed, 2))
    leaves = leaves_of(LIVE, await log.rows())

    with pytest.raises(psycopg.errors.SerializationFailure):
        async with log.database.transaction() as tx:
            await Trees(tx).grow(LIVE, leaves, stale)


@pytest.mark.parametrize(
    ("forms", "expected"),
    [
        ("rrr", [0, 0, 0]),
        ("ccc", [1, 1, 1]),
        ("rcr", [0, 1, 2]),
        ("crrc", [1, 2, 2, 3]),
    ],
)
def test_records_of_a_partition_are_appended_in_their_order(forms, expected):
    mixed = [(("topic", 0), form == "r") for form in forms]

    assert steps(mixed) == expected
    assert steps([(("other", 0), True), *mixed])[1:] == expected


async def test_a_checkpoint_seals_what_is_new(log):
    await log.append(of(RiskAssessed, 1), of(RiskAssessed, 2), of(VerificationRequested, 7))
    await log.seal()
    await log.append(of(RiskAssessed, 3))
    await log.seal()
    await log.seal()

    heads = {head.tree: head for head in log.checkpoint(1).trees}
    (grown,) = log.checkpoint(2).trees
    tree = TreeName(LIVE, RiskAssessed.topic, 0)
    assert (heads[tree].size, grown.start, grown.size, grown.tree) == (2, 2, 3, tree)
    assert grown.root == (await log.trees())[tree].root
    assert log.checkpoint(3).trees == ()
    assert await log.waiting() == (0, 0)


async def test_more_than_one_checkpoint_takes_is_sealed_by_the_next_ones_at_once(log, monkeypatch):
    monkeypatch.setattr(sealing, "MOST_LEAVES", 2)
    monkeypatch.setattr("audit.store.trees.MOST_BATCHES", 1)
    for offset in range(5):
        await log.append(of(RiskAssessed, offset))

    await log.seal()

    sizes = [[head.size for head in log.checkpoint(number).trees] for number in (1, 2, 3)]
    assert sizes == [[2], [4], [5]]
    assert await log.waiting() == (0, 0)


async def test_a_store_that_is_away_delays_nothing_and_is_made_up_for(log):
    log.folder.parent.joinpath("checkpoints").write_text("a file where the folder should be")
    watch = SealWatch(log.database)
    for offset in range(3):
        await log.append(of(RiskAssessed, offset))
        with pytest.raises(OSError, match=r".+"):
            await log.seal()
    await watch.count()
    assert (watch._leaves, await log.waiting()) == (3, (3, 0))

    log.folder.unlink()
    await log.seal()

    assert [head.size for head in log.checkpoint(1).trees] == [3]
    assert await log.waiting() == (0, 0)


async def test_a_store_that_hangs_ends_the_run(log, monkeypatch):
    async def hang(*_):
        await asyncio.sleep(60)

    monkeypatch.setattr("audit.store.archive.WITHIN_S", 0.05)
    monkeypatch.setattr(log.store, "put", hang)

    with pytest.raises(TimeoutError):
        await log.seal()


async def test_a_checkpoint_that_was_written_before_a_crash_is_taken_over(log, monkeypatch):
    async def crash(*_):
        raise RuntimeError

    await log.append(of(RiskAssessed, 1))
    with monkeypatch.context() as patched:
        patched.setattr(log.checkpoints, "_save", crash)
        with pytest.raises(RuntimeError):
            await log.seal()
    written = log.checkpoint(1)
    await log.append(of(RiskAssessed, 2))

    await log.seal()

    assert log.checkpoint(1) == written
    assert [(head.start, head.size) for head in log.checkpoint(2).trees] == [(1, 2)]


async def test_a_restored_database_that_reads_again_continues_its_checkpoints(
    infrastructure, tmp_path
):
    """The same records in other batches, in a database that knows of no checkpoint."""
    events = [of(kind, n) for n, kind in enumerate([RiskAssessed, VerificationRequested] * 3)]
    async with opened(infrastructure, tmp_path) as log:
        for event in events:
            await log.append(event)
            await log.seal()
    async with opened(infrastructure, tmp_path) as restored:
        await restored.append(*events[:3])
        await restored.seal()
        async with restored.database.transaction() as tx:
            sealed = await Trees(tx).sealed()
        assert sealed.number == 3

        async with restored.database.transaction() as tx:
            await PostgresAuditLog(tx).append_raw([events[4]])
            await PostgresAuditLog(tx).append([entry_of(*one) for one in (events[3], events[5])])
        await restored.append(of(RiskAssessed, 99))
        await restored.seal()

        assert [head.size for head in restored.checkpoint(7).trees] == [4]


async def test_other_rows_than_the_sealed_ones_are_refused(infrastructure, tmp_path, caplog):
    async with opened(infrastructure, tmp_path) as log:
        await log.append(of(RiskAssessed, 1))
        await log.seal()
    async with opened(infrastructure, tmp_path) as other:
        await other.append(of(RiskAssessed, 1))

        with pytest.raises(BrokenTreeError, match="another root"):
            await other.seal()

    assert "audit_trees_broken" in caplog.text


async def test_leaves_that_were_deleted_before_they_were_sealed_are_missed(log):
    await log.append(of(RiskAssessed, 1))
    await log.append(of(RiskAssessed, 2))
    async with log.database.transaction() as tx:
        await tx.run("delete from audit_leaves where number = 1")

    with pytest.raises(BrokenTreeError, match="no leaf 0"):
        await log.seal()


async def test_rows_of_before_are_sealed_from_where_they_stand(
    infrastructure, tmp_path, monkeypatch
):
    monkeypatch.setattr(sealing, "HISTORY_ROWS", 4)
    folder = tmp_path / MIGRATIONS.name
    folder.mkdir()
    for path in sorted(MIGRATIONS.glob("*.sql"))[:3]:
        shutil.copy(path, folder)
    async with opened(infrastructure, tmp_path, folder) as log:
        with psycopg.connect(log.fresh.owner_dsn) as owner:
            for number in range(10):
                raw, origin = of(RiskAssessed, number, number % 2)
                owner.execute(
                    """insert into audit_entry (event, payment_id, created_at, event_id, topic,
                                                "partition", "offset", value)
                       values (%s, %s, %s, %s, %s, %s, %s, %s)""",
                    [
                        *(raw.name, raw.payment_id, origin.time, origin.event_id, origin.topic),
                        *(origin.partition, origin.offset, raw.value),
                    ],
                )
        migrate(log.fresh.owner_dsn, "audit", [MIGRATIONS])
        expected = await log.expected(HISTORY)
        await log.append(of(RiskAssessed, 10))
        assert await log.waiting() == (1, 10)

        await log.run(History(log.database).run)
        await log.run(History(log.database).run)
        await log.seal()

        trees = await log.trees()
        assert trees.pop(TreeName(LIVE, RiskAssessed.topic, 0)).size == 1
        assert trees == expected
        assert sum(head.size for head in log.checkpoint(1).trees) == 11
        assert await log.waiting() == (0, 0)


async def test_the_service_can_neither_change_a_tree_nor_append_behind_it(log):
    for statement in ("update audit_tree set size = 1", "delete from audit_tree"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            async with log.database.transaction() as tx:
                await tx.run(statement)
