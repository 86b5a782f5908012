"""Stores of the profiles of partner banks on Kafka: the port, PostgreSQL and the memory twin."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Protocol

from service_runtime.postgres import PostgresTransaction, json_rows
from settlement.domain.partners import KafkaPartner

PARTNERS = "kafka_partner"
MOST_COUNTED = 10_000


class Partners(Protocol):
    """The profiles of partner banks on Kafka, within one transaction."""

    async def profiles(self) -> dict[str, KafkaPartner]:
        """Return all profiles by partner."""
        ...

    async def hold(self, partners: Collection[str]) -> dict[str, KafkaPartner]:
        """Return the profiles of these partners; a suspension waits for the commit."""
        ...

    async def lock(self) -> dict[str, KafkaPartner]:
        """Return all profiles by partner for a change; other changes wait for the commit."""
        ...

    async def add(self, profile: KafkaPartner) -> None:
        """Add a profile."""
        ...

    async def save(self, profile: KafkaPartner) -> None:
        """Save the keys, the suspension and the version of a profile."""
        ...


class PostgresPartners:
    """Profiles in PostgreSQL."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self._tx = tx

    async def profiles(self) -> dict[str, KafkaPartner]:
        rows = await self._tx.rows("select * from kafka_partner order by partner")
        return {row["partner"]: _profile(row) for row in rows}

    async def hold(self, partners: Collection[str]) -> dict[str, KafkaPartner]:
        if not partners:
            return {}
        rows = await self._tx.rows(
            """select * from kafka_partner where partner = any(%(partners)s)
               order by partner for share""",
            partners=sorted(partners),
        )
        return {row["partner"]: _profile(row) for row in rows}

    async def lock(self) -> dict[str, KafkaPartner]:
        # Not the rows alone: two new profiles with the same prefix must see each other.
        await self._tx.run("select pg_advisory_xact_lock(hashtext('kafka_partner'))")
        rows = await self._tx.rows("select * from kafka_partner order by partner for update")
        return {row["partner"]: _profile(row) for row in rows}

    async def add(self, profile: KafkaPartner) -> None:
        await self._tx.run(
            """insert into kafka_partner (partner, format, partitions, account_prefixes,
                   answer_within_s, enquire_after_s, keys)
               select partner, format, partitions, account_prefixes,
                   answer_within_s, enquire_after_s, keys
               from json_populate_recordset(null::kafka_partner, %(rows)s::json)""",
            rows=json_rows([profile]),
        )

    async def save(self, profile: KafkaPartner) -> None:
        await self._tx.run(
            """update kafka_partner as old
               set keys = new.keys, suspended_at = new.suspended_at, version = new.version,
                   updated_at = clock_timestamp()
               from json_populate_recordset(null::kafka_partner, %(rows)s::json) as new
               where old.partner = new.partner""",
            rows=json_rows([profile]),
        )


def _profile(row: dict[str, Any]) -> KafkaPartner:
    return KafkaPartner(
        partner=row["partner"],
        format=row["format"],
        partitions=row["partitions"],
        account_prefixes=tuple(row["account_prefixes"]),
        answer_within_s=row["answer_within_s"],
        enquire_after_s=row["enquire_after_s"],
        keys=row["keys"],
        suspended_at=row["suspended_at"],
        version=row["version"],
    )


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits at one partner on Kafka."""

    partner: str
    unanswered: int
    """Instructions without a report for longer than the profile allows; at most MOST_COUNTED."""
    oldest_s: float
    """Age in seconds of the oldest instruction without a report."""
    queued: int
    """Instructions that wait for the end of a suspension; at most MOST_COUNTED."""
    statement_s: float
    """Seconds since the end of the last day whose statement was read; else since the profile."""


async def waiting(tx: PostgresTransaction) -> list[Waiting]:
    """Return what waits at each partner on Kafka."""
    rows = await tx.rows(
        """select profile.partner, late.count as unanswered,
               coalesce(extract(epoch from clock_timestamp() - (
                   select min(unanswered_since) from instruction
                   where partner = profile.partner and unanswered_since is not null
                     and due_at is not null)), 0)::float8 as oldest_s,
               queue.count as queued,
               extract(epoch from clock_timestamp() - coalesce((
                   select max((day + 1)::timestamp at time zone 'UTC') from statement_read
                   where partner = profile.partner and read_at >=
                       (day + 1)::timestamp at time zone 'UTC'), profile.created_at))::float8
                   as statement_s
           from kafka_partner as profile
           cross join lateral (
               select count(*) from (
                   select from instruction
                   where partner = profile.partner and due_at is not null
                     and unanswered_since < now()
                         - make_interval(secs => profile.answer_within_s)
                   limit %(most)s) as found) as late
           cross join lateral (
               select count(*) from (
                   select from instruction
                   where partner = profile.partner and next_step = 'PUBLISH'
                     and status = 'QUEUED' and due_at is not null
                     and profile.suspended_at is not null
                   limit %(most)s) as found) as queue
           order by profile.partner""",
        most=MOST_COUNTED,
    )
    return [Waiting(**row) for row in rows]


class MemoryPartners:
    """The memory twin of the profiles."""

    def __init__(self, tx: Any) -> None:
        self._profiles: dict[str, KafkaPartner] = tx.own[PARTNERS]

    async def profiles(self) -> dict[str, KafkaPartner]:
        return dict(sorted(self._profiles.items()))

    async def hold(self, partners: Collection[str]) -> dict[str, KafkaPartner]:
        return {name: one for name, one in self._profiles.items() if name in partners}

    async def lock(self) -> dict[str, KafkaPartner]:
        return await self.profiles()

    async def add(self, profile: KafkaPartner) -> None:
        self._profiles[profile.partner] = profile

    async def save(self, profile: KafkaPartner) -> None:
        self._profiles[profile.partner] = profile
