"""The environment of a process: the inventory's templates with their placeholders filled in."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from local_stack.errors import StackError
from local_stack.inventory import Inventory, Service
from local_stack.layout import CHECKOUT

_WORD = re.compile(r"\{([a-z_]+)\}")
_CALL = re.compile(r"\{([a-z_]+):([a-z0-9_,-]+)\}")
_BY_GROUPS = re.compile(r"\{(admin_urls|runs:[^}]*|url:[^}]*,[^}]*)\}")


def follows_groups(template: str) -> bool:
    """Return whether a setting depends on the groups that have started."""
    return _BY_GROUPS.search(template) is not None


@dataclass(frozen=True, slots=True)
class Place:
    """The addresses inside a stack: ports of this machine, or names in Compose's network.

    `url` takes a service's name, its port in the inventory and the instance.
    """

    kafka: str
    postgres: str
    redis: str
    collector: str
    host: str
    at: Callable[[str, int, int], str]
    """Host and port of an instance of a service with that port."""
    secret: Callable[[str], str]
    state: Callable[[str], str]
    prometheus: str = ""
    """Where Prometheus responds while something observes."""
    jaeger: str = ""
    """Where Jaeger's query API responds while something observes."""
    traces: str = ""
    """Where a browser of this machine finds a trace: its id follows."""
    tls_ca: str = ""
    scheme: str = "http"
    """Of the services; the mocks have plain HTTP."""
    redis_scheme: str = "redis"
    postgres_tls: str = ""
    http_tls: Callable[[str], str] = lambda _: ""
    """By service the path of its certificate for HTTP; empty without TLS."""
    clients: str = str(CHECKOUT / "clients")
    """The folder of the client libraries and pages."""
    port: Callable[[Service, int], int] = field(default=Service.port_of)


@dataclass(frozen=True, slots=True)
class Environments:
    """The environments of all processes, for one place and numbers of instances."""

    inventory: Inventory
    place: Place
    instances: Mapping[str, int] = field(default_factory=dict)
    """Of the services that have started: `{url:A,B}` is the first one, `{url:A,}` A or nothing."""

    def of(self, name: str, instance: int = 0) -> dict[str, str]:
        """The environment of one process. Raises StackError on a placeholder that is unknown."""
        service = self.inventory.service(name)
        words = self._words(service, instance)
        return {
            key: self._render(template, words, f"{name}: {key}")
            for key, template in service.environment.items()
        }

    def by_groups(self) -> dict[str, str]:
        """The settings of all processes that depend on the groups that have started."""
        return {
            key: self.of(service.name)[key]
            for service in self.inventory.services.values()
            for key, template in service.environment.items()
            if follows_groups(template)
        }

    def urls(self, name: str) -> tuple[str, ...]:
        """The addresses of a service, by instance."""
        return tuple(self._url(name, one) for one in range(self.instances.get(name, 1)))

    def _url(self, name: str, instance: int = 0) -> str:
        service = self.inventory.service(name)
        scheme = "http" if service.mock else self.place.scheme
        return f"{scheme}://{self.place.at(name, service.port, instance)}"

    def _browser_url(self, name: str) -> str:
        """The address by which a browser of this machine reaches a process."""
        service = self.inventory.service(name)
        scheme = "http" if service.mock else self.place.scheme
        return f"{scheme}://localhost:{self.place.port(service, 0)}"

    def _words(self, service: Service, instance: int) -> dict[str, str]:
        place = self.place
        return {
            "kafka": place.kafka,
            "postgres": place.postgres,
            "redis": place.redis,
            "collector": place.collector,
            "prometheus": place.prometheus,
            "jaeger": place.jaeger,
            "traces": place.traces,
            "tls_ca": place.tls_ca,
            "redis_scheme": place.redis_scheme,
            "postgres_tls": place.postgres_tls,
            "http_tls": place.http_tls(service.name),
            "http_tls_ca": place.tls_ca,
            "host": place.host,
            "service": service.name,
            "instance": str(instance),
            "port": str(place.port(service, instance)),
            "state": place.state(service.name),
            "clients": place.clients,
            "admin_urls": self.admin_urls(),
            "public_routes": self._public_routes(),
            "upload_paths": ",".join(
                path for one in self.inventory.services.values() for path in one.uploads
            ),
        }

    def admin_urls(self) -> str:
        """The owners of state, those of the core and of the groups that have started, as JSON."""
        addresses = {one.name: self._url(one.name) for one in self.inventory.admins(self.instances)}
        return json.dumps(addresses, separators=(",", ":"))

    def _first_started(self, names: str) -> str:
        """Return the first of several services that has started, or the last name."""
        *preferred, last = names.split(",")
        return next((name for name in preferred if name in self.instances), last)

    def _public_routes(self) -> str:
        """Each public path and the addresses of its service, as JSON, also of one not started."""
        routes = {
            path: ",".join(self.urls(one.name))
            for one in self.inventory.services.values()
            for path in one.public
        }
        return json.dumps(routes, separators=(",", ":"))

    def _render(self, template: str, words: Mapping[str, str], where: str) -> str:
        def word(found: re.Match[str]) -> str:
            if found[1] not in words:
                raise StackError(f"manifest of {where}: unknown placeholder {found[0]}")
            return words[found[1]]

        def call(found: re.Match[str]) -> str:
            match found[1]:
                case "url":
                    name = self._first_started(found[2])
                    return self._url(name) if name else ""
                case "runs":
                    return str(found[2] in self.instances).lower()
                case "browser":
                    return self._browser_url(found[2])
                case "urls":
                    return ",".join(self.urls(found[2]))
                case "secret":
                    return self.place.secret(found[2])
                case _:
                    raise StackError(f"manifest of {where}: unknown placeholder {found[0]}")

        return _CALL.sub(call, _WORD.sub(word, template))
