"""The inventory: every service's manifest and deploy/stack.yaml, read, checked and joined."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from local_stack.errors import StackError
from local_stack.layout import CHECKOUT
from local_stack.manifests import (
    MANIFEST,
    Bank,
    Emitted,
    Families,
    Manifest,
    Operations,
    ProcessFields,
    Setting,
    checked,
    read_manifest,
)

SHARED = "deploy/stack.yaml"
INFRASTRUCTURE = ("kafka", "postgres", "redis")
PORTS_BETWEEN_INSTANCES = 1000
CORE = "core"
ALL = "all"


@dataclass(frozen=True, slots=True)
class Service:
    """One process and everything that it is started with.

    `environment` holds templates, `options` the settings that are left to the user. `home` is the
    folder of its manifest.
    """

    name: str
    module: str
    home: Path
    port: int
    group: str
    needs: tuple[str, ...]
    admin: bool
    mock: bool
    scopes: tuple[str, ...]
    environment: Mapping[str, str]
    options: tuple[str, ...]
    bank: Bank | None = None
    public: tuple[str, ...] = ()
    uploads: tuple[str, ...] = ()
    sessions: bool = False
    caches: bool = False
    reader: bool = False

    @property
    def database(self) -> bool:
        return "postgres" in self.needs

    @property
    def package(self) -> str:
        """The workspace member that holds it: `mocks` for `mocks.ofac`."""
        return self.module.partition(".")[0]

    def port_of(self, instance: int) -> int:
        return self.port + PORTS_BETWEEN_INSTANCES * instance


@dataclass(frozen=True, slots=True)
class Inventory:
    """Every process, the meaning of each setting, topics, ports and images.

    `ports` holds the infrastructure's by name, the observability's by name and purpose:
    `kafka`, `jaeger_web`. `options` are settings of every process that the user may change.
    `made` says how each secret of a setting is made. `emits`, `reads` and `writes` name topics, by
    package.
    """

    services: Mapping[str, Service]
    ports: Mapping[str, int]
    images: Mapping[str, str]
    options: tuple[str, ...]
    meanings: Mapping[str, str]
    made: Mapping[str, str]
    emits: Mapping[str, Mapping[str, Emitted]]
    reads: Mapping[str, tuple[str, ...]]
    writes: Mapping[str, tuple[str, ...]]
    families: Mapping[str, Families]
    operations: Mapping[str, Operations]
    topic_defaults: Mapping[str, Any]
    dead_letter: Mapping[str, Any]

    def service(self, name: str) -> Service:
        """Find a service. Raises StackError, listing the names there are."""
        if name not in self.services:
            known = ", ".join(self.services)
            raise StackError(f"no service is called {name!r}; there are: {known}")
        return self.services[name]

    @property
    def groups(self) -> tuple[str, ...]:
        """Every group, the core first."""
        return tuple(sorted({one.group for one in self.services.values()}, key=_core_first))

    def of_groups(self, names: Iterable[str]) -> tuple[Service, ...]:
        """The services of groups; `all` is every one. Raises StackError on an unknown group."""
        wanted = set(names)
        for unknown in sorted(wanted - {*self.groups, ALL}):
            known = ", ".join((*self.groups, ALL))
            raise StackError(f"no group is called {unknown!r}; there are: {known}")
        return tuple(s for s in self.services.values() if ALL in wanted or s.group in wanted)

    @property
    def core(self) -> tuple[Service, ...]:
        """What starts unless another group is named."""
        return self.of_groups([CORE])

    @property
    def ours(self) -> tuple[Service, ...]:
        """The services themselves, without the mocks."""
        return tuple(one for one in self.services.values() if not one.mock)

    @property
    def packages(self) -> tuple[str, ...]:
        """Every service's package; one holds all the mocks."""
        return tuple(dict.fromkeys(one.package for one in self.services.values()))

    @property
    def with_database(self) -> tuple[Service, ...]:
        return tuple(one for one in self.services.values() if one.database)

    @property
    def auditing(self) -> tuple[str, ...]:
        """The services that may emit what every service may: the runtime emits it for them."""
        return tuple(
            one.name
            for one in self.services.values()
            if "kafka" in one.needs
            and (one.database or self.operations[one.package] != Operations())
        )

    def readers_of(self, setting: str) -> str:
        """The processes that read a setting: `all`, or their names."""
        found = [
            one.name
            for one in self.services.values()
            if setting in {*one.environment, *one.options, *self.options}
        ]
        return "all" if len(found) == len(self.services) else ", ".join(found)

    def admins(self, started: Iterable[str] = ()) -> tuple[Service, ...]:
        """The services that ops asks: those of the core and of the groups that have started."""
        groups = {CORE, *(self.service(name).group for name in started)}
        return tuple(one for one in self.services.values() if one.admin and one.group in groups)


