"""The batches of the baseline follow the counted writes."""

import orjson
import pytest

from bench.baseline import _shares, _steps, _transactions
from bench.workload import Table, Workload, _carried, _outbox_rows
from local_stack.topics import load_topics

TOPICS = {topic.name: topic for topic in load_topics()}
RECORD = (b"key", b"value", [("name", b"text")])


def payments(count: int, *, inserts: float = 1.0, updates: float = 0.0) -> Table:
    rows = [{"id": number, "status": "SETTLED"} for number in range(count)]
    return Table("confirm", "payment", ("id",), inserts, updates, 0.0, rows)


@pytest.mark.parametrize(
    ("updates", "updated"),
    [
        pytest.param(0.0, [], id="a row that never changes"),
        pytest.param(2.0, [10, 10], id="each row twice"),
        pytest.param(1.5, [10, 5], id="every other row twice"),
    ],
)
def test_a_batch_repeats_the_counted_updates(updates: float, updated: list[int]):
    table = payments(10, updates=updates)
    inserted, *rest = [len(orjson.loads(rows)) for _, rows in _steps(table, table.rows)]
    assert inserted == 10
    assert rest == updated


def test_every_row_is_inserted_by_exactly_one_batch():
    batches = [list(_transactions([payments(25)], number, 4)) for number in range(4)]
    ids = [row["id"] for (steps,) in batches for _, rows in steps for row in orjson.loads(rows)]
    assert ids == list(range(25))


def test_outbox_rows_have_each_record_once_and_no_replies():
    records = {"settlement-queue": [RECORD] * 7, "payment.confirm-answered.v1": [RECORD]}
    carried = _carried(records, TOPICS)
    assert {owner: len(some) for owner, some in carried.items()} == {"confirm": 7}
    rows = _outbox_rows(carried["confirm"], 3)
    assert sum(row["record_count"] for row in rows) == 7
    assert bytes.fromhex(rows[0]["records"][2:]) == b"keyvaluetext" * 2


def test_a_record_is_consumed_once_for_each_reader_of_its_topic():
    names = ["settlement-queue", "payment.confirmed.v1", "payment.confirm-requested.v1"]
    workload = Workload(100, [], {name: [RECORD] for name in names}, TOPICS)
    read = [name for share in _shares(workload) for name in share]
    assert {name: read.count(name) for name in names} == {
        name: len(TOPICS[name].readers) for name in names
    }
