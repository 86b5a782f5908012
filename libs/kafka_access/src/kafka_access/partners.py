"""What a partner bank has on Kafka: its topics, principal, rights and quotas.

A partner exists on a broker as soon as its principal has a password, which is set last. Set-up
keeps the rights of every partner that it finds so (`local_stack.access`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient

from kafka_access.quotas import set_quotas
from kafka_access.rules import Right, add_rights
from kafka_access.topics import apply_topics
from kafka_access.users import set_passwords, users_of
from partner_messages.messages import instructions_topic, reports_topic

SENDER, REDRIVER = "settlement", "ops"
"""The principals that write to a partner's topics beside the partner."""
_PRINCIPAL = "partner-"
EVERY_GROUP = _PRINCIPAL + "*"
"""The consumer groups of all partners."""
_DAY_MS = 86_400_000
_MIB = 1024 * 1024
MOST_COPIES = 3
BYTES_PER_S = 2 * _MIB
"""Of each partition, each way: a thousand messages of 2 KiB with headers and signature."""
REQUEST_PERCENT = 100
"""Of one thread of the broker."""


@dataclass(frozen=True, slots=True)
class PartnerTopic:
    """One topic of a partner (`kafka_access.topics.Topic`)."""

    name: str
    partitions: int
    replication: int
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Names:
    """The names of a partner on Kafka."""

    partner: str

    @property
    def principal(self) -> str:
        """Whom the bank logs in as."""
        return _PRINCIPAL + self.partner

    @property
    def instructions(self) -> str:
        """The topic that the bank reads."""
        return instructions_topic(self.partner)

    @property
    def reports(self) -> str:
        """The topic that the bank writes."""
        return reports_topic(self.partner)

    @property
    def refused(self) -> str:
        """The dead letters of its reports."""
        return f"{self.reports}-dlq"

    @property
    def groups(self) -> str:
        """The start of the names of its consumer groups: no other partner's name begins so."""
        return f"{self.principal}."


def rights_of(partner: str) -> frozenset[Right]:
    """Every right that exists for the sake of a partner, beside what services have by prefix."""
    names = Names(partner)
    return frozenset(
        (
            Right(names.principal, "topic", names.instructions, "READ"),
            Right(names.principal, "topic", names.reports, "WRITE"),
            Right(names.principal, "topic", names.refused, "READ"),
            Right(names.principal, "group", names.groups + "*", "READ"),
            Right(SENDER, "topic", names.refused, "WRITE"),
            Right(REDRIVER, "topic", names.reports, "WRITE"),
        )
    )


def quotas_for(partitions: int) -> dict[str, float]:
    """The quotas of a partner at each broker, by Kafka's names."""
    rate = float(partitions * BYTES_PER_S)
    return {
        "producer_byte_rate": rate,
        "consumer_byte_rate": rate,
        "request_percentage": float(REQUEST_PERCENT),
    }


def topics_for(partner: str, partitions: int, brokers: int) -> tuple[PartnerTopic, ...]:
    """A partner's topics; each has a copy on three brokers, or on all where there are fewer."""
    names, copies = Names(partner), min(brokers, MOST_COPIES)

    def topic(name: str, days: int, most_mib: int) -> PartnerTopic:
        settings = {
            "max.message.bytes": str(most_mib * _MIB),
            "retention.ms": str(days * _DAY_MS),
            "min.insync.replicas": str((copies + 1) // 2),
        }
        return PartnerTopic(name, partitions, copies, settings)

    return (
        topic(names.instructions, 30, 1),
        topic(names.reports, 30, 1),
        # A dead letter is larger than what it holds.
        topic(names.refused, 90, 2),
    )


async def partners_of(admin: AIOKafkaAdminClient) -> set[str]:
    """Every partner that has a password."""
    users = await users_of(admin)
    return {user.removeprefix(_PRINCIPAL) for user in users if user.startswith(_PRINCIPAL)}


async def apply_partner(admin: AIOKafkaAdminClient, partner: str, partitions: int) -> None:
    """Make a partner's topics, rights and quotas. Repeatable. Raises AccessError."""
    brokers = len((await admin.describe_cluster())["brokers"])
    await apply_topics(admin, topics_for(partner, partitions, brokers))
    await add_rights(admin, rights_of(partner))
    await set_quotas(admin, Names(partner).principal, quotas_for(partitions))


async def set_password(admin: AIOKafkaAdminClient, partner: str, password: str) -> None:
    """Set a partner's password; open connections stay. Raises AccessError."""
    await set_passwords(admin, {Names(partner).principal: password})
