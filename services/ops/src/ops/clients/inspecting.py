"""A system compared with the rules of production: what is running, and what is configured."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from ops.clients import key_files
from ops.clients.addresses import Addresses
from ops.clients.system import System
from ops.clients.topics import run_query
from service_runtime.brokers import Brokers
from service_runtime.production import faults_in

KEYS_AT_MOST = timedelta(days=90)
"""Age from which a key should be rotated."""
KAFKA_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Inspected:
    """One rule; without a fault it holds."""

    about: str
    fault: str | None = None


def inspect(system: System, now: datetime) -> list[Inspected]:
    """Judge everything that is known of the running system."""
    addresses = system.addresses
    found = [*_ready(system), *_kafka(addresses), *_keys(addresses, now), *_configured(addresses)]
    return [*found, *(Inspected(about, fault) for about, fault in addresses.inspections().items())]


def _ready(system: System) -> Iterator[Inspected]:
    with ThreadPoolExecutor() as pool:
        names = sorted(system.addresses.urls)
        for name, fault in zip(names, pool.map(system.unready, names), strict=True):
            yield Inspected(f"{name} is ready", fault)


def _kafka(addresses: Addresses) -> Iterator[Inspected]:
    if addresses.kafka is None:
        return
    brokers = addresses.brokers()
    nobody = Brokers(brokers.servers, tls_ca=brokers.tls_ca)
    refusal = run_query(brokers.refusal(), brokers, KAFKA_WITHIN_S)
    is_open = run_query(nobody.refusal(), brokers, KAFKA_WITHIN_S) is None
    login = refusal and f"{refusal}: compare KAFKA_PASSWORD_FILE with the broker's, `make rotate`"
    yield Inspected("Kafka takes the login of ops", login)
    everybody = "it does: let every listener demand SASL (docs/rights.md)"
    yield Inspected("Kafka takes no client without a login", everybody if is_open else None)


def _keys(addresses: Addresses, now: datetime) -> Iterator[Inspected]:
    if not addresses.ring_folder:
        return
    for ring in key_files.rings_of(addresses.key_files()):
        age, name = now - ring.changed_at, ring.name
        fault = f"it is {age.days} days old: `countersign keys rotate {name}`"
        yield Inspected(f"{name} is young enough", fault if age > KEYS_AT_MOST else None)


def _configured(addresses: Addresses) -> Iterator[Inspected]:
    for process, environment in addresses.environments().items():
        if environment.get("PROFILE") == "prod":
            yield from configured(process, environment)


def configured(process: str, environment: Mapping[str, str]) -> Iterator[Inspected]:
    """Judge the environment of a process by the rules of production."""
    faults = list(faults_in(environment))
    if environment.get("E2E") == "optional":
        yield Inspected(f"{process} accepts plain requests, too (E2E=optional)")
    elif process.startswith("gateway"):
        yield Inspected(f"{process} accepts encrypted requests alone (E2E=required)")
    yield from (Inspected(f"{process} is set up for production", fault) for fault in faults)
    if not faults:
        yield Inspected(f"{process} is set up for production")
