"""Requests of Kafka's protocol that aiokafka's admin client does not send: rules, users, rights.

Layouts: https://kafka.apache.org/protocol, and the message files of Kafka 4.3.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka.protocol.admin import (
    CreateAclsRequest_v1,
    DeleteAclsRequest_v1,
    DescribeAclsRequest_v1,
)
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Array,
    Boolean,
    CompactArray,
    CompactBytes,
    CompactString,
    Int8,
    Int16,
    Int32,
    Schema,
    String,
    TaggedFields,
)

SCRAM_SHA_512 = 2
ITERATIONS = 4096
"""The least that Kafka takes. The passwords are random, so more would only slow connections."""
_SALT_BYTES = 24


class CreateAcls(Request[CreateAclsRequest_v1]):  # type: ignore[misc]
    """Add rules (type, name, pattern, principal, host, operation, permission)."""

    API_KEY = 30

    def __init__(self, rules: Sequence[tuple[Any, ...]]) -> None:
        self._rules = rules

    def build(self, request_struct_class: type[CreateAclsRequest_v1]) -> CreateAclsRequest_v1:
        return request_struct_class(list(self._rules))


class DeleteAcls(Request[DeleteAclsRequest_v1]):  # type: ignore[misc]
    """Remove the rules that each filter, a whole rule, matches."""

    API_KEY = 31

    def __init__(self, rules: Sequence[tuple[Any, ...]]) -> None:
        self._rules = rules

    def build(self, request_struct_class: type[DeleteAclsRequest_v1]) -> DeleteAclsRequest_v1:
        return request_struct_class(list(self._rules))


class DescribeAcls(Request[DescribeAclsRequest_v1]):  # type: ignore[misc]
    """List every rule."""

    API_KEY = 29

    def build(self, request_struct_class: type[DescribeAclsRequest_v1]) -> DescribeAclsRequest_v1:
        any_value = 1
        return request_struct_class(any_value, None, any_value, None, None, any_value, any_value)


class _AlterUsersResponse(Response):  # type: ignore[misc]
    API_KEY = 51
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "results",
            CompactArray(
                ("user", CompactString("utf-8")),
                ("error_code", Int16),
                ("error_message", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _AlterUsers_v0(RequestStruct):  # type: ignore[misc] # noqa: N801 - as aiokafka names them
    FLEXIBLE_VERSION = True
    API_KEY = 51
    API_VERSION = 0
    RESPONSE_TYPE = _AlterUsersResponse
    SCHEMA = Schema(
        (
            "deletions",
            CompactArray(
                ("name", CompactString("utf-8")), ("mechanism", Int8), ("tags", TaggedFields)
            ),
        ),
        (
            "upsertions",
            CompactArray(
                ("name", CompactString("utf-8")),
                ("mechanism", Int8),
                ("iterations", Int32),
                ("salt", CompactBytes),
                ("salted_password", CompactBytes),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class AlterUsers(Request[_AlterUsers_v0]):  # type: ignore[misc]
    """Set the passwords of some users, and remove others."""

    API_KEY = 51

    def __init__(self, passwords: Mapping[str, str], removed: Sequence[str] = ()) -> None:
        self._passwords = passwords
        self._removed = removed

    def build(self, request_struct_class: type[_AlterUsers_v0]) -> _AlterUsers_v0:
        removed: list[Any] = [(user, SCRAM_SHA_512, {}) for user in self._removed]
        changed: list[Any] = [
            (user, SCRAM_SHA_512, ITERATIONS, *_salted(password), {})
            for user, password in self._passwords.items()
        ]
        return request_struct_class(removed, changed, {})


def _salted(password: str) -> tuple[bytes, bytes]:
    salt = os.urandom(_SALT_BYTES)
    return salt, hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS)


class _DescribeUsersResponse(Response):  # type: ignore[misc]
    API_KEY = 50
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        ("error_message", CompactString("utf-8")),
        (
            "results",
            CompactArray(
                ("user", CompactString("utf-8")),
                ("error_code", Int16),
                ("error_message", CompactString("utf-8")),
                (
                    "credentials",
                    CompactArray(
                        ("mechanism", Int8), ("iterations", Int32), ("tags", TaggedFields)
                    ),
                ),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _DescribeUsers_v0(RequestStruct):  # type: ignore[misc] # noqa: N801 - as aiokafka names them
    FLEXIBLE_VERSION = True
    API_KEY = 50
    API_VERSION = 0
    RESPONSE_TYPE = _DescribeUsersResponse
    SCHEMA = Schema(
        ("users", CompactArray(("name", CompactString("utf-8")), ("tags", TaggedFields))),
        ("tags", TaggedFields),
    )


class DescribeUsers(Request[_DescribeUsers_v0]):  # type: ignore[misc]
    """List every user that has a password."""

    API_KEY = 50

    def build(self, request_struct_class: type[_DescribeUsers_v0]) -> _DescribeUsers_v0:
        return request_struct_class(None, {})


class _RightsResponse(Response):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 8
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            Array(
                ("node_id", Int32),
                ("host", String("utf-8")),
                ("port", Int32),
                ("rack", String("utf-8")),
            ),
        ),
        ("cluster_id", String("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("topic", String("utf-8")),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("isr", Array(Int32)),
                        ("offline_replicas", Array(Int32)),
                    ),
                ),
                ("authorized_operations", Int32),
            ),
        ),
        ("cluster_authorized_operations", Int32),
    )


class _Rights_v8(RequestStruct):  # type: ignore[misc] # noqa: N801 - as aiokafka names them
    API_KEY = 3
    API_VERSION = 8
    RESPONSE_TYPE = _RightsResponse
    SCHEMA = Schema(
        ("topics", Array(String("utf-8"))),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
    )


class DescribeRights(Request[_Rights_v8]):  # type: ignore[misc]
    """Ask what the client's own principal may do with each topic and with the cluster."""

    API_KEY = 3

    def __init__(self, topics: Sequence[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[_Rights_v8]) -> _Rights_v8:
        create_topics, of_cluster, of_topics = False, True, True
        return request_struct_class(list(self._topics), create_topics, of_cluster, of_topics)
