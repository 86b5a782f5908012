"""One run: load, wait for the end of all work, check the gate, compute the cost."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise

import uvloop

from bench import meters, outcomes, processes
from bench.client import Client
from bench.customers import Customers
from bench.gate import Evidence, Fault, faults_of
from bench.generator import closed_loop, open_loop, poisson_arrivals
from bench.meters import Counts
from bench.operations import Latencies, Operation, Outcome, latencies_of
from bench.payer import Payer
from bench.scenarios import Scenario
from bench.system import System
from local_stack.status import resident_bytes
from local_stack.waiting import elapsed_since, now_s, wait_until
from service_runtime.clock import SystemClock

END_WITHIN_S = 120
GENERATOR = "generator"


@dataclass(frozen=True, slots=True)
class Driven:
    """The log of the generator; the window begins after the warm-up."""

    log: list[Operation]
    start_s: float
    end_s: float
    cpu_s: dict[str, float]
    """By process, within the window."""

    @property
    def measured(self) -> list[Operation]:
        """Return the operations intended within the window."""
        return [one for one in self.log if self.start_s <= one.intended_s < self.end_s]

    @property
    def completed(self) -> int:
        """Count successes within the window; a payment with a code counts at its second call."""
        with_code = any(one.step == "code" for one in self.log)
        return sum(
            one.outcome is Outcome.OK
            and self.start_s <= one.ended_s < self.end_s
            and (one.step == "code" or not with_code)
            for one in self.log
        )


@dataclass(frozen=True, slots=True)
class Measured:
    """A run and its cost."""

    scenario: Scenario
    rate: float
    """Payments a second with their result within the window."""
    answers: dict[str, Latencies]
    """By step."""
    settled: Latencies
    outcomes: dict[str, int]
    statuses: dict[int, int]
    cpu_us: dict[str, float]
    """A payment, by process."""
    rest_s: float
    payments: int
    counts: Counts
    memory: dict[str, int]
    """With the share of shared pages, so that processes can be summed up."""
    payment_ids: tuple[str, ...] = ()
    """Of settled payments."""
    pause_s: float = 0.0
    """The longest time without a success within the window."""
    lag: int = 0
    """Records that the payment path had not consumed at the end of the load."""
    faults: list[Fault] = field(default_factory=list)


def measure(system: System, scenario: Scenario, customers: Customers) -> Measured:
    """Run a scenario. Its faults are in `faults`."""
    before, since = meters.read_counts(system), SystemClock().now()
    driven = uvloop.run(drive(system, scenario, customers))
    customers.pass_on(len(driven.log))
    lag, rest_s = _behind(system), _rest(system)
    counts = meters.read_counts(system).since(before)
    evidence = Evidence(
        log=driven.log,
        payments=outcomes.payments_of(system, scenario.run, counts.spans),
        rest_s=rest_s,
        violations=outcomes.violations(system, since),
    )
    found = _measured(system, scenario, driven, (evidence, counts))
    return replace(found, lag=lag)


async def drive(system: System, scenario: Scenario, customers: Customers) -> Driven:
    """Generate the load, and measure CPU within the window."""
    client = Client(*system.found.urls["gateway"])
    payer = Payer(client, customers, scenario)
    act = getattr(payer, scenario.flow)
    length_s = scenario.warm_s + scenario.seconds
    if scenario.rate:
        load = open_loop(poisson_arrivals(scenario.rate, length_s, scenario.seed), act)
    else:
        load = closed_loop(scenario.in_flight, length_s, act)
    loop = asyncio.get_running_loop()
    driving = asyncio.create_task(load)
    await asyncio.sleep(scenario.warm_s)
    start_s, before = loop.time(), cpu_of(system)
    await asyncio.sleep(scenario.seconds)
    end_s, after = loop.time(), cpu_of(system)
    await driving
    client.close()
    cpu_s = {name: after[name] - before[name] for name in after}
    return Driven(payer.log, start_s, end_s, cpu_s)


def cpu_of(system: System) -> dict[str, float]:
    """Return the CPU seconds of every process and of the generator."""
    used = processes.cpu_s(system.roots)
    return used | processes.cpu_s({GENERATOR: processes.OWN_PID})


def _rest(system: System) -> float:
    """Wait until all work has ended, without notification; return the seconds.

    Raises StackError if it does not end: the rest would be counted for the next run.
    """
    start_s = now_s()
    wait_until(
        lambda: not _behind(system) and not outcomes.unfinished(system, "confirm", "settlement"),
        seconds=END_WITHIN_S,
        otherwise="the load has ended, but payments are unfinished: run `countersign check`",
        pause_s=0.2,
    )
    return elapsed_since(start_s)


def _behind(system: System) -> int:
    return sum(meters.lag(system, meters.PAYMENT_PATH).values())


def _measured(
    system: System, scenario: Scenario, driven: Driven, held: tuple[Evidence, Counts]
) -> Measured:
    evidence, counts = held
    payments = max(1, driven.completed)
    seconds = driven.end_s - driven.start_s
    latencies_by = partial(response_times, driven.measured)
    return Measured(
        scenario=scenario,
        rate=driven.completed / seconds,
        answers={step: latencies_by(step) for step in sorted({one.step for one in driven.log})},
        settled=latencies_of(
            one.settled_s * 1000 for one in evidence.payments.values() if one.settled_s is not None
        ),
        outcomes=dict(Counter(one.outcome.value for one in driven.log)),
        statuses=dict(Counter(one.status for one in driven.log)),
        cpu_us={name: used / payments * 1e6 for name, used in driven.cpu_s.items()},
        rest_s=evidence.rest_s,
        payments=len(evidence.payments),
        counts=counts,
        memory={name: resident_bytes(pid) for name, pid in system.roots.items()},
        pause_s=_longest_pause_s(driven),
        payment_ids=tuple(one.payment_id for one in evidence.payments.values() if one.settled),
        faults=faults_of(evidence),
    )


def _longest_pause_s(driven: Driven) -> float:
    ends = sorted(one.ended_s for one in driven.measured if one.outcome is Outcome.OK)
    times = [driven.start_s, *ends, driven.end_s]
    return max(after - before for before, after in pairwise(times))


def response_times(log: Iterable[Operation], step: str) -> Latencies:
    """Return the percentiles of response times; a missing response counts with its timeout.

    Requests refused with 503 are excluded: they are fast and would improve the figures.
    """
    return latencies_of(one.latency_ms for one in log if one.step == step and not one.refused)
