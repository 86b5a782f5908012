"""Contacts in PostgreSQL, each sealed under the key of its person."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

import orjson
from psycopg.rows import DictRow

from notification.domain import Contact, ContactTrouble, Delivery
from notification.store.port import NewDelivery
from payment_schemas.ids import DeliveryId
from payment_schemas.sealed import Personal
from service_runtime.postgres import PostgresTransaction, json_rows
from service_runtime.subject_keys import ErasedError, KeyLostError, Readable, SubjectKey
from service_runtime.subjects import Subjects, Vault, opened


@dataclass(frozen=True, slots=True)
class SealedContact:
    """A contact as it is proposed and stored: the same ciphertext in both places."""

    user_id: str
    key_id: UUID
    sealed: bytes

    def as_row(self) -> dict[str, str]:
        """Return it as JSON has it, and the database's trigger compares it."""
        sealed = f"\\x{self.sealed.hex()}"
        return {"user_id": self.user_id, "key_id": str(self.key_id), "sealed": sealed}

    @classmethod
    def of_row(cls, row: Mapping[str, str]) -> "SealedContact":
        """Return it from JSON."""
        sealed = bytes.fromhex(row["sealed"].removeprefix("\\x"))
        return cls(row["user_id"], UUID(row["key_id"]), sealed)


class PostgresContacts:
    """Contacts within one transaction."""

    def __init__(self, tx: PostgresTransaction, vault: Vault) -> None:
        self._tx = tx
        self._vault = vault

    async def found(self, user_ids: Iterable[str]) -> Mapping[str, Contact]:
        """Return users' contacts, opened. One that cannot be read, or was erased, says why."""
        wanted = sorted(set(user_ids))
        rows = await self._tx.rows(
            """select user_id, phone, email, key_id, sealed,
                   coalesce(codes_paused_until > now(), false) as is_paused
               from contact
               where user_id in (select value from json_array_elements_text(%(ids)s::json))""",
            ids=json_rows(wanted),
        )
        keys = await self._vault.find([row["key_id"] for row in rows if row["key_id"]])
        contacts = {row["user_id"]: _contact_of(row, keys) for row in rows}
        if len(contacts) < len(wanted):
            missing = [name for name in wanted if name not in contacts]
            subjects = await Subjects(self._tx).found(missing)
            erased = [name for name, one in subjects.items() if one.erased_at]
            contacts |= {name: _unreadable(name, "erased") for name in erased}
        return contacts

    async def sealed(self, contacts: Iterable[Contact]) -> list[SealedContact]:
        """Seal contacts, the last one of each user; raise ErasedError for an erased one."""
        latest = {one.user_id: one for one in contacts}
        keys = await self._vault.keys_for(self._tx, latest)
        return [_sealed(one, *keys[name]) for name, one in latest.items()]

    async def opened(self, contacts: Iterable[SealedContact]) -> dict[str, Contact]:
        """Return contacts, opened. One that cannot be read says why."""
        stored = list(contacts)
        keys = await self._vault.find([one.key_id for one in stored])
        return {one.user_id: _opened(one, keys[one.key_id]) for one in stored}

    async def put(self, contacts: Iterable[SealedContact]) -> None:
        """Add or replace contacts."""
        await self._tx.run(
            """insert into contact (user_id, key_id, sealed)
               select user_id, key_id, sealed from json_to_recordset(%(rows)s::json)
                   as new (user_id text, key_id uuid, sealed bytea)
               order by user_id
               on conflict (user_id) do update
               set key_id = excluded.key_id, sealed = excluded.sealed, phone = null, email = null,
                   updated_at = now()""",
            rows=json_rows([one.as_row() for one in contacts]),
        )

    async def seal_older(self, limit: int, user_ids: Sequence[str] | None = None) -> int:
        """Seal contacts that are in clear, of all or of some users; return their number."""
        rows = await self._tx.rows(
            """select user_id, phone, email from contact
               where sealed is null and (%(ids)s::text[] is null or user_id = any(%(ids)s))
                 and not exists (select from subject
                     where subject.user_id = contact.user_id and erased_at is not null)
               order by user_id limit %(limit)s for update""",
            ids=user_ids,
            limit=limit,
        )
        clear = [_in_clear(row) for row in rows]
        await self.put(await self.sealed(clear) if clear else [])
        return len(clear)

    async def seal_addresses(self, new: Iterable[NewDelivery]) -> dict[DeliveryId, bytes]:
        """Seal the former addresses of notices."""
        addresses = [one.delivery for one in new if one.delivery.former_address is not None]
        if not addresses:
            return {}
        keys = await self._vault.keys_for(self._tx, {one.user_id for one in addresses})
        return {one.id: _sealed_address(one, keys[one.user_id][1]) for one in addresses}

    async def former_addresses(self, due: Iterable[Delivery]) -> dict[DeliveryId, Personal]:
        """Return where notices go; without those that cannot be read."""
        notices = [one for one in due if one.template == "contact_changed"]
        found = {one.id: one.former_address for one in notices if one.former_address is not None}
        sealed = [one for one in notices if one.former_sealed is not None]
        if sealed:
            subjects = await Subjects(self._tx).found({one.user_id for one in sealed})
            keys = await self._vault.find([one.key_id for one in subjects.values()])
            for one in sealed:
                with suppress(ErasedError, KeyLostError):
                    key = opened(keys[subjects[one.user_id].key_id])
                    address = key.open(one.former_sealed or b"", _place(one))
                    found[one.id] = Personal(address.decode())
        return found


