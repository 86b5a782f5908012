"""The stack in containers: the same commands, carried out by Docker Compose."""

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from local_stack import container_states, discovery, readiness
from local_stack.certificates import AUTHORITY
from local_stack.compose import (
    COMPOSE_FILE,
    PROFILE,
    compose_document,
    compose_place,
    target_of,
)
from local_stack.credentials import Credentials
from local_stack.discovery import RunningStack
from local_stack.environment import Environments
from local_stack.errors import StackError
from local_stack.images import unpinned
from local_stack.inventory import ALL, CORE, Inventory, Service, load_inventory
from local_stack.layout import CHECKOUT, Layout, default_data_folder
from local_stack.partners import add_banks
from local_stack.settings import transport_is_tls, user_settings
from local_stack.status import Row
from local_stack.telemetry.scraping import scrape_by_tls

_READY_WITHIN_S = 180
_COMMAND_WITHIN_S = 1800
_ASK_WITHIN_S = 30
_NO_PLUGIN = (
    "`docker` has no `compose` command: install Docker's Compose plugin (docker-compose-plugin),"
    " or set STACK=native"
)


class ComposeStack:
    """The containers of docker-compose.yml, at the ports of the inventory."""

    def __init__(self) -> None:
        self.inventory: Inventory = load_inventory()
        self.layout = Layout(default_data_folder(0))
        self._credentials = Credentials(self.layout.secrets, private_mode=0o444)

    @property
    def project(self) -> str:
        """The Compose project's name, which is unique to the checkout's folder."""
        return f"countersign-{self.layout.root.parent.name}"

    def build(self) -> None:
        """Build the image of every service of every group."""
        self._compose("build", *builders(self.inventory.services))

    def up(self, services: Sequence[str] = ()) -> None:
        """Build and start the containers of services, or of the core, and wait for them."""
        if _profile() == "prod" and (tagged := unpinned()):
            print(f"warning: not pinned by `make image-digests`: {', '.join(tagged)}")
        names = [self.inventory.service(name).name for name in services] or self._core
        self._credentials.make(self.inventory)
        _make_readable(_mounted_files())
        self._replace(names, "up", "--detach")
        if _profile() != "prod":
            started = [self.inventory.service(name) for name in self._started()]
            add_banks(self.layout, 0, started, print)
        print(f"ready; for `docker compose` by hand:\n{self._exports()}")

    def down(self) -> None:
        """Stop and remove the containers; volumes stay."""
        self._compose("down", "--remove-orphans")
        discovery.forget(self.layout)

    def reset(self) -> None:
        """Remove containers, volumes and secrets."""
        self._compose("down", "--remove-orphans", "--volumes")
        shutil.rmtree(self.layout.root, ignore_errors=True)

    def restart(self, services: Sequence[str]) -> None:
        """Build the images again and replace the containers of these services (of all)."""
        names = [self.inventory.service(name).name for name in services] or sorted(self._started())
        self._replace(names, "up", "--detach", "--force-recreate")

    def status(self) -> list[Row]:
        """State and memory of every container."""
        used = self._ask("stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}")
        memory = {
            name.removeprefix(f"{self.project}-").rpartition("-")[0]: container_states.bytes_of(
                held
            )
            for name, held, *_ in map(str.split, used.splitlines())
        }
        return [
            Row(one.name, one.status, memory.get(one.name, 0), one.description)
            for one in self._states()
        ]

    def logs(self, services: Sequence[str], *, follow: bool) -> None:
        self._compose("logs", "--tail", "100", *(("--follow",) if follow else ()), *services)

    def description(self, names: Iterable[str] = ()) -> RunningStack:
        """The addresses that docker-compose.yml publishes on this machine."""
        ports = self.inventory.ports
        started = self._started() | set(names)
        services = [one for one in self.inventory.services.values() if one.name in started]
        return RunningStack(
            kind="compose",
            kafka=f"127.0.0.1:{ports['kafka']}",
            partners=f"127.0.0.1:{ports['kafka_partners']}",
            postgres=f"127.0.0.1:{ports['postgres']}",
            redis=f"127.0.0.1:{ports['redis']}",
            secrets_folder=str(self.layout.secrets),
            urls={one.name: (self._url_of(one),) for one in services},
            tls=transport_is_tls(),
            admins=tuple(one.name for one in self.inventory.admins(started)),
        )

    def _prometheus_file(self) -> Path:
        """The settings of Prometheus; with TLS those that ask services by it."""
        file = CHECKOUT / "prometheus.yml"
        if not transport_is_tls():
            return file
        settings = yaml.safe_load(file.read_text())
        scrape_by_tls(settings, compose_place().secret)
        written = self.layout.root / file.name
        written.write_text(yaml.safe_dump(settings, sort_keys=False))
        _make_readable([written])
        return written

    def _url_of(self, service: Service) -> str:
        scheme = "http" if service.mock else transport(tls=transport_is_tls())["HTTP_SCHEME"]
        return f"{scheme}://127.0.0.1:{service.port}"

    @property
    def _targets(self) -> Path:
        """The folder from which Prometheus reads the targets of groups other than the core."""
        return self.layout.root / "targets"

    @property
    def _core(self) -> list[str]:
        return [one.name for one in self.inventory.core]

    def _started(self) -> set[str]:
        """The services that this or an earlier command has started."""
        if not self.layout.description.exists():
            return set()
        return set(discovery.find_stack(0, self.layout.root).urls)

    def _replace(self, names: Sequence[str], *command: str) -> None:
        """Build and start services; the whole core brings infrastructure and observability."""
        stack = self.description(names)
        self._targets.mkdir(parents=True, exist_ok=True)
        discovery.describe(self.layout, stack)
        beside = [one for one in map(self.inventory.service, stack.urls) if one.group != CORE]
        targets = json.dumps([{"targets": [target_of(one)]} for one in beside if not one.mock])
        (self._targets / "started.json").write_text(targets)
        named = () if set(self._core) <= set(names) else names
        self._compose("build", *builders(named))
        self._start(*command, *named)
        self._wait_for({name: stack.url(name) for name in names})

    def _start(self, *arguments: str) -> None:
        """Start containers. Raises StackError with the logs of those that failed."""
        try:
            self._compose(*arguments)
        except StackError as error:
            failed = container_states.reports(self._states(), self._last_lines)
            raise StackError("\n".join([str(error), *failed])) from None

    def _wait_for(self, urls: Mapping[str, str]) -> None:
        container_states.Watch(self._states, self._last_lines).wait(_READY_WITHIN_S)
        tls = discovery.find_stack(0, self.layout.root).http_tls
        readiness.wait_for_all(urls, self._last_lines, print, seconds=_READY_WITHIN_S, tls=tls)

    def _states(self) -> list[container_states.Container]:
        ids = self._ask("compose", "ps", "--all", "--quiet").split()
        return container_states.parse(self._ask("inspect", *ids)) if ids else []

    def _last_lines(self, name: str) -> str:
        count = str(readiness.LOG_LINES)
        return self._ask("compose", "logs", "--no-log-prefix", "--tail", count, name).rstrip()

    def _exports(self) -> str:
        return "\n".join(
            f"export {name}={shlex.quote(value)}" for name, value in self._settings().items()
        )

    def _settings(self) -> dict[str, str]:
        """The environment that docker-compose.yml needs."""
        started = self._started()
        groups = {self.inventory.service(name).group for name in started} - {CORE}
        instances = dict.fromkeys(started, 1)
        # Compose fills in no variable within a variable's value.
        place = replace(compose_place(), scheme=transport(tls=transport_is_tls())["HTTP_SCHEME"])
        return {
            "COMPOSE_PROJECT_NAME": self.project,
            "SECRETS_FOLDER": str(self.layout.secrets),
            PROFILE: user_settings([PROFILE]).get(PROFILE, "dev"),
            **transport(tls=transport_is_tls()),
            "TARGETS_FOLDER": str(self._targets),
            "PROMETHEUS_FILE": str(self._prometheus_file()),
            "COMPOSE_PROFILES": ",".join(sorted(groups)) if started else ALL,
            **Environments(self.inventory, place, instances).by_groups(),
        }

    def _compose(self, *arguments: str) -> None:
        _require_plugin()
        done = subprocess.run(
            ["docker", "compose", *arguments],
            check=False,
            cwd=CHECKOUT,
            env=os.environ | self._settings(),
            timeout=None if "--follow" in arguments else _COMMAND_WITHIN_S,
        )
        if done.returncode != 0:
            raise StackError(f"docker compose {arguments[0]} failed")

    def _ask(self, *arguments: str) -> str:
        done = subprocess.run(
            ["docker", *arguments],
            check=False,
            capture_output=True,
            text=True,
            cwd=CHECKOUT,
            env=os.environ | self._settings(),
            timeout=_ASK_WITHIN_S,
        )
        # A program may log to either stream.
        return done.stdout or done.stderr


