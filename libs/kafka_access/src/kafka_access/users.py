"""Principals with a password (SCRAM-SHA-512)."""

from collections.abc import Mapping, Sequence

from aiokafka.admin import AIOKafkaAdminClient

from kafka_access.errors import AccessError
from kafka_access.requests import AlterUsers, DescribeUsers
from kafka_access.rules import ask


async def users_of(admin: AIOKafkaAdminClient) -> set[str]:
    """Every principal that has a password."""
    return {user for user, *_ in (await ask(admin, DescribeUsers())).results}


async def set_passwords(
    admin: AIOKafkaAdminClient, passwords: Mapping[str, str], removed: Sequence[str] = ()
) -> None:
    """Set the passwords of some principals, and remove others. Raises AccessError."""
    answer = await ask(admin, AlterUsers(passwords, removed))
    for user, code, message, _ in answer.results:
        if code:
            raise AccessError(f"Kafka refused the password of {user}: {message}")