async def forget(tx: PostgresTransaction, user_ids: Sequence[str]) -> None:
    """Remove erased persons' contacts and proposals of them; their messages end at once."""
    await tx.run("select forget_contacts(%(ids)s)", ids=list(user_ids))
    await tx.run(
        """delete from proposal using unnest(%(ids)s::text[]) as erased (user_id)
           where act = 'CONTACTS_CHANGE' and expires_at > now() and body @> jsonb_build_object(
               'contacts', jsonb_build_array(jsonb_build_object('user_id', erased.user_id)))
             and not exists (select from approval where proposal_id = id)""",
        ids=list(user_ids),
    )
    await tx.run(
        """update delivery set due_at = least(due_at, now())
           where due_at > now() and user_id = any(%(ids)s)""",
        ids=list(user_ids),
    )


def _sealed(contact: Contact, key_id: UUID, key: SubjectKey) -> SealedContact:
    stated = {"phone": contact.phone.reveal(), "email": contact.email.reveal()}
    sealed = key.seal(orjson.dumps(stated), f"contact/{contact.user_id}")
    return SealedContact(contact.user_id, key_id, sealed)


def _opened(stored: SealedContact, key: Readable, *, is_paused: bool = False) -> Contact:
    try:
        stated = orjson.loads(opened(key).open(stored.sealed, f"contact/{stored.user_id}"))
    except ErasedError:
        return _unreadable(stored.user_id, "erased")
    except KeyLostError:
        return _unreadable(stored.user_id, "subject_key_lost")
    phone, email = Personal(stated["phone"]), Personal(stated["email"])
    return Contact(stored.user_id, phone, email, is_paused)


def _unreadable(user_id: str, trouble: ContactTrouble) -> Contact:
    return Contact(user_id, Personal(""), Personal(""), trouble=trouble)


def _contact_of(row: DictRow, keys: Mapping[UUID, Readable]) -> Contact:
    if row["sealed"] is None:
        return _in_clear(row)
    stored = SealedContact(row["user_id"], row["key_id"], row["sealed"])
    return _opened(stored, keys[row["key_id"]], is_paused=row["is_paused"])


def _in_clear(row: DictRow) -> Contact:
    """Return a contact that is not sealed yet."""
    phone, email = Personal(row["phone"]), Personal(row["email"])
    return Contact(row["user_id"], phone, email, row.get("is_paused", False))


def _sealed_address(delivery: Delivery, key: SubjectKey) -> bytes:
    address = delivery.former_address or Personal("")
    return key.seal(address.reveal().encode(), _place(delivery))


def _place(delivery: Delivery) -> str:
    return f"delivery/{delivery.id}"