def transport(*, tls: bool) -> dict[str, str]:
    """The variables by which the containers speak TLS, or not."""
    if not tls:
        return {
            "TLS": "off",
            "TLS_CA": "",
            "KAFKA_PROTOCOL": "SASL_PLAINTEXT",
            "HTTP_SCHEME": "http",
            "POSTGRES_TLS": "",
            "POSTGRES_PLAIN": "true",
            "REDIS_SCHEME": "redis",
            "REDIS_PORT": "6379",
            "REDIS_TLS_PORT": "0",
        }
    secrets = Credentials(Path(compose_place().secret("")))
    return {
        "TLS": "on",
        "TLS_CA": str(secrets.path(AUTHORITY)),
        "KAFKA_PROTOCOL": "SASL_SSL",
        "HTTP_SCHEME": "https",
        "POSTGRES_TLS": secrets.database_options(tls=True),
        "POSTGRES_PLAIN": "false",
        "REDIS_SCHEME": "rediss",
        "REDIS_PORT": "0",
        "REDIS_TLS_PORT": "6379",
    }


def builders(services: Iterable[str]) -> list[str]:
    """The containers that build the images of these services; empty means all."""
    containers = compose_document(load_inventory())["services"]
    wanted = {containers[name]["image"] for name in [*services, "prepare"]}
    if not services:
        return []
    return [name for name, one in containers.items() if "build" in one and one["image"] in wanted]