def _core_first(group: str) -> tuple[bool, str]:
    return group != CORE, group


def load_inventory(checkout: Path = CHECKOUT) -> Inventory:
    """Read and check all files. Raises StackError with the file and the field that is wrong."""
    shared = yaml.safe_load((checkout / SHARED).read_text())
    read = {
        path.parent.name: read_manifest(path) for path in checkout.glob(f"services/*/{MANIFEST}")
    }
    manifests = dict(sorted(read.items(), key=lambda one: one[1].first_port))
    shares = {"all": shared["settings"], **shared["needs"]}
    common = {name: _settings(share) for name, share in shares.items()}
    services = sorted(
        (
            _service(checkout / "services" / package, process, manifest, common)
            for package, manifest in manifests.items()
            for process in manifest.processes_of(package)
        ),
        key=lambda one: (one.mock, one.port),
    )
    said = _explained(manifests, common)
    inventory = Inventory(
        services={one.name: one for one in services},
        ports=_infrastructure_ports(shared["infrastructure"])
        | _observability_ports(shared["observability"]),
        images=_images(shared["infrastructure"] | shared["observability"]),
        options=tuple(shared["options"]),
        meanings={name: one.meaning for _, name, one in said if one.meaning},
        made={one.secret: one.made for _, _, one in said if one.secret and one.made},
        emits={package: one.emits for package, one in manifests.items()},
        reads=_reads(manifests),
        writes={package: one.writes for package, one in manifests.items()},
        families=_families(manifests),
        operations={package: one.operations for package, one in manifests.items()},
        topic_defaults=shared["topics"],
        dead_letter=shared["dead_letter"],
    )
    _check_ports(inventory)
    _check_settings(inventory, said)
    _check_public(inventory)
    return inventory


def _path(package: str) -> str:
    return f"services/{package}/{MANIFEST}"


def _settings(fields: Mapping[str, Any]) -> dict[str, Setting]:
    return {name: checked(Setting, one, f"{SHARED}: {name}") for name, one in fields.items()}


def _service(
    home: Path,
    process: tuple[str, str, ProcessFields],
    manifest: Manifest,
    common: Mapping[str, Mapping[str, Setting]],
) -> Service:
    name, module, fields = process
    shares = ["all", *manifest.needs, *(() if manifest.mock else ("callers",))]
    shares += ["scopes"] if manifest.scopes else []
    settings = {key: one for share in shares for key, one in common[share].items()}
    settings |= fields.settings
    return Service(
        name=name,
        module=module,
        home=home,
        port=fields.port,
        group=fields.group or manifest.group,
        needs=manifest.needs,
        admin=manifest.admin,
        mock=manifest.mock,
        scopes=manifest.scopes,
        environment={key: one.template for key, one in settings.items() if one.template},
        options=tuple(key for key, one in fields.settings.items() if not one.template),
        bank=fields.bank,
        public=manifest.public,
        uploads=manifest.uploads,
        sessions=manifest.sessions,
        caches=manifest.caches,
        reader=manifest.reader,
    )


