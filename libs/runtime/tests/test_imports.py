"""A file's lines are imported once each, in parts, whatever happens between them."""

import asyncio

import pytest

from service_runtime.cursor import LogPage
from service_runtime.errors import Invariant
from service_runtime.imports import FileLines, StoreLines
from service_runtime.object_store import FolderStore
from service_runtime.service import Service
from testbed.service import running

LINES = [b"line %d" % number for number in range(100)]


async def chunks_of(*parts):
    for part in parts:
        yield part


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path / "objects")


async def imported(lines, position=None):
    """All lines from a position on, and the number of parts."""
    found, parts = [], 0
    while (page := await lines.read(position)).position != position:
        found.extend(page.entries)
        position, parts = page.position, parts + 1
    return found, parts


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"\n".join(LINES), LINES),
        (b"\n".join(LINES) + b"\n", LINES),
        (b"\r\n".join(LINES) + b"\r\n", LINES),
        (b"a\n\nb\n", [b"a", b"", b"b"]),
        (b"\n", [b""]),
        (b"", []),
        (b"no end", [b"no end"]),
    ],
)
async def test_every_line_is_read_once(store, content, lines):
    await store.put("a.csv", chunks_of(content))

    assert (await imported(FileLines(store, "a.csv", 16)))[0] == lines


async def test_a_file_is_read_in_parts(store):
    await store.put("a.csv", chunks_of(b"\n".join(LINES)))

    _, parts = await imported(FileLines(store, "a.csv", 64))

    assert parts >= len(b"\n".join(LINES)) / 64


async def test_a_file_that_does_not_exist_yet_is_awaited(store):
    lines = FileLines(store, "a.csv")
    assert await lines.read(None) == LogPage(None)

    await store.put("a.csv", chunks_of(b"1\n2\n"))

    assert (await lines.read(None)).entries == [b"1", b"2"]


@pytest.mark.parametrize("content", [b"1\n2\n3\n", None])
async def test_a_file_that_is_changed_or_deleted_during_its_import_is_not_continued(store, content):
    await store.put("a.csv", chunks_of(b"1\n2\n"))
    page = await FileLines(store, "a.csv", 2).read(None)
    await store.delete("a.csv")
    if content:
        await store.put("a.csv", chunks_of(content))

    with pytest.raises(Invariant, match="changed"):
        await FileLines(store, "a.csv", 2).read(page.position)


async def test_a_line_that_is_longer_than_a_part_is_refused(store):
    await store.put("a.csv", chunks_of(b"1234567890\n"))

    with pytest.raises(Invariant, match="the line at byte 0 is too long"):
        await FileLines(store, "a.csv", 4).read(None)


@pytest.mark.stack
async def test_an_import_that_is_killed_continues_and_every_line_has_its_effect_once(
    store, postgres, probe_settings, rows
):
    await store.put("a.csv", chunks_of(b"\n".join(LINES)))
    killed = asyncio.Event()

    async def handle(entries, tx):
        for entry in entries:
            number = int(entry.split()[1])
            await tx.run(
                "insert into tally (event_id, number, lane) values (gen_random_uuid(), %(n)s, 'a')",
                n=number,
            )
            if number == 50 and not killed.is_set():
                killed.set()
                raise asyncio.CancelledError
        return ()

    def process():
        service = Service("probe", probe_settings)
        service.watch("a.csv", FileLines(store, "a.csv", 64).read, handle)
        return service.process()

    with pytest.raises(asyncio.CancelledError):
        async with running(process()):
            await killed.wait()
    assert 0 < len(rows("select 1 from tally")) < 50
    # As if its lease had run out.
    rows("update cursor set held_until = null")
    async with running(process()), asyncio.timeout(20):
        while True:
            await asyncio.sleep(0.02)
            if len(rows("select 1 from tally")) == len(LINES):
                break

    found = [row["number"] for row in rows("select number from tally order by number")]
    assert found == list(range(100))


async def lines_of(lines, position=None):
    """Every line from a position on, and the position behind the last."""
    found = []
    while (page := await lines.read(position)).position != position:
        found += page.entries
        position = page.position
    return [(one.file, one.number, one.content) for one in found], position


async def test_files_are_read_one_after_the_other_in_the_order_of_their_names(store):
    await store.put("b.csv", chunks_of(b"3\n4\n5"))
    await store.put("a.csv", chunks_of(b"1\n2\n"))
    await store.put("aa/empty.csv", chunks_of(b""))

    found, position = await lines_of(StoreLines(store, 4))
    assert [content for _, _, content in found] == [b"1", b"2", b"3", b"4", b"5"]
    assert found[-1] == ("b.csv", 3, b"5")

    await store.put("c.csv", chunks_of(b"6\n"))
    await store.delete("b.csv")
    assert (await lines_of(StoreLines(store, 4), position))[0] == [("c.csv", 1, b"6")]


async def test_reading_goes_on_in_the_middle_of_a_file(store):
    await store.put("a.csv", chunks_of(b"\n".join(LINES)))
    whole, _ = await lines_of(StoreLines(store, 64))
    first = await StoreLines(store, 64).read(None)

    rest, _ = await lines_of(StoreLines(store, 64), first.position)
    assert [one.number for one in first.entries] == [number for _, number, _ in whole[: -len(rest)]]
    assert len(first.entries) + len(rest) == len(LINES)


async def test_an_empty_store_is_looked_at_again(store):
    assert await StoreLines(store).read(None) == LogPage(None)
