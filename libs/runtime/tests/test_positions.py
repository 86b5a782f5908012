"""Where a consumer reads on, and what it says where the log is not the one that it knows."""

import logging

import pytest

from service_runtime.positions import Extent, Positions

PLACE = ("probe.numbered.v1", 0)


@pytest.mark.parametrize(
    ("known", "extent", "start"),
    [
        pytest.param(None, Extent(0, 9), 0, id="new, nothing committed: from the log's begin"),
        pytest.param(None, Extent(0, 9, 4), 4, id="new: where the group has committed"),
        pytest.param(None, Extent(5, 9, 4), 5, id="new: what was committed is deleted"),
        pytest.param(None, Extent(0, 3, 4), 0, id="new: what was committed is of another log"),
        pytest.param(7, Extent(0, 9, 4), 7, id="the database counts before the group"),
        pytest.param(2, Extent(0, 9, 4), 2, id="also where it knows less"),
        pytest.param(9, Extent(0, 9), 9, id="at the end of the log"),
        pytest.param(10, Extent(0, 9), 0, id="beyond the log: it is another one"),
        pytest.param(10, Extent(3, 9), 3, id="beyond a log that was cut"),
        pytest.param(3, Extent(5, 9), 5, id="deleted before they were read"),
    ],
)
async def test_a_consumer_reads_on_where(memory, known, extent, start):
    if known is not None:
        async with memory.transaction() as tx:
            await tx.place_offsets("probe", {PLACE: known}, {PLACE: known})

    assert await Positions(memory, "probe").begin({PLACE: extent}) == {PLACE: start}


@pytest.mark.parametrize(
    ("known", "extent", "told"),
    [
        (10, Extent(0, 9), "log_replaced"),
        (3, Extent(5, 9), "records_lost"),
        (7, Extent(0, 9), ""),
    ],
)
async def test_a_log_that_is_not_the_known_one_is_reported(memory, caplog, known, extent, told):
    caplog.set_level(logging.WARNING, "countersign.positions")
    async with memory.transaction() as tx:
        await tx.place_offsets("probe", {PLACE: known}, {PLACE: known})

    await Positions(memory, "probe").begin({PLACE: extent})

    assert caplog.messages == ([told] if told else [])


async def test_lost_records_are_counted_by_the_offset_that_passes_them(memory):
    async with memory.transaction() as tx:
        await tx.place_offsets("probe", {PLACE: 3}, {PLACE: 3})

    await Positions(memory, "probe").begin({PLACE: Extent(5, 9)})

    assert memory.tables.consumed["probe", PLACE].next == 3
