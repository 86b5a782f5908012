"""What `PROFILE=prod` refuses to start with: each fault names the setting and what to do."""

import re
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address, ip_network
from itertools import combinations
from typing import Any
from urllib.parse import urlsplit

from psycopg.conninfo import conninfo_to_dict
from pydantic_settings import BaseSettings

from service_runtime.keys import KeyRing, SecretFile, read_secret

DEVELOPMENT_MARK = "dev-"
"""What a secret or the bytes of a key begin with where the development set-up made it."""
_MARKED = re.compile(rf'(^|[."]){DEVELOPMENT_MARK}')
"""At the begin of a secret, behind the provider's prefix (`SG.`), or as a value in JSON."""
_READ_FROM = "_FILE"


def faults_of(settings: BaseSettings) -> Iterator[str]:
    """Say everything about a process' settings that production does not allow."""
    fields = type(settings).model_fields
    return _faults({_name(settings, field): getattr(settings, field) for field in fields})


def faults_in(environment: Mapping[str, str]) -> Iterator[str]:
    """Say everything about a process' environment that production does not allow."""
    values: dict[str, Any] = {}
    for name, text in environment.items():
        try:
            values[name] = _value(name, text)
        except ValueError as error:
            yield f"{name}: {error}"
    if "KAFKA_BOOTSTRAP_SERVERS" in values:
        values = {"KAFKA_USER": "", "KAFKA_PASSWORD_FILE": "", **values}
    yield from _faults(values)


def _value(name: str, text: str) -> object:
    if name == "TRUSTED_PROXIES":
        return [ip_network(part.strip()) for part in text.split(",") if part.strip()]
    if name.endswith(_READ_FROM) and text:
        secret = read_secret(text)
        try:
            return KeyRing.of_file(text)
        except ValueError:
            return secret
    return [part.strip() for part in text.split(",")] if text.startswith("http") else text


def _faults(values: Mapping[str, Any]) -> Iterator[str]:
    for name, value in values.items():
        yield from (f"{name}: {fault}" for fault in _of_addresses(value))
        yield from (f"{name}: {fault}" for fault in _of_secret(name, value))
    yield from _of_http(values)
    yield from _of_kafka(values)
    yield from _of_postgres(values)
    yield from _of_redis(values)
    yield from _of_proxies(values)
    yield from _of_equal_keys(values)


def _name(settings: BaseSettings, field: str) -> str:
    alias = type(settings).model_fields[field].validation_alias
    return alias if isinstance(alias, str) else field.upper()


def _of_addresses(value: object) -> Iterator[str]:
    for url in _texts(value):
        if url.startswith("http://") and not _is_loopback(urlsplit(url).hostname or ""):
            yield f"{url} is not encrypted: use an address that begins with https://"


def _texts(value: object) -> Iterable[str]:
    match value:
        case str():
            return (value,)
        case list():
            return (one for one in value if isinstance(one, str))
        case dict():
            return (one for one in value.values() if isinstance(one, str))
        case _:
            return ()


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _of_secret(name: str, value: object) -> Iterator[str]:
    if any(map(_is_marked, _materials(name, value))):
        yield "holds a secret that was made for development: replace it by one of this system alone"


def _is_marked(material: bytes | str) -> bool:
    if isinstance(material, bytes):
        return material.startswith(DEVELOPMENT_MARK.encode())
    return _MARKED.search(material) is not None


def _of_http(values: Mapping[str, Any]) -> Iterator[str]:
    if not _is_loopback(values.get("HOST", "localhost")) and not values.get("HTTP_TLS_CERTIFICATE"):
        yield (
            "HTTP_TLS_CERTIFICATE: HTTP is served in plain text beyond this machine: set it, and"
            " HTTP_TLS_CA"
        )


def _of_kafka(values: Mapping[str, Any]) -> Iterator[str]:
    servers = str(values.get("KAFKA_BOOTSTRAP_SERVERS", ""))
    if servers and not (values["KAFKA_USER"] and values["KAFKA_PASSWORD_FILE"]):
        yield "KAFKA_USER: Kafka is reached without a login: set it, and KAFKA_PASSWORD_FILE"
    hosts = [server.strip().rpartition(":")[0] for server in servers.split(",") if server]
    if not values.get("KAFKA_TLS_CA") and not all(map(_is_loopback, hosts)):
        yield (
            "KAFKA_TLS_CA: Kafka is reached in plain text beyond this machine: set it to the file"
            " of its authority"
        )


def _of_postgres(values: Mapping[str, Any]) -> Iterator[str]:
    if "DATABASE_URL" in values:
        link = conninfo_to_dict(values["DATABASE_URL"])
        is_verified = link.get("sslmode") == "verify-full" and link.get("sslrootcert")
        if not is_verified and not _is_loopback(str(link.get("host", ""))):
            yield (
                "DATABASE_URL: PostgreSQL's certificate is not verified:"
                " add ?sslmode=verify-full&sslrootcert=<file of the authority>"
            )


def _of_redis(values: Mapping[str, Any]) -> Iterator[str]:
    if "REDIS_URL" in values:
        url = urlsplit(values["REDIS_URL"])
        if not (url.password or values.get("REDIS_PASSWORD_FILE")):
            yield "REDIS_PASSWORD_FILE: Redis is reached without a password: set it"
        if url.scheme != "rediss" and not _is_loopback(url.hostname or ""):
            yield "REDIS_URL: the connection is not encrypted: use an address that begins with rediss://"


def _of_proxies(values: Mapping[str, Any]) -> Iterator[str]:
    if any(network.prefixlen == 0 for network in values.get("TRUSTED_PROXIES", ())):
        yield "TRUSTED_PROXIES: trusts every client's headers: name the networks of your proxies"


def _of_equal_keys(values: Mapping[str, Any]) -> Iterator[str]:
    materials = {name: set(_materials(name, value)) for name, value in values.items()}
    for (one, first), (other, second) in combinations(materials.items(), 2):
        if first & second:
            yield f"{one}: holds the same secret as {other}: each needs its own"


def _materials(name: str, value: object) -> Iterable[bytes | str]:
    match value:
        case KeyRing():
            return [key.material for key in value]
        case SecretFile():
            return _texts_of(value.get())
        case str() if value and name.endswith(_READ_FROM):
            return (value,)
        case _:
            return ()


def _texts_of(content: object) -> Iterable[str]:
    if isinstance(content, Mapping):
        # Of callers only hashes are known.
        return [one for listed in content.values() if isinstance(listed, list) for one in listed]
    return (content,) if isinstance(content, str) else ()
