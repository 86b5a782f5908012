"""`make bench-backlog`: services that were down work off their records while payments go on."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import uvloop

from bench import report
from bench.customers import Customers
from bench.errors import BenchmarkError
from bench.measuring import Measured, drive, measure
from bench.meters import lag
from bench.outcomes import unfinished
from bench.results import fill_long
from bench.running import end_well, open_for_all, require, run_one, summary
from bench.scenarios import closed, opened
from bench.settings import number_of
from bench.system import System, Tell, started
from local_stack.waiting import now_s, wait_until
from service_runtime.admin import MOST_FINDINGS

SERVICES = ("audit", "settlement", "notification")
RATE = 50
"""Payments a second while a backlog is worked off."""
CAUGHT_UP_WITHIN_S = 600
LIVE_RECORDS = RATE * 10
"""Audit reads eight records of a payment."""
LEAST_PACE = 2.0
"""Times the rate at which the backlog grew."""
COMMAND = "make bench-backlog"


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """A service that has worked off its backlog, and payments meanwhile."""

    service: str
    records: int
    grown_in_s: float
    seconds: float
    during: Measured

    @property
    def pace(self) -> float:
        """Return how many times faster the backlog shrank than it had grown."""
        return self.grown_in_s / self.seconds


def backlog(offset: int, tell: Tell) -> None:
    """Stop each service for DOWN_S seconds at full load, and start it. Raises if it is slow."""
    seconds = number_of("DOWN_S", 30, 3600)
    with started(offset, tell) as system:
        customers = open_for_all(system)
        without = run_one(system, replace(opened(RATE), name="no backlog"), customers)
        found = [_of(system, customers, name, seconds) for name in SERVICES]
        ending = end_well(system)
    _write(without, found)
    require([without, *(one.during for one in found)], ending)
    if slow := [f"{one.service} at {one.pace:.1f} x" for one in found if one.pace < LEAST_PACE]:
        raise BenchmarkError(f"{', '.join(slow)}: a backlog shrinks too slowly; next: profile it")


def _of(system: System, customers: Customers, service: str, seconds: int) -> CaughtUp:
    """Stop a service under full load, start it, and measure payments beside its backlog."""
    system.stack.stop_process(service)
    system.note_processes()
    load = replace(closed(256), name=f"without {service}", warm_s=0.0, seconds=float(seconds))
    driven = uvloop.run(drive(system, load, customers))
    customers.pass_on(len(driven.log))
    behind = lag(system, [service])[service]
    system.tell(f"{service}: {behind:,} records behind")
    start_s = now_s()
    system.stack.restart([service])
    system.note_processes()
    with ThreadPoolExecutor(1) as pool:
        caught_up = pool.submit(_until_caught_up, system, service)
        scenario = replace(opened(RATE), name=f"backlog of {service}", warm_s=1.0)
        during = measure(system, scenario, customers)
        found = CaughtUp(service, behind, float(seconds), caught_up.result() - start_s, during)
    system.tell(summary(during))
    system.tell(f"{service}: {behind:,} records in {found.seconds:.1f} s, {found.pace:.1f} x")
    return found


def _until_caught_up(system: System, service: str) -> float:
    """Wait until a service has no more records than the live load brings; return the time."""
    wait_until(
        lambda: lag(system, [service])[service] < LIVE_RECORDS and not _unsent(system, service),
        seconds=CAUGHT_UP_WITHIN_S,
        otherwise=f"{service} has not worked off its backlog: read its log",
        pause_s=0.2,
    )
    return now_s()


def _unsent(system: System, service: str) -> bool:
    return service == "notification" and unfinished(system, service) == MOST_FINDINGS


def _write(without: Measured, found: Sequence[CaughtUp]) -> None:
    rows = [
        (one.service, f"{one.records:,}", f"{one.seconds:.1f}", f"{one.records / one.seconds:,.0f}",
         f"{one.pace:.1f}")
        for one in found
    ]  # fmt: skip
    head = ("", "records", "seconds", "records/s", "times as fast as it grew")
    beside = report.latency_table([without, *(one.during for one in found)])
    fill_long(COMMAND, f"{report.table(head, rows)}\n{RATE} payments/s meanwhile:\n\n{beside}")
