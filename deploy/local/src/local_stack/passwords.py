"""New passwords at Kafka, PostgreSQL and Redis, while everything runs.

A process reads the file of its password at each login, and open connections stay: nothing starts
again. Where a login has one password at a time, a new connection between the two writes
(milliseconds) is refused, and tries again.
"""

import psycopg
from psycopg import sql
from redis import Redis
from redis.exceptions import RedisError

from kafka_access.users import set_passwords
from local_stack.admin import run_admin_now
from local_stack.certificates import AUTHORITY
from local_stack.credentials import new_token, password_name, principal_name, redis_name
from local_stack.discovery import RunningStack
from local_stack.errors import StackError
from local_stack.rights import BROKER

_WITHIN_S = 10


def rotate(stack: RunningStack, name: str) -> str:
    """Give a process a new password; return the process.

    The name is a principal of Kafka (`confirm`), `database-confirm` or `redis-gateway`.
    Raises StackError where it is unknown or a server refuses.
    """
    for prefix, replace in ((password_name(""), _at_postgres), (redis_name(""), _at_redis)):
        if name.startswith(prefix):
            user = name.removeprefix(prefix)
            replace(stack, user)
            return user
    _at_kafka(stack, name)
    return name


def _at_kafka(stack: RunningStack, user: str) -> None:
    secret = principal_name(user)
    if user == BROKER or not stack.credentials.path(secret).exists():
        raise StackError(f"{user} is no principal whose password can be replaced while Kafka runs")
    password = new_token()
    run_admin_now(stack.brokers, lambda admin: set_passwords(admin, {user: password}))
    stack.credentials.write(secret, password)


def _at_postgres(stack: RunningStack, role: str) -> None:
    secret = password_name(role)
    stack.credentials.read(secret)
    password = new_token()
    change = sql.SQL("alter role {} password {}").format(sql.Identifier(role), password)
    try:
        with psycopg.connect(stack.admin_dsn, connect_timeout=_WITHIN_S) as connection:
            connection.execute(change)
    except psycopg.Error as error:
        raise StackError(f"PostgreSQL does not change the password of {role}: {error}") from None
    stack.credentials.write(secret, password)


def _at_redis(stack: RunningStack, user: str) -> None:
    """Both passwords are right until the file holds the new one."""
    credentials, secret = stack.credentials, redis_name(user)
    old, new = credentials.read(secret), new_token()
    trusted = {"ssl_ca_certs": str(credentials.path(AUTHORITY))} if stack.tls else {}
    try:
        with Redis.from_url(stack.redis_url, socket_timeout=_WITHIN_S, **trusted) as admin:
            admin.acl_setuser(user, enabled=True, passwords=[f"+{new}"])
            credentials.write(secret, new)
            admin.acl_setuser(user, enabled=True, passwords=[f"-{old}"])
    except RedisError as error:
        raise StackError(f"Redis does not change the password of {user}: {error}") from None
