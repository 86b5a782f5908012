"""What a line says."""

import pytest

from sample.domain import Refusal, Row, read_line


def test_a_line_is_a_row():
    assert read_line(b" bolt M6 , 12") == Row("bolt M6", 12)


@pytest.mark.parametrize(
    ("line", "field"),
    [
        (b"", "line"),
        (b"bolt", "line"),
        (b"bolt,1,2", "line"),
        (b"\xff,1", "line"),
        (b",1", "name"),
        (b"a\x00b,1", "name"),
        (b"a" * 101 + b",1", "name"),
        (b"bolt,", "quantity"),
        (b"bolt,-1", "quantity"),
        (b"bolt,1e3", "quantity"),
        (b"bolt,1000000000", "quantity"),
    ],
)
def test_a_line_that_is_no_row_is_refused_with_the_field(line, field):
    refusal = read_line(line)
    assert isinstance(refusal, Refusal)
    assert refusal.field == field
    assert refusal.reason.startswith("must ")
