"""Quotas of principals: what one client may take from a broker."""

from collections.abc import Mapping
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Float64, Int8, Int16, Int32, Schema, String

from kafka_access.errors import AccessError
from kafka_access.rules import ask

_USER = "user"
_EXACTLY = 0
_ENTITY = Array(("entity_type", String("utf-8")), ("entity_name", String("utf-8")))


class _AlterResponse(Response):  # type: ignore[misc]
    API_KEY = 49
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "entries",
            Array(
                ("error_code", Int16),
                ("error_message", String("utf-8")),
                ("entity", _ENTITY),
            ),
        ),
    )


class _Alter_v0(RequestStruct):  # type: ignore[misc] # noqa: N801 - as aiokafka names them
    API_KEY = 49
    API_VERSION = 0
    RESPONSE_TYPE = _AlterResponse
    SCHEMA = Schema(
        (
            "entries",
            Array(
                ("entity", _ENTITY),
                (
                    "ops",
                    Array(("key", String("utf-8")), ("value", Float64), ("remove", Boolean)),
                ),
            ),
        ),
        ("validate_only", Boolean),
    )


class AlterQuotas(Request[_Alter_v0]):  # type: ignore[misc]
    """Set the quotas of a principal."""

    API_KEY = 49

    def __init__(self, user: str, quotas: Mapping[str, float]) -> None:
        self._entity = [(_USER, user)]
        self._changes = [(key, value, False) for key, value in quotas.items()]

    def build(self, request_struct_class: type[_Alter_v0]) -> _Alter_v0:
        validate_only = False
        return request_struct_class([(self._entity, self._changes)], validate_only)


class _DescribeResponse(Response):  # type: ignore[misc]
    API_KEY = 48
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        ("error_message", String("utf-8")),
        (
            "entries",
            Array(
                ("entity", _ENTITY), ("values", Array(("key", String("utf-8")), ("value", Float64)))
            ),
        ),
    )


class _Describe_v0(RequestStruct):  # type: ignore[misc] # noqa: N801 - as aiokafka names them
    API_KEY = 48
    API_VERSION = 0
    RESPONSE_TYPE = _DescribeResponse
    SCHEMA = Schema(
        (
            "components",
            Array(
                ("entity_type", String("utf-8")),
                ("match_type", Int8),
                ("match", String("utf-8")),
            ),
        ),
        ("strict", Boolean),
    )


class DescribeQuotas(Request[_Describe_v0]):  # type: ignore[misc]
    """Ask for the quotas of a principal."""

    API_KEY = 48

    def __init__(self, user: str) -> None:
        self._user = user

    def build(self, request_struct_class: type[_Describe_v0]) -> _Describe_v0:
        strict = True
        return request_struct_class([(_USER, _EXACTLY, self._user)], strict)


async def set_quotas(admin: AIOKafkaAdminClient, user: str, quotas: Mapping[str, float]) -> None:
    """Set quotas of a principal, each broker's. Raises AccessError."""
    answer = await ask(admin, AlterQuotas(user, quotas))
    for code, message, _ in answer.entries:
        if code:
            raise AccessError(f"Kafka refused the quotas of {user}: {message}")


async def quotas_of(admin: AIOKafkaAdminClient, user: str) -> dict[str, float]:
    """The quotas of a principal, by Kafka's names."""
    answer: Any = await ask(admin, DescribeQuotas(user))
    if answer.error_code:
        raise AccessError(f"Kafka does not show the quotas of {user}: {answer.error_message}")
    return {key: value for _, values in answer.entries or () for key, value in values}
