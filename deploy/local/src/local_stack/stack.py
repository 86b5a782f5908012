"""The native stack: the processes of docker-compose.yml, started on this machine.

with Stack(offset=10_000) as stack:
    stack.start_infrastructure()
    stack.start_services(instances={"gateway": 2})
"""

import fcntl
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from local_stack import databases, discovery, kafka, orphans, postgres, readiness, redis
from local_stack.credentials import Credentials
from local_stack.discovery import RunningStack, find_stack
from local_stack.environment import Environments, Place
from local_stack.errors import StackError
from local_stack.inventory import INFRASTRUCTURE, Inventory, Service, load_inventory
from local_stack.layout import CHECKOUT, Layout, default_data_folder
from local_stack.partners import add_banks
from local_stack.ports import Ports, at_loopback, require_free
from local_stack.preparation import prepare_broker, prepare_database, wait_for_port
from local_stack.programs import Program
from local_stack.settings import transport_is_tls, user_settings
from local_stack.status import Row, resident_bytes
from local_stack.supervision import Supervisor
from service_runtime.brokers import Brokers

HIGHEST_INSTANCE = 9
COLLECTOR = "collector"


def silent(_: str) -> None:
    """Report nothing."""


class Stack:
    """One stack: its data folder, its ports, its supervisor. Methods raise StackError.

    `overrides` maps a service to settings that replace the inventory's. `kafka_between`, set before
    the start, is the port of a proxy through which the first broker can also be reached;
    `kafka_is_open` lets clients at that broker's link listener do everything (the benchmark);
    `kafka_brokers` the number of brokers, else that of KAFKA_BROKERS.
    """

    def __init__(
        self,
        offset: int = 0,
        data_folder: Path | None = None,
        *,
        overrides: Mapping[str, Mapping[str, str]] | None = None,
        tell: Callable[[str], None] = silent,
        inventory: Inventory | None = None,
    ) -> None:
        self.inventory = inventory or load_inventory()
        self.ports = Ports(self.inventory, offset)
        self.layout = Layout(data_folder or default_data_folder(offset))
        self.credentials = Credentials(self.layout.secrets)
        self._overrides = overrides or {}
        self.ready_within_s = 60.0
        self.kafka_between: int | None = None
        self.kafka_is_open = False
        self.kafka_brokers = kafka.wanted_brokers()
        self.tls = transport_is_tls()
        self.tell = tell
        self._supervisor = Supervisor(self.layout)
        self.instances = self._started_before()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def broker_count(self) -> int:
        """The number of Kafka's brokers: that of the data folder, else the wanted one."""
        return kafka.formatted(self.layout) or self.kafka_brokers or 1

    @property
    def kafka(self) -> str:
        return at_loopback(map(self.ports.kafka_of, range(self.broker_count)))

    @property
    def brokers(self) -> Brokers:
        """What set-up and tests connect to Kafka with."""
        return self.description().brokers

    @property
    def postgres(self) -> str:
        return f"127.0.0.1:{self.ports.postgres}"

    @property
    def is_running(self) -> bool:
        return self._supervisor.pid is not None

    def description(self) -> RunningStack:
        """Every address of the stack, as `find_stack` returns it to other processes."""
        return RunningStack(
            kind="native",
            kafka=self.kafka,
            partners=at_loopback(map(self.ports.kafka_partners_of, range(self.broker_count))),
            postgres=self.postgres,
            redis=f"127.0.0.1:{self.ports.redis}",
            secrets_folder=str(self.layout.secrets),
            urls={name: self._environments().urls(name) for name in self.instances},
            tls=self.tls,
            admins=tuple(one.name for one in self.inventory.admins(self.instances)),
        )

    def start_infrastructure(self) -> None:
        """Start Kafka, PostgreSQL and Redis, wait for them, and make topics, roles and schemas."""
        with self.alone():
            self._start_infrastructure()

    def start_services(
        self, names: Iterable[str] | None = None, instances: Mapping[str, int] | None = None
    ) -> None:
        """Migrate the databases, start services (the core, or those named) and wait for each."""
        if not self.is_running:
            raise StackError("start the infrastructure first")
        services = [*map(self.inventory.service, names or ())] or [*self.inventory.core]
        with self.alone():
            self.instances |= {one.name: _count(instances or {}, one.name) for one in services}
            self.migrate([one for one in services if one.database])
            programs = [program for one in services for program in self._programs(one)]
            self._require_free(programs)
            self._remove_surplus(services)
            self._supervisor.apply(programs, resumes=True)
            discovery.describe(self.layout, self.description())
            self._wait_for(services)
            started = map(self.inventory.service, self.instances)
            add_banks(self.layout, self.ports.offset, started, self.tell)

    def migrate(self, services: Iterable[Service]) -> None:
        """Bring the services' schemas up to date."""
        services = list(services)
        if services:
            self.tell(f"migrations: {', '.join(one.name for one in services)}")
            databases.migrate(self.postgres, self.credentials, services, self.tell)

    def stop(self) -> None:
        """Stop every process of the data folder and remove its sockets."""
        self.layout.root.mkdir(parents=True, exist_ok=True)
        with self.alone():
            running = self._supervisor.processes()
            self._supervisor.stop(running.keys() - self._infrastructure)
            self._supervisor.shut_down()
            orphans.end(self.layout)
            discovery.forget(self.layout)

    def reset(self) -> None:
        """Stop, and remove the data folder."""
        self.stop()
        shutil.rmtree(self.layout.root)

    def pid(self, name: str, instance: int = 0) -> int:
        """The process id of a service or of part of the infrastructure."""
        found = self._supervisor.processes().get(program_name(name, instance))
        if found is None or not found["pid"]:
            raise StackError(f"{name} instance {instance} does not run")
        return int(found["pid"])

    def stop_process(self, name: str, instance: int = 0) -> None:
        """Stop one process and keep it stopped."""
        self._supervisor.stop([program_name(name, instance)])

    def start_process(self, name: str, instance: int = 0) -> None:
        """Start one process that was stopped; does not wait until it is ready."""
        self._supervisor.resume(program_name(name, instance))

    def restart(self, names: Iterable[str]) -> None:
        """Stop and start services (all their instances) and wait until they are ready."""
        services = [self.inventory.service(name) for name in names]
        programs = [one.name for service in services for one in self._programs(service)]
        self._supervisor.stop(programs)
        for name in programs:
            self._supervisor.resume(name)
        self._wait_for(services)

    def refresh(self) -> None:
        """Restart the running services whose settings have changed, and wait for them."""
        with self.alone():
            running = self._supervisor.processes()
            services = [self.inventory.service(name) for name in self.instances if name in running]
            self._supervisor.apply(program for one in services for program in self._programs(one))
            self._wait_for(services)

    def states(self) -> dict[str, Row]:
        """State, memory and description (process id, time up) of every process, by name."""
        return {
            name: Row(name, one["statename"], resident_bytes(one["pid"]), one["description"])
            for name, one in self._supervisor.processes().items()
        }

    def environment_of(self, service: str, instance: int = 0) -> dict[str, str]:
        """The environment of a process, without inherited variables such as PATH."""
        options = self.inventory.service(service).options
        return (
            self._environments().of(service, instance)
            | user_settings((*self.inventory.options, *options))
            | dict(self._overrides.get(service, {}))
        )

    def _started_before(self) -> dict[str, int]:
        """The number of instances of each service that an earlier command has started."""
        if not (self.is_running and self.layout.description.exists()):
            return {}
        return {name: len(urls) for name, urls in find_stack(0, self.layout.root).urls.items()}

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the data folder's lock: concurrent commands wait for one another."""
        self.layout.make()
        with self.layout.lock.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _start_infrastructure(self) -> None:
        self.credentials.make(self.inventory)
        if not self.is_running:
            orphans.end(self.layout)
        kafka.require_count(self.broker_count, self.kafka_brokers)
        listening = {"tls": self.tls, "is_open": self.kafka_is_open}
        cluster = kafka.Cluster(self.broker_count, self.kafka_between, **listening)
        programs = [
            *kafka.prepare(self.layout, self.ports, self.credentials, cluster),
            postgres.prepare(self.layout, self.ports.postgres, self.credentials, tls=self.tls),
            redis.program(self.layout, self.ports.redis, self.credentials, tls=self.tls),
        ]
        self._require_free(programs)
        self._supervisor.start()
        self._supervisor.apply(programs)
        self._prepare_infrastructure()

    def adopt_infrastructure(self) -> None:
        """Use infrastructure that already listens at this stack's ports, such as containers."""
        with self.alone():
            self._supervisor.start()
            self._prepare_infrastructure()

    def _prepare_infrastructure(self) -> None:
        """Wait for each part; make topics, roles and schemas; write the stack's description."""
        prepare_database(self.postgres, self.credentials, self.inventory, self.tell)
        wait_for_port("redis", self.ports.redis)
        self.tell(f"redis is ready at 127.0.0.1:{self.ports.redis}")
        for broker in range(self.broker_count):
            wait_for_port(kafka.name_of(broker), self.ports.kafka_of(broker))
        prepare_broker(self.brokers, self.credentials, self.inventory, self.tell, self.broker_count)
        discovery.describe(self.layout, self.description())

    def _wait_for(self, services: Iterable[Service]) -> None:
        urls = {
            program_name(one.name, instance): url
            for one in services
            for instance, url in enumerate(self._environments().urls(one.name))
        }
        logs = self.layout.logs
        readiness.wait_for_all(
            urls,
            lambda name: readiness.last_lines(logs / f"{name}.log"),
            self.tell,
            seconds=self.ready_within_s,
            tls=self.description().http_tls,
        )

    def _remove_surplus(self, services: Iterable[Service]) -> None:
        """Stop instances beyond the requested number."""
        known = {
            program_name(one.name, number)
            for one in services
            for number in range(self.instances[one.name], HIGHEST_INSTANCE + 1)
        }
        self._supervisor.remove(known & self._supervisor.processes().keys())

    def _programs(self, service: Service) -> Iterator[Program]:
        state = self.layout.state_of(service.name)
        state.mkdir(parents=True, exist_ok=True)
        for instance in range(self.instances[service.name]):
            yield Program(
                program_name(service.name, instance),
                (sys.executable, "-m", service.module),
                CHECKOUT,
                self.environment_of(service.name, instance),
            )

    @property
    def _infrastructure(self) -> set[str]:
        return {*INFRASTRUCTURE, *map(kafka.name_of, range(self.broker_count))}

    def _require_free(self, programs: Iterable[Program]) -> None:
        running = self._supervisor.processes()
        wanted = [program for program in programs if program.name not in running]
        require_free((one.name, port) for one in wanted for port in self._ports_of(one))

    def _ports_of(self, program: Program) -> tuple[int, ...]:
        match program.name:
            case name if name.partition("-")[0] == "kafka":
                return self.ports.of_broker(int(name.partition("-")[2] or 0))
            case "postgres":
                return (self.ports.postgres,)
            case "redis":
                return (self.ports.redis,)
            case _:
                return (int(program.environment["PORT"]),)

    def _collector(self) -> str:
        """Where services send telemetry; empty without a collector, because sending costs CPU."""
        observed = COLLECTOR in self._supervisor.processes()
        return f"127.0.0.1:{self.ports.at('collector_otlp')}" if observed else ""

    def _environments(self) -> Environments:
        ports = self.ports
        place = Place(
            kafka=self.kafka,
            postgres=self.postgres,
            redis=f"127.0.0.1:{ports.redis}",
            collector=self._collector(),
            **ports.observing | (self.credentials.transport() if self.tls else {}),
            host="127.0.0.1",
            at=lambda name, _, instance: f"127.0.0.1:{ports.of(name, instance)}",
            secret=lambda name: str(self.credentials.path(name)),
            state=lambda name: str(self.layout.state_of(name)),
            port=lambda service, instance: ports.of(service.name, instance),
        )
        return Environments(self.inventory, place, self.instances)


def _count(counts: Mapping[str, int], service: str) -> int:
    count = counts.get(service, 1)
    if not 1 <= count <= HIGHEST_INSTANCE + 1:
        raise StackError(f"{service}: instances must be 1 to {HIGHEST_INSTANCE + 1}, not {count}")
    return count


def program_name(service: str, instance: int = 0) -> str:
    """The name of a process in status and logs: `gateway`, `gateway-1`."""
    return f"{service}-{instance}" if instance else service
