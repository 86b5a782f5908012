"""docker-compose.yml, generated from the inventory and deploy/compose.template.yaml."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from local_stack.addresses import traces_of
from local_stack.certificates import AUTHORITY, certificate_name
from local_stack.credentials import (
    ADMIN_PASSWORD,
    MONITOR_PASSWORD,
    password_name,
    principal_name,
    secret_names,
)
from local_stack.environment import Environments, Place, follows_groups
from local_stack.inventory import ALL, CORE, Inventory, Service
from local_stack.layout import CHECKOUT
from local_stack.rights import principals

COMPOSE_FILE = CHECKOUT / "docker-compose.yml"
TEMPLATE = CHECKOUT / "deploy" / "compose.template.yaml"
"""Follows the groups that `make up` has started."""
STATE_FOLDER = "/var/lib/countersign"
CLIENTS_FOLDER = "/clients"
"""Pages that the set-up has built beside the images, which do not contain them."""
_HEADER = (
    "# Generated from services/*/service.toml, deploy/stack.yaml and deploy/compose.template.yaml:"
    " `make generate`.\n"
)
_MARK = re.compile(r"\{\{(image|port):([a-z_]+)\}\}")
_SECRETS_FOLDER = "${SECRETS_FOLDER:?start with make up, or set it to the folder of secrets}"
_FIRST_JOB = "prepare"
PROFILE = "PROFILE"
_DEMANDED = "${PROFILE:?start with make up, or set it to dev or prod}"
# Without limits the engine keeps every line until the disk is full.
_LOGGING = {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}}


def compose_text(inventory: Inventory) -> str:
    """The whole file."""
    return _HEADER + yaml.safe_dump(compose_document(inventory), sort_keys=False, width=100)


def compose_document(inventory: Inventory) -> dict[str, Any]:
    """The file's content: infrastructure, the first job, the services, their secrets."""
    document: dict[str, Any] = yaml.safe_load(_MARK.sub(_filler(inventory), TEMPLATE.read_text()))
    document["services"][_FIRST_JOB] = _first_job(inventory)
    environments = Environments(inventory, compose_place())
    for service in inventory.services.values():
        environment = environments.of(service.name)
        document["services"][service.name] = _container(inventory, service, environment)
        if _keeps_state(environment):
            document["volumes"][_volume(service)] = {}
    _finish(document["services"])
    document["secrets"] = {
        name: {"file": _SECRETS_FOLDER + "/" + name} for name in secret_names(inventory)
    }
    return document


def _finish(containers: Mapping[str, dict[str, Any]]) -> None:
    """Limit every container's log; let one container of each image build it."""
    built: set[str] = set()
    # The core's first: a container of a profile that is not chosen builds nothing.
    for container in sorted(containers.values(), key=lambda one: "profiles" in one):
        container["logging"] = dict(_LOGGING)
        if container["image"] in built:
            container.pop("build", None)
        built.add(container["image"])


def compose_place() -> Place:
    """The addresses inside Compose's network: container names and the services' own ports."""
    return Place(
        kafka="kafka:9092",
        postgres="postgres:5432",
        redis="redis:6379",
        collector="otel-collector:4317",
        prometheus="http://prometheus:9090",
        jaeger="http://jaeger:16686",
        traces=traces_of("compose"),
        tls_ca="${TLS_CA-}",
        redis_scheme="${REDIS_SCHEME:-redis}",
        postgres_tls="${POSTGRES_TLS-}",
        host="0.0.0.0",  # noqa: S104 - inside a container of its own network
        at=lambda service, port, _: f"{host_name(service)}:{port}",
        scheme="${HTTP_SCHEME:-http}",
        http_tls=lambda service: "${TLS_CA:+" + _secret_path(certificate_name(service)) + "}",
        secret=_secret_path,
        state=lambda _: STATE_FOLDER,
        clients=CLIENTS_FOLDER,
    )


def host_name(service: str) -> str:
    """The container's host name: a host name must not contain an underscore."""
    return service.replace("_", "-")


def target_of(service: Service) -> str:
    """Where Prometheus asks a service, host:port."""
    return f"{host_name(service.name)}:{service.port}"


def _secret_path(name: str) -> str:
    return f"/run/secrets/{name}"


def _filler(inventory: Inventory) -> Any:
    def fill(found: re.Match[str]) -> str:
        source: Mapping[str, object] = inventory.images if found[1] == "image" else inventory.ports
        return str(source[found[2]])

    return fill