def _profile() -> str:
    """PROFILE as Compose sees it: of the environment, or of the checkout's .env."""
    dotenv = CHECKOUT / ".env"
    said = re.findall(
        r"^PROFILE=(.*)$", dotenv.read_text() if dotenv.exists() else "", re.MULTILINE
    )
    return os.environ.get("PROFILE", said[-1].strip() if said else "")


def _require_plugin() -> None:
    asked = subprocess.run(
        ["docker", "compose", "version"], check=False, capture_output=True, timeout=_ASK_WITHIN_S
    )
    if asked.returncode != 0:
        raise StackError(_NO_PLUGIN)


def _mounted_files() -> Iterator[Path]:
    """Every file of the checkout that is mounted into a container."""
    containers: Mapping[str, Any] = yaml.safe_load(COMPOSE_FILE.read_text())["services"]
    for container in containers.values():
        for volume in container.get("volumes", ()):
            # A path of the checkout may be the default of a variable.
            if found := re.match(r"(?:\$\{\w+:-)?(\./[^:}]+)", volume):
                source = CHECKOUT / found[1]
                yield source
                yield from source.rglob("*")


def _make_readable(paths: Iterable[Path]) -> None:
    """Make files readable to a container's user: after `umask 077` only their owner may read."""
    for path in paths:
        mode = path.stat().st_mode
        readable = mode | (0o555 if path.is_dir() else 0o444)
        if mode != readable:
            path.chmod(readable)
