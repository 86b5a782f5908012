"""Kills of the bank on Kafka at work, whose reports come twice, late and out of order."""

import os
import signal
import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import httpx
import orjson

from bench import meters
from bench.errors import BenchmarkError
from bench.instructions import (
    KAFKA,
    Passed,
    instructions_to,
    outcome_of,
    publish,
    spans_now,
    wait_for,
)
from bench.outcomes import Spans, records_of
from bench.settings import number_of
from bench.system import System
from local_stack.errors import StackError
from local_stack.waiting import wait_until
from ops.clients.topics import run_query
from partner_messages.messages import reports_topic
from service_runtime.clock import SystemClock

COMMAND = "make bench-banks KILLS=20"
BATCH = 200
"""Instructions that the bank books in one transaction."""
BOOKS_WITHIN_S = 60
READ_WITHIN_S = 60
BACK_WITHIN_S = 30
FAULTS = {"report_twice": 1.0, "report_stale": 0.5, "reports_shuffled": 1.0}
"""What the bank does to its reports, and how often."""


Reported = tuple[str, str]
"""UETR and status of a report."""


@dataclass(frozen=True, slots=True)
class Disorder:
    """How the reports came."""

    reports: int
    twice: int
    """Instructions with several reports ACCEPTED."""
    stale: int
    """Instructions with a report PENDING behind a report ACCEPTED."""
    early: int
    """Reports ahead of one about an earlier instruction."""

    def __str__(self) -> str:
        return (
            f"{self.reports:,} reports; of {self.twice:,} instructions the outcome came twice, of"
            f" {self.stale:,} PENDING came behind it; {self.early:,} reports came out of order"
        )

    def is_enough(self, count: int) -> bool:
        """Return whether each outcome came twice, and a tenth was stale and out of order."""
        return self.twice == count and min(self.stale, self.early) >= count / 10


def disorder_of(reports: Sequence[Reported], uetrs: Sequence[str]) -> Disorder:
    """Return how these reports came about instructions that were asked for in this order."""
    place = {uetr: number for number, uetr in enumerate(uetrs)}
    mine = [one for one in reports if one[0] in place]
    accepted, stale = Counter[str](), set[str]()
    for uetr, status in mine:
        accepted[uetr] += status == "ACCEPTED"
        if status == "PENDING" and accepted[uetr]:
            stale.add(uetr)
    twice = sum(times > 1 for times in accepted.values())
    early = sum(place[one] > place[other] for (one, _), (other, _) in pairwise(mine))
    return Disorder(len(mine), twice, len(stale), early)


def least_for(kills: int) -> int:
    """Return the least instructions for which the bank has work at every kill."""
    return 2 * BATCH * (kills + 1)


def wanted() -> int:
    """Return KILLS, 0 without it."""
    return number_of("KILLS", 1, 100) if os.environ.get("KILLS") else 0


def require_enough(count: int, kills: int) -> None:
    """Raise BenchmarkError where the instructions are too few for the kills."""
    if kills and count < (least := least_for(kills)):
        raise BenchmarkError(f"COUNT must be at least {least:,} for {kills} kills, not {count:,}")


def killed(system: System, count: int, kills: int) -> tuple[Passed, Disorder]:
    """Kill the bank while it works off instructions. Raises BenchmarkError, StackError."""
    events, before, reported = instructions_to(KAFKA, count), spans_now(system), _spans(system)
    began = SystemClock().now()
    _disturb(system)
    publish(system, events)
    for number in range(1, kills + 1):
        _kill(system, count // least_for(kills))
        settled = meters.settled(system, KAFKA.partner)
        system.tell(f"kill {number} of {kills}: {settled:,} of {count:,} are settled")
    wait_for(system, KAFKA, count)
    outcome = outcome_of(system, before, count)
    seconds = (outcome.ended_at - began).total_seconds()
    uetrs = [str(one.uetr) for one in events]
    found = disorder_of(_reports(system, reported), uetrs)
    system.tell(str(found))
    if not found.is_enough(count):
        raise BenchmarkError(f"too little disorder: {found}; next: run it again")
    return Passed(KAFKA, uetrs, outcome, seconds, {}), found


def summary(found: Passed, kills: int, disorder: Disorder) -> str:
    """Return what was shown."""
    return (
        f"{len(found.uetrs):,} instructions to a bank on Kafka that was killed {kills} times at"
        f" work: {disorder}. Each was settled once and booked once; 0 left after"
        f" {found.seconds:.0f} s.\n"
    )


def _kill(system: System, bookings: int) -> None:
    """Kill the bank right after it has booked some batches; wait until it is back."""
    _wait_for_bookings(system.stack.layout.state_of(KAFKA.process), bookings)
    pid = system.stack.pid(KAFKA.process)
    os.kill(pid, signal.SIGKILL)
    otherwise = f"{KAFKA.process} is not back after a kill: read its log"
    wait_until(lambda: _is_back(system, pid), seconds=BACK_WITHIN_S, otherwise=otherwise)
    # The process had it in memory.
    _disturb(system)


def _wait_for_bookings(folder: Path, count: int) -> None:
    """Return after that many commits of the bank: its reports and its offset come after it."""
    [book] = folder.glob("*.sqlite3")
    with closing(sqlite3.connect(f"file:{book}?mode=ro", uri=True)) as connection:
        for _ in range(count):
            _wait_for_commit(connection)


def _wait_for_commit(connection: sqlite3.Connection) -> None:
    before = _commits(connection)
    wait_until(
        lambda: _commits(connection) != before,
        seconds=BOOKS_WITHIN_S,
        otherwise=f"{KAFKA.process} books nothing: read its log, or raise COUNT",
        pause_s=0.002,
    )


def _commits(connection: sqlite3.Connection) -> int:
    """Return a number that every commit of another process raises."""
    [(number,)] = connection.execute("pragma data_version").fetchall()
    return int(number)


def _is_back(system: System, killed: int) -> bool:
    try:
        is_new = system.stack.pid(KAFKA.process) != killed
        return is_new and httpx.get(f"{system.found.url(KAFKA.process)}/health").is_success
    except (StackError, httpx.HTTPError):
        return False


def _disturb(system: System) -> None:
    url = f"{system.found.url(KAFKA.process)}/faults"
    for kind, rate in FAULTS.items():
        httpx.put(url, json={"kind": kind, "rate": rate}).raise_for_status()


def _spans(system: System) -> Spans:
    return meters.spans_of_topics(system, {reports_topic(KAFKA.partner)})


def _reports(system: System, before: Spans) -> list[Reported]:
    """Return UETR and status of the reports since then, those of a partition in their order."""
    reports: list[Reported] = []
    spans = {one: (before[one][1], end) for one, (_, end) in _spans(system).items()}

    async def read() -> None:
        async for record in records_of(system, spans):
            report = orjson.loads(record.value)
            if "status" in report:
                reports.append((report["uetr"], report["status"]))

    run_query(read(), system.found.brokers, READ_WITHIN_S)
    return reports
