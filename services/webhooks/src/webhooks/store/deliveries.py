"""Deliveries: the work table, what a message needs when it is sent, and what came of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from psycopg.rows import DictRow

from payment_schemas.sealed import Sealed
from service_runtime.messages import Trace
from service_runtime.postgres import PostgresTransaction, json_rows
from service_runtime.work_table import PostgresWorkTable
from webhooks.domain.attempts import (
    FAST_WIDTH,
    SLOW_WIDTH,
    Attempt,
    Delivery,
    Health,
    Status,
)
from webhooks.domain.events import Message, State

TABLE = "delivery"
_LANES: LiteralString = """
    with recursive lane (endpoint_id) as (
        (select endpoint_id from delivery where due_at is not null and parked_at is null
         order by endpoint_id limit 1)
        union all
        select (select endpoint_id from delivery
                where due_at is not null and parked_at is null and endpoint_id > lane.endpoint_id
                order by endpoint_id limit 1)
        from lane where lane.endpoint_id is not null
    ), mine as materialized (
        select id from endpoint
        where id in (select endpoint_id from lane) and is_on and {kind}
          and (paused_until is null or paused_until <= now())
        for no key update skip locked
    )
    select work.id from mine cross join lateral (
        select id, due_at from delivery
        where endpoint_id = mine.id and due_at <= now() and parked_at is null
          and (lease_until is null or lease_until < now())
        order by due_at
        limit greatest(0, {width} - (
            select count(*) from delivery
            where endpoint_id = mine.id and lease_until >= now()))
        for update skip locked
    ) as work
    order by work.due_at limit %(limit)s"""
"""Rows of each lane up to its width, the oldest first. The endpoints are locked, so that two
processes do not count the rows in progress at one time."""


Wanted = tuple[UUID, set[str]]
"""An endpoint, and the types of event that it wants."""


@dataclass(frozen=True, slots=True)
class Row:
    """A delivery as it was claimed."""

    message: Message
    delivery: Delivery


@dataclass(frozen=True, slots=True)
class Shipment:
    """What a call needs: the address, the secrets in force, and the payment as it is now."""

    url: str
    secrets: tuple[Sealed, ...]
    state: State | None


@dataclass(frozen=True, slots=True)
class Ended:
    """A delivery after a call, under the epoch of its claim."""

    row: Row
    epoch: int
    after: Delivery
    attempt: Attempt


def lane_table(*, is_fast: bool) -> PostgresWorkTable[Row]:
    """Return the work table of the fast lanes, or that of all others."""
    kind, width = ("is_fast", FAST_WIDTH) if is_fast else ("not is_fast", SLOW_WIDTH)
    query: Any = _LANES.replace("{kind}", kind).replace("{width}", str(width))
    return PostgresWorkTable(TABLE, _row, due=query)


def _row(row: DictRow) -> Row:
    message = Message(
        row["id"],
        row["endpoint_id"],
        row["type"],
        row["occurred_at"],
        row["payment_id"],
        row["sequence"],
    )
    delivery = Delivery(Status(row["status"]), row["tries"], row["due_at"], row["retry_until"])
    return Row(message, delivery)


class Deliveries:
    """Deliveries and what is known of payments, within one transaction."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self._tx = tx

    async def know(self, states: Iterable[State]) -> None:
        """Keep the highest sequence of each payment."""
        await self._tx.run(
            """insert into payment_state as known (payment_id, user_id, transaction_id, sequence,
                   status, settlement_status, occurred_at)
               select payment_id, user_id, transaction_id, sequence, status, settlement_status,
                   occurred_at
               from json_populate_recordset(null::payment_state, %(rows)s::json)
               order by payment_id
               on conflict (payment_id) do update
               set sequence = excluded.sequence, status = excluded.status,
                   settlement_status = excluded.settlement_status,
                   occurred_at = excluded.occurred_at, updated_at = now()
               where known.sequence < excluded.sequence""",
            rows=json_rows(list(states)),
        )

    async def endpoints_of(self, user_ids: Iterable[str]) -> Mapping[str, list[Wanted]]:
        """Return the endpoints of users, with their event types."""
        rows = await self._tx.rows(
            """select id, user_id, event_types from endpoint
               where user_id in (select value from json_array_elements_text(%(ids)s::json))""",
            ids=json_rows(sorted(set(user_ids))),
        )
        found: dict[str, list[Wanted]] = {}
        for row in rows:
            found.setdefault(row["user_id"], []).append((row["id"], set(row["event_types"])))
        return found

    async def add(self, messages: Iterable[tuple[Message, Trace]], retry_until: datetime) -> None:
        """Add deliveries that are due; one that exists, or whose endpoint is deleted, is not."""
        rows = [
            {
                "id": message.id,
                "endpoint_id": message.endpoint_id,
                "type": message.type,
                "payment_id": message.payment_id,
                "sequence": message.sequence,
                "occurred_at": message.occurred_at,
                "trace": trace,
            }
            for message, trace in messages
        ]
        await self._tx.run(
            """insert into delivery (id, endpoint_id, type, payment_id, sequence, occurred_at,
                   retry_until, due_at, trace)
               select new.id, new.endpoint_id, new.type, new.payment_id, new.sequence,
                   new.occurred_at, %(retry_until)s, now(), new.trace
               from json_populate_recordset(null::delivery, %(rows)s::json) as new
               join lateral (select from endpoint where id = new.endpoint_id for key share) as there
                 on true
               order by new.id on conflict (id) do nothing""",
            rows=json_rows(rows),
            retry_until=retry_until,
        )

    async def shipments(self, rows: Sequence[Row]) -> Mapping[UUID, Shipment]:
        """Return what the calls of claimed deliveries need, by the delivery's id."""
        found = await self._tx.rows(
            """select d.id, e.url, s.payment_id, s.user_id, s.transaction_id, s.sequence, s.status,
                   s.settlement_status, s.occurred_at,
                   array(select sealed from endpoint_secret as secret
                         where secret.endpoint_id = e.id
                           and (expires_at is null or expires_at > now())
                         order by expires_at nulls first) as secrets
               from delivery as d join endpoint as e on e.id = d.endpoint_id
               left join payment_state as s on s.payment_id = d.payment_id
               where d.id in (select value::uuid from json_array_elements_text(%(ids)s::json))""",
            ids=json_rows([one.message.id for one in rows]),
        )
        return {row["id"]: _shipment(row) for row in found}

    async def lock_health(self, endpoint_ids: Iterable[UUID]) -> Mapping[UUID, tuple[str, Health]]:
        """Lock endpoints; return owner and health of each."""
        rows = await self._tx.rows(
            """select id, user_id, is_on, off_reason, failures, failing_since, paused_until, is_fast
               from endpoint
               where id in (select value::uuid from json_array_elements_text(%(ids)s::json))
               order by id for no key update""",
            ids=json_rows(sorted(set(endpoint_ids), key=str)),
        )
        return {row.pop("id"): (row.pop("user_id"), Health(**row)) for row in rows}

    async def save(self, ended: Sequence[Ended]) -> set[UUID]:
        """Write back deliveries after their calls, and end their leases.

        Return those that were written: another process may have claimed the others meanwhile. Their
        endpoints must be locked: every transaction locks an endpoint before its deliveries.
        """
        rows = [
            {
                "id": one.row.message.id,
                "epoch": one.epoch,
                "status": one.after.status,
                "tries": one.after.tries,
                "due_at": one.after.due_at,
                "last_status": one.attempt.status,
                "last_reason": one.attempt.reason,
                "last_ms": one.attempt.took_ms,
            }
            for one in ended
        ]
        saved = await self._tx.rows(
            """update delivery as old
               set status = new.status, tries = new.tries, due_at = new.due_at,
                   last_status = new.last_status, last_reason = new.last_reason,
                   last_ms = new.last_ms, lease_until = null, updated_at = clock_timestamp()
               from json_to_recordset(%(rows)s::json) as new
                   (id uuid, epoch bigint, status text, tries int, due_at timestamptz,
                    last_status int, last_reason text, last_ms int)
               where old.id = new.id and old.epoch = new.epoch returning old.id""",
            rows=json_rows(rows),
        )
        return {row["id"] for row in saved}

    async def save_health(self, health: Mapping[UUID, tuple[Health, str | None]]) -> None:
        """Write back endpoints that were locked, with the reason of the last failure."""
        rows = [
            {
                "id": endpoint_id,
                "is_on": one.is_on,
                "off_reason": one.off_reason,
                "failures": one.failures,
                "failing_since": one.failing_since,
                "paused_until": one.paused_until,
                "is_fast": one.is_fast,
                "last_error": error,
            }
            for endpoint_id, (one, error) in health.items()
        ]
        await self._tx.run(
            """update endpoint as old
               set is_on = new.is_on, off_reason = new.off_reason, failures = new.failures,
                   failing_since = new.failing_since, paused_until = new.paused_until,
                   is_fast = new.is_fast, last_error = new.last_error
               from json_populate_recordset(null::endpoint, %(rows)s::json) as new
               where old.id = new.id""",
            rows=json_rows(rows),
        )

    async def page(
        self, endpoint_id: UUID, status: str | None, after: Sequence[Any], limit: int
    ) -> list[dict[str, Any]]:
        """Return deliveries of an endpoint, the newest first."""
        return await self._tx.rows(
            """select id, type, payment_id, sequence, status, tries, last_status, last_reason,
                   last_ms, due_at, created_at, updated_at
               from delivery
               where endpoint_id = %(endpoint_id)s and (created_at, id) < (%(at)s, %(id)s)
                 and (%(status)s::text is null or status = %(status)s)
               order by created_at desc, id desc limit %(limit)s""",
            endpoint_id=endpoint_id,
            status=status,
            at=after[0],
            id=after[1],
            limit=limit,
        )

    async def send_again(self, delivery_id: UUID, endpoint_id: UUID, retry_until: datetime) -> bool:
        """Make a delivery due, whatever came of it; return whether there is one."""
        found = await self._tx.rows(
            """update delivery
               set status = 'PENDING', due_at = now(), tries = 0, retry_until = %(retry_until)s,
                   parked_at = null, last_error = null, updated_at = now()
               where id = %(id)s and endpoint_id = %(endpoint_id)s returning id""",
            id=delivery_id,
            endpoint_id=endpoint_id,
            retry_until=retry_until,
        )
        return bool(found)


def _shipment(row: DictRow) -> Shipment:
    secrets = tuple(map(Sealed, row["secrets"]))
    fields = ("payment_id", "user_id", "transaction_id", "sequence", "status", "settlement_status")
    known = {name: row[name] for name in (*fields, "occurred_at")}
    return Shipment(row["url"], secrets, State(**known) if row["payment_id"] else None)
