"""Rights, and the broker's form of them: rules."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import for_code
from aiokafka.protocol.api import Request

from kafka_access.requests import CreateAcls, DeleteAcls, DescribeAcls

RESOURCES = {"topic": 2, "group": 3, "cluster": 4}
OPERATIONS = {
    "READ": 3, "WRITE": 4, "CREATE": 5, "DELETE": 6, "ALTER": 7, "DESCRIBE": 8,
    "CLUSTER_ACTION": 9, "DESCRIBE_CONFIGS": 10, "ALTER_CONFIGS": 11, "IDEMPOTENT_WRITE": 12,
}  # fmt: skip
"""Kafka's numbers of resources and operations: ResourceType.java, AclOperation.java."""
EVERY = "*"
_LITERAL, _PREFIXED = 3, 4
_ALLOW = 3
_ANY_HOST = "*"
_USER = "User:"
Rule = tuple[int, str, int, str, str, int, int]


class Right(NamedTuple):
    """A principal may carry out an operation on a topic, a group or the cluster.

    A name that ends with `*` is every name that begins so.
    """

    principal: str
    resource: str
    name: str
    operation: str

    def covers(self, name: str) -> bool:
        """Whether the right is one on the resource of this name."""
        if self.name.endswith(EVERY):
            return name.startswith(self.name.removesuffix(EVERY))
        return name == self.name


def rule_of(right: Right) -> Rule:
    """The broker's form of a right."""
    kind, operation = RESOURCES[right.resource], OPERATIONS[right.operation]
    name, pattern = right.name, _LITERAL
    # Kafka reads the one name `*` as every name.
    if name.endswith(EVERY) and name != EVERY:
        name, pattern = name.removesuffix(EVERY), _PREFIXED
    return kind, name, pattern, _USER + right.principal, _ANY_HOST, operation, _ALLOW


def described(rule: Rule) -> str:
    """A rule in words: `confirm READ topic risk.assessed.v1`."""
    kind, name, pattern, principal, _, operation, _ = rule
    resources = {number: word for word, number in RESOURCES.items()}
    operations = {number: word for word, number in OPERATIONS.items()}
    what = f"{operations.get(operation, operation)} {resources.get(kind, kind)}"
    return f"{principal.removeprefix(_USER)} {what} {name}{'*' * (pattern == _PREFIXED)}"


async def add_rights(admin: AIOKafkaAdminClient, rights: Iterable[Right]) -> set[Rule]:
    """Add what the broker lacks; return the rules that it has beside these."""
    wanted = {rule_of(right) for right in rights}
    found = await rules_of(admin)
    if missing := wanted - found:
        answer = await ask(admin, CreateAcls(sorted(missing)))
        _accepted((code, message) for code, message in answer.creation_responses)
    return found - wanted


async def apply_rights(admin: AIOKafkaAdminClient, rights: Iterable[Right]) -> None:
    """Add what the broker lacks, and remove every other rule."""
    if surplus := await add_rights(admin, rights):
        answer = await ask(admin, DeleteAcls(sorted(surplus)))
        _accepted((code, message) for code, message, _ in answer.filter_responses)


async def rules_of(admin: AIOKafkaAdminClient) -> set[Rule]:
    """Every rule of the broker."""
    answer = await ask(admin, DescribeAcls())
    _accepted([(answer.error_code, answer.error_message)])
    return {
        (kind, name, pattern, *rule)
        for kind, name, pattern, rules in answer.resources
        for rule in rules
    }


async def ask(admin: AIOKafkaAdminClient, request: Request[Any]) -> Any:
    """Send a request to the broker; aiokafka's own methods do not cover it."""
    return await admin._send_request(request)  # noqa: SLF001 - there is no public way


def _accepted(answers: Iterable[tuple[int, str | None]]) -> None:
    for code, message in answers:
        if code:
            raise for_code(code)(message)