def _first_job(inventory: Inventory) -> dict[str, Any]:
    """The job that makes topics, roles, schemas and tables; services start after its success."""
    places = ["--kafka", "kafka:9092", "--postgres", "postgres:5432", "--secrets", "/run/secrets"]
    databases = [one.name for one in inventory.with_database]
    passwords = [name for one in databases for name in (one, f"{one}-owner")]
    return _hardened() | {
        "image": "countersign/prepare",
        "build": {"context": ".", "dockerfile": "deploy/Dockerfile", "target": _FIRST_JOB},
        "command": ["python", "-m", "local_stack", "prepare", *places],
        "environment": {PROFILE: _DEMANDED, "TLS": "${TLS-off}"},
        "secrets": [
            *(ADMIN_PASSWORD, MONITOR_PASSWORD, AUTHORITY),
            *(password_name(name) for name in passwords),
            *(principal_name(user) for user in principals(inventory)),
        ],
        "depends_on": {name: {"condition": "service_healthy"} for name in ("kafka", "postgres")},
        "deploy": _limits("1", "256M"),
    }


def _container(
    inventory: Inventory, service: Service, environment: Mapping[str, str]
) -> dict[str, Any]:
    package, beside = service.package, service.group != CORE
    container: dict[str, Any] = _hardened() | {
        "image": f"countersign/{package}",
        "build": {
            "context": ".",
            "dockerfile": "deploy/Dockerfile",
            "target": "service",
            "args": {"SERVICE": package, **({"GROUP": service.group} if beside else {})},
        },
        "command": ["python", "-m", service.module],
        "restart": "unless-stopped",
        "ports": [f"127.0.0.1:{service.port}:{service.port}"],
        "environment": _changeable(inventory, service, environment),
        "healthcheck": _healthcheck(service),
        "deploy": _limits("1", "256M"),
    }
    container["networks"] = {"payment-net": {"aliases": [host_name(service.name)]}}
    if secrets := _secrets(service, environment):
        container["secrets"] = secrets
    if beside:
        container["profiles"] = [service.group, ALL]
    if service.needs:
        container["depends_on"] = _dependencies(service)
    if volumes := list(_volumes(service, environment)):
        container["volumes"] = volumes
    return container


def _keeps_state(environment: Mapping[str, str]) -> bool:
    return any(f"{value}/".startswith(f"{STATE_FOLDER}/") for value in environment.values())


def _volumes(service: Service, environment: Mapping[str, str]) -> Iterator[str]:
    if _keeps_state(environment):
        yield f"{_volume(service)}:{STATE_FOLDER}"
    for value in environment.values():
        if value.startswith(f"{CLIENTS_FOLDER}/"):
            yield f".{value}:{value}:ro"


def _hardened() -> dict[str, Any]:
    return {
        "networks": ["payment-net"],
        "read_only": True,
        "tmpfs": ["/tmp"],  # noqa: S108 - the container's own
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
    }


def _changeable(
    inventory: Inventory, service: Service, environment: Mapping[str, str]
) -> dict[str, str | None]:
    """Settings that Compose reads from the user: `${NAME-default}`, or a bare NAME.

    An empty value of the user stays empty, as in the native stack.
    """
    by_groups = {name for name, text in service.environment.items() if follows_groups(text)}
    changeable = {*inventory.options, *by_groups}
    defaults = {
        name: "${" + name + "-" + value + "}" if name in changeable else value
        for name, value in environment.items()
    }
    # Neither profile is a default here: a deployment by hand says which one it is.
    defaults[PROFILE] = _DEMANDED
    return {**dict.fromkeys((*service.options, *inventory.options)), **defaults}


def _secrets(service: Service, environment: Mapping[str, str]) -> list[str]:
    folder = _secret_path("")
    found = [value[len(folder) :] for value in environment.values() if value.startswith(folder)]
    # What TLS needs is mounted without it, too: a setting says whether it is used.
    own = [] if service.mock else [certificate_name(service.name)]
    return [*found, *own, AUTHORITY] if own or "KAFKA_TLS_CA" in environment else found


def _dependencies(service: Service) -> dict[str, Any]:
    first: dict[str, Any] = {_FIRST_JOB: {"condition": "service_completed_successfully"}}
    return first | {need: {"condition": "service_healthy"} for need in service.needs}


def _healthcheck(service: Service) -> dict[str, Any]:
    scheme = "http" if service.mock else "${HTTP_SCHEME:-http}"
    url = f"{scheme}://127.0.0.1:{service.port}/ready"
    trusted = "" if service.mock else f"cafile='{_secret_path(AUTHORITY)}'"
    options = f"timeout=3, context=s.create_default_context({trusted})"
    ask = f"import ssl as s, urllib.request as r; r.urlopen('{url}', {options})"
    return {
        "test": ["CMD", "python", "-S", "-c", ask],
        "interval": "10s",
        "timeout": "5s",
        "retries": 6,
        "start_period": "30s",
    }


def _limits(cpus: str, memory: str) -> dict[str, Any]:
    return {"resources": {"limits": {"cpus": cpus, "memory": memory}}}


def _volume(service: Service) -> str:
    return f"{host_name(service.name)}-state"
