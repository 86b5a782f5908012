"""Times on the screen: in the terminal's zone, or in UTC with `--utc`."""

import time
from datetime import UTC, datetime, timedelta

import pytest
import typer
from typer.testing import CliRunner

from ops.command.output import cell
from ops.command.times import Utc, distance, moment_in

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def in_tokyo(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


app = typer.Typer()


@app.command()
def show(text: str, *, _utc: Utc = False) -> None:
    print(cell(text))


@pytest.mark.parametrize(
    ("options", "expected"),
    [([], "2026-11-20 21:00:00.123 JST\n"), (["--utc"], "2026-11-20 12:00:00.123 UTC\n")],
    ids=["the terminal's zone", "UTC"],
)
def test_a_time_is_shown_in_the_terminals_zone_or_in_utc(in_tokyo, options, expected):
    messages_of = CliRunner().invoke(app, ["2026-11-20T12:00:00.123456+00:00", *options])
    assert messages_of.stdout == expected


@pytest.mark.parametrize("text", ["2026-11-20", "tx-2026-11-20T12:00:00Z", "2026-11-20T12:00:00"])
def test_text_that_is_no_time_is_shown_unchanged(text):
    assert moment_in(text) is None
    assert cell(text) == text


@pytest.mark.parametrize(
    ("off", "expected"),
    [
        (timedelta(minutes=4, seconds=30), "in 4 min"),
        (timedelta(), "in 0 s"),
        (timedelta(hours=-2), "2 h ago"),
    ],
)
def test_the_distance_to_a_time_is_shown_in_its_largest_unit(off, expected):
    assert distance(NOON + off, NOON) == expected
