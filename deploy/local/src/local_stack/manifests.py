"""A service's manifest, services/<name>/service.toml: its fields and their limits."""

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from local_stack.errors import StackError

Need = Literal["kafka", "postgres", "redis"]
SecretKind = Literal[
    "key", "token", "signing-key", "sendgrid-key", "partner-secrets", "e2e-ec-keys", "e2e-rsa-keys"
]
MANIFEST = "service.toml"
NAME = r"^[a-z][a-z_]{1,30}$"
"""A service's name is also a Python package, a database role and, with hyphens, a host."""
F = TypeVar("F", bound=BaseModel)


class Fields(BaseModel):
    """Fields of a file; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Setting(Fields):
    """A setting of a process: a value, the path of a secret, or an option of the user.

    One manifest has the `meaning` of a setting; others that share it leave it out, or repeat it.
    One has `made`, the kind of a secret.
    """

    value: str | None = None
    secret: str | None = None
    made: SecretKind | None = None
    meaning: str | None = None

    @property
    def template(self) -> str | None:
        """The value with placeholders; None for an option."""
        return f"{{secret:{self.secret}}}" if self.secret else self.value


class Copies(Fields):
    """A number for one machine, and one for production."""

    local: int = Field(ge=1)
    production: int = Field(ge=1)


class Emitted(Fields):
    """A topic, in the manifest of the service that owns its schema."""

    key: str
    retention_hours: float = Field(gt=0)
    schema_name: str | None = Field(default=None, alias="schema")
    """The CloudEvents type of its records; the topic's own name where it is left out."""
    partitions: Copies | None = None
    dead_letters: bool = True
    owner: Literal["any"] | None = None
    """`any`: every service with a database or with operations may emit it."""


class Operations(Fields):
    """Rights on topics of others, for the people who operate the system."""

    inspects: bool = False
    """It may read every topic and see every group's offsets."""
    redrives: bool = False
    """It may publish dead letters to their topics again."""


Family = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9.-]{2,60}\.\*$")]


class Families(Fields):
    """Topics that begin alike, one for each partner bank: `settlement.reports.*`.

    `countersign partners add` makes them; no manifest emits them.
    """

    reads: tuple[Family, ...] = ()
    writes: tuple[Family, ...] = ()


class Bank(Fields):
    """The partner bank on Kafka that a process is; `make up` adds it.

    Its settings name `kafka-partner-<id>`, what it logs in with, and `partner-key-<id>`, the keys
    that it signs with.
    """

    id: str = Field(pattern=r"^[a-z0-9-]{3,32}$")
    prefixes: tuple[str, ...] = Field(min_length=1)
    partitions: int = Field(default=2, ge=1, le=64)
    format: Literal["json", "iso20022"] = "json"


class ProcessFields(Fields):
    """The fields of one process of a package with several."""

    port: int = Field(ge=1024, le=9999)
    group: str | None = Field(default=None, pattern=NAME)
    """The group that starts it, where it is not the package's."""
    bank: Bank | None = None
    settings: Mapping[str, Setting] = {}


PublicPath = Annotated[str, StringConstraints(pattern=r"^(/[a-z0-9._-]+)+(/\*(/[a-z0-9._-]+)+)?$")]
"""A path and all paths below it; with a segment `*`, which stands for any, that path alone."""


class Manifest(Fields):
    """A service's manifest. Each of its `processes` is a module of the package."""

    group: str = Field(pattern=NAME)
    port: int | None = Field(default=None, ge=1024, le=9999)
    needs: tuple[Need, ...] = ()
    admin: bool = False
    """It owns state: ops reads its `/admin/check` and `/admin/consumed`."""
    mock: bool = False
    """It simulates an external system; it has no internal credentials."""
    scopes: tuple[str, ...] = ()
    """The scopes of its own credential at other services."""
    sessions: bool = False
    """It keeps sessions of browsers in Redis, which it needs."""
    caches: bool = False
    """It keeps answers that may be lost in Redis, which it needs."""
    reader: bool = False
    """It has a second role in its database, `<service>_reader`, for queries that only read."""
    public: tuple[PublicPath, ...] = ()
    """Paths that the gateway forwards to this service, each with all paths below it. A path with a
    segment `*` is forwarded before those that it lies in."""
    uploads: tuple[PublicPath, ...] = ()
    """Of these, or below them: paths whose bodies may have 10 MB."""
    reads: tuple[str, ...] = ()
    """Topics; `*` is every topic, `!NAME` leaves one out."""
    writes: tuple[str, ...] = ()
    """Topics of others that it emits, too; their owners own the schemas."""
    families: Families = Families()
    operations: Operations = Operations()
    emits: Mapping[str, Emitted] = {}
    settings: Mapping[str, Setting] = {}
    processes: Mapping[str, ProcessFields] = {}

    @property
    def first_port(self) -> int:
        """The order of services."""
        return self.port or min(one.port for one in self.processes.values())

    def processes_of(self, package: str) -> Iterator[tuple[str, str, ProcessFields]]:
        """Name, module and fields of each process."""
        if self.port is not None:
            yield package, package, ProcessFields(port=self.port, settings=self.settings)
        for name, fields in self.processes.items():
            yield name, f"{package}.{name}", fields


def read_manifest(path: Path) -> Manifest:
    """Read one manifest. Raises StackError with its file and the field that is wrong."""
    where = f"services/{path.parent.name}/{path.name}"
    try:
        manifest = checked(Manifest, tomllib.loads(path.read_text()), where)
    except tomllib.TOMLDecodeError as error:
        raise StackError(f"{where}: {error}") from None
    if (manifest.port is None) != bool(manifest.processes):
        raise StackError(f"{where}: port: give a port, or processes with a port each")
    return manifest


def checked(kind: type[F], fields: Mapping[str, Any], where: str) -> F:
    """Return validated fields. Raises StackError with the first wrong one."""
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        what = {"extra_forbidden": "unknown field", "missing": "field is missing"}
        raise StackError(f"{where}: {field}: {what.get(first['type'], first['msg'])}") from None
