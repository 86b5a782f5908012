"""The addresses of the running stack, for `countersign` and for tests.

stack = find_stack()
stack.kafka, stack.url("gateway"), stack.dsn("confirm")
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from local_stack.certificates import AUTHORITY, certificate_name
from local_stack.credentials import (
    ADMIN_PASSWORD,
    Credentials,
    owner_password_name,
    password_name,
    principal_name,
    redis_name,
)
from local_stack.errors import StackError
from local_stack.layout import Layout, default_data_folder
from local_stack.rights import ADMIN
from service_runtime.brokers import Brokers
from service_runtime.tls import Certificates

_DATABASE = "countersign"


@dataclass(frozen=True, slots=True)
class RunningStack:
    """The addresses of a stack that has been started. Host and port are `host:port`."""

    kind: str
    kafka: str
    postgres: str
    redis: str
    secrets_folder: str
    urls: Mapping[str, tuple[str, ...]]
    partners: str = ""
    """Where Kafka listens for partner banks: always TLS."""
    tls: bool = False
    """Whether everything but the mocks is reached by TLS."""
    admins: tuple[str, ...] = ()
    """The services that own state and answer for it under `/admin`."""

    @property
    def credentials(self) -> Credentials:
        return Credentials(Path(self.secrets_folder))

    @property
    def http_tls(self) -> Certificates | None:
        """What set-up, tests and the command call services with, as ops."""
        if not self.tls:
            return None
        certificate = self.credentials.path(certificate_name("ops"))
        return Certificates(str(certificate), str(self.credentials.path(AUTHORITY)))

    @property
    def brokers(self) -> Brokers:
        """What set-up and tests connect to Kafka with: the principal that may do everything."""
        return self.brokers_as(ADMIN)

    def brokers_as(self, principal: str) -> Brokers:
        """What a principal connects to Kafka with."""
        return self.credentials.brokers(self.kafka, principal, tls=self.tls)

    def kafka_environment(self, principal: str = ADMIN) -> dict[str, str]:
        """The same as the variables of a process."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka,
            "KAFKA_USER": principal,
            "KAFKA_PASSWORD_FILE": str(self.credentials.path(principal_name(principal))),
            "KAFKA_TLS_CA": self.brokers_as(principal).tls_ca,
        }

    @property
    def redis_url(self) -> str:
        """Redis' address with the user that may do everything, for tests."""
        scheme = "rediss" if self.tls else "redis"
        return f"{scheme}://{ADMIN}:{self.credentials.read(redis_name(ADMIN))}@{self.redis}/0"

    @property
    def admin_dsn(self) -> str:
        """The superuser's connection string, for tests and set-up."""
        return self._dsn("postgres", ADMIN_PASSWORD)

    def dsn(self, service: str) -> str:
        """The connection string of a service's own role, its password included."""
        return self._dsn(service, password_name(service))

    def owner_dsn(self, service: str) -> str:
        """The connection string of the role that owns a service's schema."""
        return self._dsn(f"{service}_owner", owner_password_name(service))

    def url(self, service: str, instance: int = 0) -> str:
        """The address of a process. Raises StackError where it was not started."""
        try:
            return self.urls[service][instance]
        except (KeyError, IndexError):
            raise StackError(f"{service} instance {instance} is not part of the stack") from None

    def _dsn(self, role: str, secret: str) -> str:
        password = self.credentials.read(secret)
        return f"postgresql://{role}:{password}@{self.postgres}/{_DATABASE}"


def find_stack(offset: int = 0, data_folder: Path | None = None) -> RunningStack:
    """Read the description of this checkout's stack. Raises StackError where none was started."""
    layout = Layout(data_folder or default_data_folder(offset))
    try:
        found = json.loads(layout.description.read_text())
    except FileNotFoundError:
        raise StackError("no stack is running: start it with `make up`") from None
    found["urls"] = {name: tuple(urls) for name, urls in found["urls"].items()}
    found["admins"] = tuple(found["admins"])
    return RunningStack(**found)


def describe(layout: Layout, stack: RunningStack) -> None:
    """Write the description down for `find_stack`."""
    draft = layout.description.with_suffix(".draft")
    draft.write_text(json.dumps(asdict(stack), indent=2) + "\n")
    draft.rename(layout.description)


def forget(layout: Layout) -> None:
    """Remove the description, once nothing runs."""
    layout.description.unlink(missing_ok=True)
