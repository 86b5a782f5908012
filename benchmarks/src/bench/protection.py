"""`make bench-protection`: what MACs, and logins with rights at Kafka, cost a payment.

Windows with and without them in turn, each after a restart of all services. The rate and the CPU
of a window vary by more than the goal. So what decides is the time of one signature and one
verification, times the records of a payment, and the broker's CPU of one request, times the
requests of a payment.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from bench import documents, without_macs
from bench.customers import Customers
from bench.measuring import Measured
from bench.report import cpu_us, table
from bench.results import PERFORMANCE
from bench.rights import RequestCost, request_cost
from bench.running import end_well, open_for_all, require, run_one
from bench.scenarios import WARM_UP, closed
from bench.settings import number_of
from bench.system import System, Tell, infrastructure, restart_with, start
from local_stack.inventory import Inventory, Service, load_inventory
from payment_schemas.events.risk import RiskAssessed
from payment_schemas.registry import BY_TYPE
from service_runtime.keys import KeyRing
from service_runtime.message_macs import MessageMacs
from service_runtime.messages import ProducerRecord

COMMAND = "make bench-protection"
PRODUCTION, NO_MACS, NO_RIGHTS = "as in production", "without MACs", "without logins and rights"
MODES = (PRODUCTION, NO_MACS, NO_RIGHTS)
WITH_KEYS = ("gateway", "confirm", "risk", "otp", "settlement", "notification")
SERVERS = "KAFKA_BOOTSTRAP_SERVERS"
LOGIN = ("KAFKA_USER", "KAFKA_PASSWORD_FILE")
WINDOW = closed(64, warm_s=4.0, seconds=8.0)
GOAL = 0.02
"""Of the CPU of a payment, and so of the rate: the machine is busy. Source: issue 13."""
RECORD_BYTES = 430
REPEATS, TRIES = 5_000, 7

Rounds = Mapping[str, Sequence[Measured]]


@dataclass(frozen=True, slots=True)
class MacCost:
    """What one record with a MAC costs, CPU µs."""

    sign_us: float
    verify_us: float


def protection(offset: int, tell: Tell) -> None:
    """Measure each mode once in each of ROUNDS rounds; fill docs/performance.md."""
    rounds = number_of("ROUNDS", 3, 20)
    # Production refuses a broker without a login; the profile changes nothing else of a window.
    with infrastructure(offset, tell, is_open=True, PROFILE="dev") as system:
        start(system)
        customers = open_for_all(system)
        run_one(system, WARM_UP, customers)
        found = _in_turn(system, customers, rounds)
        _change(system, PRODUCTION, rounds * len(MODES))
        require([run for runs in found.values() for run in runs], end_well(system))
        of_a_request = request_cost(system)
    shown = results(found, mac_cost(), of_a_request)
    documents.fill(PERFORMANCE, COMMAND, shown)
    tell(f"wrote {PERFORMANCE}\n\n{shown}")


def _in_turn(system: System, customers: Customers, rounds: int) -> Rounds:
    """Measure every mode after a restart of its own; every other round goes backwards."""
    found: dict[str, list[Measured]] = {mode: [] for mode in MODES}
    for number in range(rounds):
        for place, mode in enumerate(MODES[:: -1 if number % 2 else 1]):
            _change(system, mode, number * len(MODES) + place)
            name = f"protection {mode} {number}"
            found[mode].append(run_one(system, replace(WINDOW, name=name), customers))
    return found


def _change(system: System, mode: str, window: int) -> None:
    """Restart all services for a mode: another setting for each window sees to it."""
    inventory = inventory_of(mode, f"127.0.0.1:{system.stack.ports.kafka_link}")
    restart_with(system, inventory, PROFILE="dev", BENCH_WINDOW=str(window))


def inventory_of(mode: str, open_listener: str) -> Inventory:
    """Return the processes of a mode; mocks stay as they are."""
    inventory = load_inventory()
    return replace(
        inventory,
        services={
            name: one if one.mock else _process(one, mode, open_listener)
            for name, one in inventory.services.items()
        },
    )


def _process(service: Service, mode: str, open_listener: str) -> Service:
    if mode == NO_MACS and service.name in WITH_KEYS:
        environment = {**service.environment, without_macs.MODULE: service.module}
        return replace(service, module=without_macs.__name__, environment=environment)
    if mode == NO_RIGHTS and SERVERS in service.environment:
        without = {name: one for name, one in service.environment.items() if name not in LOGIN}
        return replace(service, environment={**without, SERVERS: open_listener})
    return service


def mac_cost() -> MacCost:
    """Measure one signature and one verification of a typical record: the best of some tries."""
    macs = MessageMacs()
    macs.add(KeyRing(b"k" * 32), [RiskAssessed])
    names = ("ce_id", "ce_type", "ce_source", "ce_subject", "ce_time", "traceparent")
    headers = tuple((name, b"1649ffcc-4257-5b1e-bdec-8465d8067f4b") for name in names)
    record = ProducerRecord(RiskAssessed.topic, b"key", b"x" * RECORD_BYTES, headers)
    signed = macs.signed(record)
    return MacCost(
        _best_us(lambda: macs.signed(record)),
        _best_us(lambda: macs.verify(signed.topic, signed.headers, signed.value)),
    )


def _best_us(act: Callable[[], object]) -> float:
    def once() -> float:
        begin = time.process_time_ns()
        for _ in range(REPEATS):
            act()
        return (time.process_time_ns() - begin) / REPEATS / 1000

    return min(once() for _ in range(TRIES))


def results(found: Rounds, of_a_record: MacCost, of_a_request: RequestCost) -> str:
    """Return the windows, what a MAC costs, and whether the goals are reached."""
    head = (
        "", "payments/s", "ratio", "CPU µs", "ratio",
        "of Kafka", "of the services with keys",
    )  # fmt: skip
    rounds, seconds = len(found[PRODUCTION]), WINDOW.seconds
    about = (
        f"{rounds} windows of {seconds:.0f} s each in turn, {WINDOW.in_flight} in flight, every one"
        " after a restart of all services. Medians; ratio: to the window as in production of the"
        " same round (least … greatest)."
    )
    rows = [_row(found, mode) for mode in MODES]
    of_macs, macs = _of_macs(found, of_a_record)
    of_rights, rights = _of_rights(found, of_a_request)
    reached = "yes" if of_macs + of_rights <= GOAL else "no"
    sums = (
        f"Together {of_macs + of_rights:.1%}; goal: at most {GOAL:.0%}: {reached}. With fetches"
        f" that find nothing, too, it is reached up to {_room(found, of_macs, of_a_request):,.0f}"
        " requests a payment."
    )
    return f"{about}\n\n{table(head, rows)}\n* {macs}\n* {rights}\n* {sums}\n"


def _row(found: Rounds, mode: str) -> Sequence[object]:
    runs = found[mode]
    return (
        mode,
        f"{median(run.rate for run in runs):,.0f}",
        _ratios(found, mode, lambda run: run.rate),
        f"{median(map(cpu_us, runs)):,.0f}",
        _ratios(found, mode, cpu_us),
        f"{median(map(_of_kafka, runs)):,.0f}",
        f"{median(sum(run.cpu_us[name] for name in WITH_KEYS) for run in runs):,.0f}",
    )


def _ratios(found: Rounds, mode: str, figure: Callable[[Measured], float]) -> str:
    pairs = zip(found[mode], found[PRODUCTION], strict=True)
    ratios = sorted(figure(run) / figure(base) for run, base in pairs)
    return f"{median(ratios):.2f} ({ratios[0]:.2f} … {ratios[-1]:.2f})"


def _of_kafka(run: Measured) -> float:
    return run.cpu_us["kafka"]


def _of_macs(found: Rounds, cost: MacCost) -> tuple[float, str]:
    """Return the share of MACs in a payment's CPU, from the cost of one record."""
    acted_on = {event.topic for event in BY_TYPE.values() if event.acting_readers}
    runs = found[PRODUCTION]
    records = median(
        sum(run.counts.records.get(topic, 0) for topic in acted_on) / run.payments for run in runs
    )
    share = records * (cost.sign_us + cost.verify_us) / median(map(cpu_us, runs))
    return share, (
        f"MACs: {cost.sign_us:.1f} µs to sign and {cost.verify_us:.1f} µs to verify a record of"
        f" {RECORD_BYTES} bytes, {records:.1f} records a payment: {share:.1%} of its CPU."
    )


def _of_rights(found: Rounds, cost: RequestCost) -> tuple[float, str]:
    """Return the share of logins and rights in a payment's CPU, from the cost of one request.

    A consumed batch was fetched by one request, and what follows from it is published by one.
    Fetches that find nothing are not known; `_room` says how many there may be.
    """
    runs = found[PRODUCTION]
    requests = median(
        2 * sum(batches for batches, _ in run.counts.batches.values()) / run.payments
        for run in runs
    )
    share = requests * cost.median_us / median(map(cpu_us, runs))
    return share, (
        f"Logins and rights: {cost.median_us:.1f} µs ({cost.least_us:.1f} … {cost.greatest_us:.1f})"
        f" of the broker a request, {requests:.1f} requests with records a payment: {share:.1%} of"
        " its CPU."
    )


def _room(found: Rounds, of_macs: float, cost: RequestCost) -> float:
    """Return how many requests a payment may cause, empty fetches included, within the goal."""
    return (GOAL - of_macs) * median(map(cpu_us, found[PRODUCTION])) / max(cost.median_us, 0.1)
