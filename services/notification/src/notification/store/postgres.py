"""Deliveries and contacts in PostgreSQL."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from psycopg.rows import DictRow

from notification.domain import Contact, Delivery, Sibling, Status
from notification.store.contacts import PostgresContacts
from notification.store.port import NewDelivery
from payment_schemas.ids import ChallengeId, DeliveryId, PaymentId
from payment_schemas.money import Money
from payment_schemas.sealed import Personal, Sealed
from service_runtime.postgres import PostgresTransaction, json_rows
from service_runtime.subjects import Vault


class PostgresDeliveries:
    """Deliveries and contacts in PostgreSQL."""

    def __init__(self, tx: PostgresTransaction, vault: Vault) -> None:
        self._tx = tx
        self._contacts = PostgresContacts(tx, vault)

    async def add(self, new: Sequence[NewDelivery]) -> None:
        addresses = await self._contacts.seal_addresses(new)
        await self._tx.run(
            """insert into delivery (id, payment_id, user_id, transaction_id, channel, template,
                   amount_minor, currency, to_account, sealed_code, challenge_id, challenge_number,
                   former_sealed, expires_at, due_at, trace)
               select id, payment_id, user_id, transaction_id, channel, template,
                   amount_minor, currency, to_account, sealed_code, challenge_id, challenge_number,
                   former_sealed, expires_at, due_at, trace
               from json_populate_recordset(null::delivery, %(rows)s::json)
               order by id on conflict do nothing""",
            rows=json_rows([_insert_row(one, addresses) for one in new]),
        )

    async def save(self, deliveries: Iterable[Delivery]) -> None:
        await self._tx.run(
            """update delivery as old
               set status = new.status, reason = new.reason, provider_id = new.provider_id,
                   tries = new.tries, due_at = new.due_at, sealed_code = new.sealed_code,
                   former_address = new.former_address, former_sealed = new.former_sealed,
                   lease_until = null, updated_at = clock_timestamp()
               from json_to_recordset(%(rows)s::json) as new
                   (id uuid, status text, reason text, provider_id text, tries int,
                    due_at timestamptz, sealed_code text, former_address text,
                    former_sealed bytea)
               where old.id = new.id""",
            rows=json_rows([_update_row(one) for one in deliveries]),
        )

    async def siblings(
        self, payment_ids: Collection[PaymentId]
    ) -> Mapping[PaymentId, Sequence[Sibling]]:
        rows = await self._tx.rows(
            """select id, payment_id, template, challenge_number, status, due_at,
                   coalesce(lease_until > now(), false) as in_flight
               from delivery where payment_id in (
                   select value::uuid from json_array_elements_text(%(ids)s::json))""",
            ids=json_rows(list(payment_ids)),
        )
        found: dict[PaymentId, list[Sibling]] = {name: [] for name in payment_ids}
        for row in rows:
            found[row["payment_id"]].append(Sibling(**row | {"status": Status(row["status"])}))
        return found

    async def end_challenges(self, challenge_ids: Collection[ChallengeId]) -> None:
        if challenge_ids:
            await self._tx.run(
                """insert into challenge_over (challenge_id)
                   select value::uuid from json_array_elements_text(%(ids)s::json)
                   order by 1 on conflict do nothing""",
                ids=json_rows(list(challenge_ids)),
            )

    async def ended_challenges(self, challenge_ids: Collection[ChallengeId]) -> set[ChallengeId]:
        if not challenge_ids:
            return set()
        rows = await self._tx.rows(
            """select challenge_id from challenge_over where challenge_id in (
                   select value::uuid from json_array_elements_text(%(ids)s::json))""",
            ids=json_rows(list(challenge_ids)),
        )
        return {row["challenge_id"] for row in rows}

    async def contacts(self, user_ids: Iterable[str]) -> Mapping[str, Contact]:
        return await self._contacts.found(user_ids)

    async def former_addresses(self, due: Iterable[Delivery]) -> Mapping[DeliveryId, Personal]:
        return await self._contacts.former_addresses(due)

    async def put_contacts(self, contacts: Iterable[Contact]) -> None:
        await self._contacts.put(await self._contacts.sealed(contacts))


def delivery_of(row: DictRow) -> Delivery:
    """Return the delivery in a row of the table."""
    return Delivery(
        id=row["id"],
        payment_id=row["payment_id"],
        user_id=row["user_id"],
        transaction_id=row["transaction_id"],
        channel=row["channel"],
        template=row["template"],
        money=row["amount_minor"] and Money(row["amount_minor"], row["currency"]),
        to_account=row["to_account"],
        expires_at=row["expires_at"],
        due_at=row["due_at"],
        sealed_code=None if row["sealed_code"] is None else Sealed(row["sealed_code"]),
        challenge_id=row["challenge_id"],
        challenge_number=row["challenge_number"],
        former_address=row["former_address"] and Personal(row["former_address"]),
        former_sealed=row["former_sealed"],
        status=Status(row["status"]),
        reason=row["reason"],
        provider_id=row["provider_id"],
        tries=row["tries"],
    )


def _insert_row(new: NewDelivery, addresses: Mapping[DeliveryId, bytes]) -> dict[str, Any]:
    delivery = new.delivery
    return _update_row(delivery) | {
        "payment_id": delivery.payment_id,
        "user_id": delivery.user_id,
        "transaction_id": delivery.transaction_id,
        "channel": delivery.channel,
        "template": delivery.template,
        "amount_minor": delivery.money and delivery.money.amount_minor,
        "currency": delivery.money and delivery.money.currency,
        "to_account": delivery.to_account,
        "challenge_id": delivery.challenge_id,
        "challenge_number": delivery.challenge_number,
        "expires_at": delivery.expires_at,
        "former_sealed": _hex(addresses.get(delivery.id)),
        "trace": new.trace,
    }


def _update_row(delivery: Delivery) -> dict[str, Any]:
    code, address = delivery.sealed_code, delivery.former_address
    return {
        "id": delivery.id,
        "status": delivery.status,
        "reason": delivery.reason,
        "provider_id": delivery.provider_id,
        "tries": delivery.tries,
        "due_at": delivery.due_at,
        "sealed_code": None if code is None else code.reveal(),
        "former_address": None if address is None else address.reveal(),
        "former_sealed": _hex(delivery.former_sealed),
    }


def _hex(sealed: bytes | None) -> str | None:
    return None if sealed is None else f"\\x{sealed.hex()}"
