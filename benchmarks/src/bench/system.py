"""The measured system: the empty native stack with production settings."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import psycopg
from psycopg.rows import dict_row

from local_stack.discovery import RunningStack
from local_stack.inventory import INFRASTRUCTURE, Inventory, load_inventory
from local_stack.kafka import Cluster
from local_stack.stack import Stack, program_name
from local_stack.telemetry import observation
from ops.clients.addresses import Addresses
from testbed.stack import fresh_stack

DEFAULT_OFFSET = 7_000
"""Differs from `make up` (0) and the tests (10,000)."""
MOCKS = tuple(one.name for one in load_inventory().core if one.mock)
UNLIMITED_CODES = dict.fromkeys(
    ("LIVE_CHALLENGES", "CHALLENGES_PER_HOUR", "CHALLENGES_PER_DAY"), "100000"
)
"""Limits for a few thousand customers who pay with codes for hours."""
_ACCOUNT = "AC" + "1" * 32

Tell = Callable[[str], None]
Overrides = Mapping[str, Mapping[str, str]]


def production_settings(inventory: Inventory, **everywhere: str) -> dict[str, dict[str, str]]:
    """Return each process's settings: PROFILE=prod and defaults, except for the mocks.

    One-time codes are fixed, so that the generator reads no messages; the messages are sent.
    """
    real = {name: {"PROFILE": "prod", **everywhere} for name in inventory.services}
    for mock in MOCKS:
        real[mock]["PROFILE"] = "dev"
    real["otp"] |= {"PROFILE": "dev", **UNLIMITED_CODES}
    # The load is plain; what encryption costs is measured by itself (`make bench-encryption`).
    real["gateway"]["E2E"] = "optional"
    real["notification"]["TWILIO_ACCOUNT_SID"] = _ACCOUNT
    return real


@dataclass
class System:
    """A running system with its processes and database."""

    stack: Stack
    tell: Tell
    roots: dict[str, int] = field(default_factory=dict)
    """The process ids by name."""

    @property
    def found(self) -> RunningStack:
        return self.stack.description()

    @property
    def addresses(self) -> Addresses:
        """The addresses, with the credential of ops."""
        stack = self.found
        return Addresses(
            urls={name: urls[0] for name, urls in stack.urls.items()},
            kafka=partial(stack.brokers_as, "ops"),
            credential_file=str(stack.credentials.path("internal-credential-ops")),
            admins=stack.admins,
        )

    def note_processes(self) -> None:
        """Look up the process ids again after a restart."""
        names = {name: (name, 0) for name in (*INFRASTRUCTURE, *observation.NAMES)}
        names |= {program_name("kafka", n): ("kafka", n) for n in range(self.stack.broker_count)}
        for name, count in self.stack.instances.items():
            names |= {program_name(name, one): (name, one) for one in range(count)}
        running = {name for name, row in self.stack.states().items() if row.state == "RUNNING"}
        self.roots = {name: self.stack.pid(*names[name]) for name in running & names.keys()}

    @contextmanager
    def database(self) -> Iterator[psycopg.Cursor[dict[str, object]]]:
        """Read all tables, as the superuser."""
        with (
            psycopg.connect(self.found.admin_dsn, autocommit=True) as connection,
            connection.cursor(row_factory=dict_row) as cursor,
        ):
            yield cursor


@contextmanager
def started(offset: int, tell: Tell) -> Iterator[System]:
    """Start the whole system on separate ports with empty tables and topics; stop it at the end."""
    with infrastructure(offset, tell) as system:
        start(system)
        yield system


@contextmanager
def infrastructure(
    offset: int,
    tell: Tell,
    *,
    inventory: Inventory | None = None,
    brokers: int = 1,
    is_open: bool = False,
    **everywhere: str,
) -> Iterator[System]:
    """Start Kafka, PostgreSQL and Redis only; services get the further settings.

    `is_open`: Kafka has a further listener without logins and rights.
    """
    # Migrations read it: no development seeds.
    os.environ["PROFILE"] = "prod"
    os.environ.setdefault("TLS", "off")
    inventory = inventory or load_inventory()
    overrides = production_settings(inventory, **everywhere)
    cluster = Cluster(brokers, is_open=is_open)
    with fresh_stack(offset, overrides, tell, inventory=inventory, cluster=cluster) as stack:
        yield System(stack, tell)


def start(
    system: System,
    instances: Mapping[str, int] | None = None,
    names: Iterable[str] | None = None,
) -> None:
    """Start all services, or those named, and wait until they are ready."""
    system.stack.start_services(names, instances)
    system.note_processes()


def restart_with(system: System, inventory: Inventory | None = None, /, **everywhere: str) -> None:
    """Restart all services with additional settings, or as the processes of another inventory."""
    inventory = inventory or system.stack.inventory
    overrides = production_settings(inventory, **everywhere)
    offset = system.stack.ports.offset
    stack = Stack(offset, overrides=overrides, tell=system.tell, inventory=inventory)
    stack.refresh()
    system.stack = stack
    system.note_processes()
