"""`--watch`: one look after the other, until the last one or Ctrl-C."""

import time
from itertools import pairwise

import pytest
import typer

from ops.command.watching import Look, look
from ops.domain.errors import NotAskedError, RefusedError


def looks(*found):
    """Ask for one thing after the other; then somebody presses Ctrl-C."""
    left = iter(found)

    def ask():
        one = next(left, KeyboardInterrupt())
        if isinstance(one, BaseException):
            raise one
        return one

    return ask


def found(shown, text, exit_code=0, *, is_last=False):
    return Look(lambda: shown.append(text), exit_code, is_last=is_last)


def watch(ask):
    with pytest.raises(typer.Exit) as left:
        look(ask, again_after_s=0.0)
    return left.value.exit_code


def test_ctrl_c_ends_it_cleanly_with_the_exit_code_of_the_last_look():
    shown = []
    assert watch(looks(found(shown, "a"), found(shown, "b", 1))) == 1
    assert shown == ["a", "b"]


def test_it_ends_by_itself_once_nothing_can_change():
    shown = []
    assert watch(looks(found(shown, "a"), found(shown, "b", is_last=True), found(shown, "c"))) == 0
    assert shown == ["a", "b"]


def test_who_does_not_answer_is_named_and_asked_again(capsys):
    shown = []
    assert watch(looks(NotAskedError("audit is away", "make up"), found(shown, "b"))) == 0
    assert shown == ["b"]
    assert "audit is away; next: `make up`" in capsys.readouterr().out


def test_a_refusal_ends_it():
    with pytest.raises(RefusedError):
        look(looks(RefusedError("no such payment")), again_after_s=0.0)


def test_without_watch_there_is_one_look():
    shown = []
    with pytest.raises(typer.Exit) as left:
        look(looks(found(shown, "a", 2), found(shown, "b")), again_after_s=None)
    assert (left.value.exit_code, shown) == (2, ["a"])


def test_no_look_begins_before_the_pause_is_over():
    times = []

    def ask():
        times.append(time.monotonic())
        return Look(lambda: None, 0, is_last=len(times) == 3)

    with pytest.raises(typer.Exit):
        look(ask, again_after_s=0.05)
    assert min(later - earlier for earlier, later in pairwise(times)) >= 0.05
