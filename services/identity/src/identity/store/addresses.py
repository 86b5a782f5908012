"""E-mail addresses: each sealed under the key of its person, and found by an HMAC."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from identity.domain.subjects import user_subject
from identity.store.users import User, Users
from payment_schemas.sealed import Personal
from service_runtime.errors import Conflict
from service_runtime.keys import KeyRing
from service_runtime.postgres import PostgresTransaction, json_rows
from service_runtime.sealing import keyed_hash
from service_runtime.subject_keys import ErasedError
from service_runtime.subjects import Vault, opened

TAKEN = "email_address_taken"
"""The constraint of an address that another user has."""


@dataclass(frozen=True, slots=True)
class AddressKeys:
    """The keys of addresses."""

    vault: Vault
    """The keys of persons, which an erasure destroys."""
    lookup: KeyRing
    """A retired key makes addresses that were added under it unknown."""

    def lookups(self, email: Personal) -> Sequence[str]:
        """Return the look-up values of an address, that of the current key first."""
        return [keyed_hash(key.material, "email", email.reveal()) for key in self.lookup]

    def pseudonym(self, email: Personal) -> str:
        """Return the pseudonym of an address, for use outside of the database."""
        return keyed_hash(self.lookup.current.material, "attempts", email.reveal())


class Addresses:
    """Addresses within one transaction."""

    def __init__(self, tx: PostgresTransaction, keys: AddressKeys) -> None:
        self._tx = tx
        self._keys = keys

    async def add(self, user_id: UUID, email: Personal) -> None:
        """Add a user's address; one that is taken is a Conflict of the constraint TAKEN."""
        if await self.user_of(email):
            # In clear, or by a former key: the constraint does not compare them.
            raise Conflict("email: has an account", TAKEN)
        await self._tx.run(
            """insert into email_address (user_id, lookup, key_id, sealed)
               select user_id, lookup, key_id, sealed from json_to_recordset(%(rows)s::json)
                   as new (user_id uuid, lookup text, key_id uuid, sealed bytea)""",
            rows=await self._sealed({user_id: email}),
        )

    async def user_of(self, email: Personal) -> User | None:
        """Return the user with an address."""
        lookups = self._keys.lookups(email)
        return await Users(self._tx).of_address(lookups, email.reveal())

    async def of(self, user_id: UUID) -> Personal | None:
        """Return a user's address; None for one who was erased. Raises KeyLostError."""
        rows = await self._tx.rows(
            "select address, key_id, sealed from email_address where user_id = %(id)s", id=user_id
        )
        if not rows:
            return None
        (row,) = rows
        if row["sealed"] is None:
            return Personal(row["address"])
        found = await self._keys.vault.find([row["key_id"]])
        try:
            return Personal(
                opened(found[row["key_id"]]).open(row["sealed"], _place(user_id)).decode()
            )
        except ErasedError:
            return None

    async def seal_older(self, limit: int) -> int:
        """Seal addresses that are in clear; return their number."""
        rows = await self._tx.rows(
            """select user_id, address from email_address
               where address is not null and not exists (
                   select from subject where erased_at is not null and subject.user_id
                       = 'cs_user_' || replace(email_address.user_id::text, '-', ''))
               order by address limit %(limit)s for update""",
            limit=limit,
        )
        clear = {row["user_id"]: Personal(row["address"]) for row in rows}
        if clear:
            await self._tx.run(
                """update email_address as old
                   set address = null, lookup = new.lookup, key_id = new.key_id, sealed = new.sealed
                   from json_to_recordset(%(rows)s::json)
                       as new (user_id uuid, lookup text, key_id uuid, sealed bytea)
                   where old.user_id = new.user_id""",
                rows=await self._sealed(clear),
            )
        return len(clear)

    async def _sealed(self, emails: dict[UUID, Personal]) -> str:
        names = {user_id: user_subject(user_id) for user_id in emails}
        keys = await self._keys.vault.keys_for(self._tx, list(names.values()))
        rows = []
        for user_id, email in emails.items():
            key_id, key = keys[names[user_id]]
            sealed = key.seal(email.reveal().encode(), _place(user_id))
            (lookup, *_) = self._keys.lookups(email)
            row = {"user_id": str(user_id), "lookup": lookup, "key_id": str(key_id)}
            rows.append({**row, "sealed": f"\\x{sealed.hex()}"})
        return json_rows(rows)


async def forget_addresses(tx: PostgresTransaction, user_ids: Sequence[str]) -> None:
    """Remove the addresses of erased persons."""
    await tx.run("select forget_addresses(%(ids)s)", ids=list(user_ids))


def _place(user_id: UUID) -> str:
    return f"email_address/{user_id}"
