"""`--watch`: repeats a query until its result is final, or until Ctrl-C."""

import time
from itertools import pairwise

import pytest
import typer

from ops.command.watching import View, show_view
from ops.domain.errors import RefusedError, UnavailableError


def results(*found):
    """Return one result after the other, then Ctrl-C."""
    left = iter(found)

    def ask():
        one = next(left, KeyboardInterrupt())
        if isinstance(one, BaseException):
            raise one
        return one

    return ask


def found(shown, text, exit_code=0, *, is_last=False):
    return View(lambda: shown.append(text), exit_code, is_last=is_last)


def watch(ask):
    with pytest.raises(typer.Exit) as left:
        show_view(ask, repeat_after_s=0.0)
    return left.value.exit_code


def test_ctrl_c_exits_with_the_exit_code_of_the_last_result():
    shown = []
    assert watch(results(found(shown, "a"), found(shown, "b", 1))) == 1
    assert shown == ["a", "b"]


def test_watching_ends_after_a_final_result():
    shown = []
    assert (
        watch(results(found(shown, "a"), found(shown, "b", is_last=True), found(shown, "c"))) == 0
    )
    assert shown == ["a", "b"]


def test_a_service_without_a_response_is_named_and_queried_again(capsys):
    shown = []
    assert watch(results(UnavailableError("audit is away", "make up"), found(shown, "b"))) == 0
    assert shown == ["b"]
    assert "audit is away; next: `make up`" in capsys.readouterr().out


def test_a_refusal_ends_the_watching():
    with pytest.raises(RefusedError):
        show_view(results(RefusedError("no such payment")), repeat_after_s=0.0)


def test_without_watch_there_is_one_query():
    shown = []
    with pytest.raises(typer.Exit) as left:
        show_view(results(found(shown, "a", 2), found(shown, "b")), repeat_after_s=None)
    assert (left.value.exit_code, shown) == (2, ["a"])


def test_no_query_begins_before_the_pause_has_ended():
    times = []

    def ask():
        times.append(time.monotonic())
        return View(lambda: None, 0, is_last=len(times) == 3)

    with pytest.raises(typer.Exit):
        show_view(ask, repeat_after_s=0.05)
    assert min(later - earlier for earlier, later in pairwise(times)) >= 0.05
