"""What `countersign doctor` can see of a running stack with the secrets of its set-up."""

import socket
from collections.abc import Mapping

import psycopg
from aiokafka.admin import AIOKafkaAdminClient
from psycopg.conninfo import make_conninfo

from kafka_access.rules import Rule, described, rule_of, rules_of
from local_stack.access import with_partners
from local_stack.admin import run_admin_now
from local_stack.credentials import new_token
from local_stack.discovery import RunningStack
from local_stack.errors import StackError
from local_stack.inventory import load_inventory
from local_stack.rights import rights

_WITHIN_S = 5


def inspect(stack: RunningStack) -> Mapping[str, str | None]:
    """Return by rule the fault with its remedy, or None."""
    found = {
        "the rights on Kafka are those of the manifests": _rights(stack),
        "PostgreSQL takes no client without its password": _open_postgres(stack),
        "Redis takes no client without a login": _open_redis(stack),
    }
    if stack.tls:
        found["PostgreSQL takes no client without TLS"] = _plain_postgres(stack)
    return found


def _rights(stack: RunningStack) -> str | None:
    try:
        wanted, found = run_admin_now(stack.brokers, _rules, within_s=_WITHIN_S)
    except StackError as error:
        return str(error)
    kinds = {"missing": wanted - found, "not of a manifest": found - wanted}
    faults = [
        f"{kind}: {', '.join(sorted(map(described, rules)))}"
        for kind, rules in kinds.items()
        if rules
    ]
    return f"{'; '.join(faults)}: apply the manifests by `make up`" if faults else None


async def _rules(admin: AIOKafkaAdminClient) -> tuple[set[Rule], set[Rule]]:
    """Return the rules that the broker should have, and those that it has."""
    wanted = await with_partners(admin, rights(load_inventory()))
    return {rule_of(right) for right in wanted}, await rules_of(admin)


def _open_postgres(stack: RunningStack) -> str | None:
    remedy = "it does: demand `scram-sha-256` on each line of pg_hba.conf"
    wrong = {"password": new_token()}
    return _refused_by_postgres(stack, "password authentication failed", remedy, **wrong)


def _plain_postgres(stack: RunningStack) -> str | None:
    remedy = "it takes passwords in plain text: allow `hostssl` alone in pg_hba.conf"
    return _refused_by_postgres(stack, "no encryption", remedy, sslmode="disable")


def _refused_by_postgres(
    stack: RunningStack, refusal: str, remedy: str, **changed: str
) -> str | None:
    try:
        psycopg.connect(
            make_conninfo(stack.admin_dsn, connect_timeout=_WITHIN_S, **changed)
        ).close()
    except psycopg.OperationalError as error:
        away = f"PostgreSQL at {stack.postgres} does not respond: `make status`"
        return None if refusal in str(error) else away
    return remedy


def _open_redis(stack: RunningStack) -> str | None:
    host, _, port = stack.redis.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=_WITHIN_S) as connection:
            connection.sendall(b"PING\r\n")
            answer = connection.recv(100)
    except ConnectionResetError:
        return None  # it takes TLS alone
    except OSError:
        return f"Redis at {stack.redis} does not respond: `make status`"
    return (
        "it answers everybody: set `user default off` in its aclfile"
        if answer.startswith(b"+")
        else None
    )
