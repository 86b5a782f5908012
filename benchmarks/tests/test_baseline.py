"""The batches of the baseline have every row of the run, and its updates."""

import orjson
import pytest

from bench.baseline import Table, _steps, _transactions


def payments(count: int, *, updates: float = 0.0) -> Table:
    rows = [{"id": number, "status": "SETTLED"} for number in range(count)]
    return Table(("confirm", "payment"), ("id",), updates, rows)


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
