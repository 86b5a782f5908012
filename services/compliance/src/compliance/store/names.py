"""The names by which payers are screened, sealed for screening."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from compliance.store.vault import opened_json
from payment_schemas.sealed import Personal, Sealed
from service_runtime.logs import Log
from service_runtime.ports import Database
from service_runtime.postgres import PostgresTransaction
from service_runtime.sealing import Sealer
from service_runtime.subject_keys import ErasedError, KeyLostError, Readable, SubjectKeys

UNREADABLE = Personal("")
"""A payer has a name, and it cannot be read now. Compared by identity."""
_log = Log("payer_names")


@dataclass(frozen=True, slots=True)
class Profile:
    """What is known of a payer, sealed."""

    user_id: str
    key_id: UUID
    sealed: bytes


@dataclass(frozen=True, slots=True)
class PayerNames:
    """Names of payers, opened by the keys of subjects and sealed for one payment each."""

    database: Database
    keys: SubjectKeys
    sealer: Sealer

    async def sealed_for(self, payers: Mapping[UUID, str]) -> dict[UUID, Sealed | None]:
        """Return the names of payers, given by user, by payment; None: no name is known.

        A payment whose payer has a name that cannot be read is left out: it must not pass as one
        without a name.
        """
        async with self.database.transaction() as tx:
            profiles = await profiles_of(tx, set(payers.values()))
        keys = await self.keys.find_all([one.key_id for one in profiles]) if profiles else []
        pairs = zip(profiles, keys, strict=True)
        names = {one.user_id: _name(one, key) for one, key in pairs}
        return {
            payment: self._sealed(names.get(user), payment)
            for payment, user in payers.items()
            if names.get(user) is not UNREADABLE
        }

    def _sealed(self, name: Personal | None, payment: UUID) -> Sealed | None:
        return None if name is None else self.sealer.seal(name.reveal(), payment)


async def profiles_of(tx: PostgresTransaction, user_ids: Collection[str]) -> list[Profile]:
    """Return what was verified of users, or else what they have stated; nothing of erased ones."""
    rows = await tx.rows(
        """select user_id, key_id, coalesce(verified_sealed, sealed) as sealed
           from kyc_profile join subject using (user_id)
           where user_id = any(%(ids)s) and sealed is not null
             and erased_at is null and destroyed_at is null""",
        ids=sorted(user_ids),
    )
    return [Profile(**row) for row in rows]


def payer_name(stated: Mapping[str, Any]) -> str:
    """Return the name in what a person has stated."""
    return f"{stated['firstName']} {stated['lastName']}"


def _name(profile: Profile, key: Readable) -> Personal | None:
    """Return a payer's name; None for one who was erased meanwhile; UNREADABLE for a lost key."""
    if isinstance(key, ErasedError):
        return None
    try:
        if isinstance(key, KeyLostError):
            raise key
        stated = opened_json(key, profile.sealed, f"kyc_profile/{profile.user_id}")
    except KeyLostError as error:
        _log.warning("payer_name_unreadable", reason=str(error))
        return UNREADABLE
    return Personal(payer_name(stated))
