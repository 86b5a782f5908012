"""Refusals in the log: one line each, whatever the number."""

import json
import logging

import pytest

from service_runtime import refusals
from service_runtime.refusals import RefusalLog, hashed_subject


@pytest.fixture
def written(caplog, monkeypatch):
    """The lines, and a clock that passes when told."""
    now = [1000.0]
    monkeypatch.setattr(refusals.time, "monotonic", lambda: now[0])
    caplog.set_level(logging.WARNING, "countersign.refusals")

    def lines(pass_s=0.0):
        now[0] += pass_s
        return [record.fields for record in caplog.records if record.msg == "refused"]

    return lines


def test_a_refusal_is_logged_once_a_minute_with_its_count(written):
    log = RefusalLog()
    for _ in range(100):
        log.note(401, "exp: expired", "192.0.2.7")
    assert [line["count"] for line in written()] == [1]

    written(pass_s=60)
    log.note(401, "exp: expired", "192.0.2.7")

    assert [line["count"] for line in written()] == [1, 100]


def test_another_caller_and_another_refusal_have_lines_of_their_own(written):
    log = RefusalLog()
    log.note(401, "exp: expired", "192.0.2.7")
    log.note(429, "user", "192.0.2.7", "usr-456")
    log.note(429, "user", "192.0.2.7", "usr-457")
    log.note(401, "exp: expired", "192.0.2.8")

    assert len(written()) == 4


def test_a_line_names_the_subject_by_its_hash_alone(written):
    RefusalLog().note(403, "scope", "192.0.2.7", "usr-456")

    (line,) = written()
    assert line["subject"] == hashed_subject("usr-456")
    assert "usr-456" not in json.dumps(line)
    assert (line["status"], line["reason"], line["address"]) == (403, "scope", "192.0.2.7")


def test_many_callers_do_not_flood_the_log(written):
    log = RefusalLog()
    for number in range(1000):
        log.note(401, "exp: expired", f"192.0.2.{number}")

    assert len(written()) == refusals.MOST_LINES_A_SECOND


def test_callers_are_forgotten_past_a_bound(written, monkeypatch):
    monkeypatch.setattr(refusals, "MOST_CALLERS", 10)
    log = RefusalLog()
    for number in range(100):
        log.note(401, "exp: expired", f"192.0.2.{number}")

    assert len(log._seen) == 10