def _reads(manifests: Mapping[str, Manifest]) -> dict[str, tuple[str, ...]]:
    """Each package's topics, in the order in which they are emitted. Refuses an unknown one."""
    owners: dict[str, str] = {}
    for package, one in manifests.items():
        for topic in one.emits:
            if owners.setdefault(topic, package) != package:
                raise StackError(f"{_path(package)}: emits: {topic} is that of {owners[topic]}")
    known = list(owners)
    for package, one in manifests.items():
        for topic in one.reads:
            if topic.removeprefix("!") not in {*known, "*"}:
                raise StackError(f"{_path(package)}: reads: no service emits {topic}")
        for topic in one.writes:
            if topic not in known or topic in one.emits:
                raise StackError(f"{_path(package)}: writes: no other service emits {topic}")
    return {
        package: tuple(
            topic
            for topic in known
            if topic in one.reads or ("*" in one.reads and f"!{topic}" not in one.reads)
        )
        for package, one in manifests.items()
    }


def _families(manifests: Mapping[str, Manifest]) -> dict[str, Families]:
    """Each package's families of topics. Refuses one that would give a right on another topic."""
    known = [topic for one in manifests.values() for topic in one.emits]
    for package, one in manifests.items():
        for family in (*one.families.reads, *one.families.writes):
            for topic in known:
                if topic.startswith(family.removesuffix("*")):
                    raise StackError(f"{_path(package)}: families: {family} includes {topic}")
    return {package: one.families for package, one in manifests.items()}


def _explained(
    manifests: Mapping[str, Manifest], common: Mapping[str, Mapping[str, Setting]]
) -> list[tuple[str, str, Setting]]:
    """Every setting with the file that names it."""
    found = [(SHARED, name, one) for share in common.values() for name, one in share.items()]
    return found + [
        (_path(package), name, one)
        for package, manifest in manifests.items()
        for _, _, fields in manifest.processes_of(package)
        for name, one in fields.settings.items()
    ]


def _infrastructure_ports(infrastructure: Mapping[str, Any]) -> dict[str, int]:
    ports = {name: infrastructure[name]["port"] for name in INFRASTRUCTURE}
    further = ("controller", "partners")
    return ports | {f"kafka_{one}": infrastructure["kafka"][f"{one}_port"] for one in further}


def _observability_ports(observability: Mapping[str, Any]) -> dict[str, int]:
    return {
        f"{name}_{purpose}": port
        for name, one in observability.items()
        for purpose, port in one["ports"].items()
    }


def _images(parts: Mapping[str, Any]) -> dict[str, str]:
    return {name: one["image"] for name, one in parts.items() if "image" in one}


def _check_ports(inventory: Inventory) -> None:
    taken: dict[int, str] = {port: name for name, port in inventory.ports.items()}
    for one in inventory.services.values():
        if one.port in taken:
            other = taken[one.port]
            raise StackError(f"{_path(one.package)}: port {one.port} is also that of {other}")
        taken[one.port] = one.name


def _check_public(inventory: Inventory) -> None:
    """Refuse a public path that lies in another one: one service must own it.

    One with a `*` is a single path within the paths of a service, and is matched before them.
    """
    owned = [(path, one.package) for one in inventory.services.values() for path in one.public]
    # Operators do not come through the gateway.
    owned.insert(0, ("/admin", "every service"))
    for path, package in owned[1:]:
        for other, owner in owned:
            is_single = "*" in path and owner != "every service" and path != other
            if (path, package) != (other, owner) and f"{path}/".startswith(f"{other}/"):
                if is_single:
                    continue
                raise StackError(f"{_path(package)}: public: {path} is in {other} of {owner}")


def _check_settings(inventory: Inventory, said: Iterable[tuple[str, str, Setting]]) -> None:
    first: dict[str, tuple[str, str]] = {}
    for where, name, one in said:
        if name not in inventory.meanings:
            raise StackError(f"{where}: {name}: meaning is missing")
        if one.meaning:
            other, meaning = first.setdefault(name, (where, one.meaning))
            if meaning != one.meaning:
                raise StackError(f"{where}: {name}: {other} gives it another meaning")
        if one.secret and one.secret not in inventory.made:
            raise StackError(f"{where}: {name}: made is missing: how {one.secret} is made")
