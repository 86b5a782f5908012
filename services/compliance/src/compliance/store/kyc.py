"""Profiles, documents and checks of identities."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from psycopg.rows import DictRow

from compliance.domain.kyc import DocumentType, Profile, Result, State
from service_runtime.messages import Trace
from service_runtime.postgres import PostgresTransaction, json_rows

CHECK_TABLE = "kyc_check"
_FIELDS = tuple(Profile.__dataclass_fields__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A document of a round; what it shows is in the object store, sealed."""

    id: UUID
    user_id: str
    round: int
    type: DocumentType
    media_type: str
    size_bytes: int
    numbers: Sequence[str] = ()
    """HMACs of its number, one by each look-up key."""
    expires_on: date | None = None
    sealed: bytes | None = None
    uploaded_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A check of a round at the provider."""

    id: UUID
    user_id: str
    round: int
    applicant_id: str | None = None
    provider_id: str | None = None
    sent: tuple[UUID, ...] = ()
    result: Result | None = None
    created_at: datetime
    due_at: datetime | None = None


class Kyc:
    """Identity checks within one transaction."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self.tx = tx

    async def found(self, user_id: str) -> Profile | None:
        """Return a profile."""
        return (await self._profiles("user_id = %(user_id)s", user_id=user_id)).get(user_id)

    async def locked(self, user_ids: Collection[str]) -> dict[str, Profile]:
        """Return profiles to change, locked in one order."""
        return await self._profiles(
            "user_id = any(%(ids)s) order by user_id for update", ids=sorted(user_ids)
        )

    async def _profiles(self, where: str, **values: Any) -> dict[str, Profile]:
        rows = await self.tx.rows(
            f"select {', '.join(_FIELDS)} from kyc_profile where {where}",  # noqa: S608 - names of fields
            **values,
        )
        return {row["user_id"]: profile_of(row) for row in rows}

    async def to_expire(self, now: datetime, limit: int) -> list[str]:
        """Return users whose verification has ended without an event."""
        rows = await self.tx.rows(
            """select user_id from kyc_profile
               where announced = 'verified' and verified_until <= %(now)s
               order by verified_until limit %(limit)s""",
            now=now,
            limit=limit,
        )
        return [row["user_id"] for row in rows]

    async def save(self, profile: Profile, sealed: bytes | None = None) -> None:
        """Save a profile; `sealed` replaces what the person has stated, None keeps it.

        What was stated when a round is verified is kept apart: a later statement changes no name
        that payments are screened by, until it is verified, too.
        """
        names = ", ".join(_FIELDS)
        values = ", ".join(f"%({name})s" for name in _FIELDS)
        changed = ", ".join(f"{name} = excluded.{name}" for name in _FIELDS)
        await self.tx.run(
            f"""insert into kyc_profile as old ({names}, sealed)
                values ({values}, %(sealed)s)
                on conflict (user_id) do update
                set {changed}, sealed = coalesce(excluded.sealed, old.sealed),
                    verified_sealed = case when excluded.state = 'VERIFIED' then old.sealed
                                           else old.verified_sealed end,
                    updated_at = now()""",  # noqa: S608 - names of fields
            **asdict(profile) | {"state": profile.state.value},
            sealed=sealed,
        )

    async def sealed(self, user_id: str) -> bytes | None:
        """Return what a person has stated, sealed."""
        rows = await self.tx.rows(
            "select sealed from kyc_profile where user_id = %(user_id)s", user_id=user_id
        )
        return rows[0]["sealed"] if rows else None

    async def documents(self, user_id: str, of_round: int | None = None) -> list[Document]:
        """Return a person's documents, the first one first; of one round or of all."""
        rows = await self.tx.rows(
            """select id, user_id, round, type, media_type, size_bytes, numbers, expires_on,
                      sealed, uploaded_at
               from kyc_document where user_id = %(user_id)s
                 and (%(round)s::int is null or round = %(round)s)
               order by uploaded_at, id""",
            user_id=user_id,
            round=of_round,
        )
        return [Document(**row) for row in rows]

    async def add_document(self, document: Document) -> None:
        """Add a document."""
        await self.tx.run(
            """insert into kyc_document (id, user_id, round, type, media_type, size_bytes)
               values (%(id)s, %(user_id)s, %(round)s, %(type)s, %(media_type)s, %(size_bytes)s)""",
            **asdict(document),
        )

    async def add_zone(self, document: Document) -> None:
        """Add what a document's machine-readable zone says."""
        await self.tx.run(
            """update kyc_document set numbers = %(numbers)s, expires_on = %(expires_on)s,
                      sealed = %(sealed)s where id = %(id)s""",
            **asdict(document) | {"numbers": list(document.numbers)},
        )

    async def others_with(self, numbers: Sequence[str], user_id: str) -> bool:
        """Return whether another person has shown a document of that number."""
        rows = await self.tx.rows(
            """select from kyc_document where numbers && %(numbers)s
               and user_id <> %(user_id)s limit 1""",
            numbers=list(numbers),
            user_id=user_id,
        )
        return bool(rows)

    async def add_check(self, check: Check, trace: Trace) -> None:
        """Add the check of a round, due at once."""
        await self.tx.run(
            """insert into kyc_check (id, user_id, round, created_at, due_at, trace)
               values (%(id)s, %(user_id)s, %(round)s, %(at)s, %(at)s, %(trace)s)""",
            id=check.id,
            user_id=check.user_id,
            round=check.round,
            at=check.created_at,
            trace=json_rows(trace),
        )

    async def save_check(self, check: Check, ended_at: datetime | None) -> None:
        """Save a check after a call, and end its lease."""
        await self.tx.run(
            """update kyc_check set applicant_id = %(applicant_id)s, provider_id = %(provider_id)s,
                      sent = %(sent)s, result = %(result)s, due_at = %(due_at)s,
                      ended_at = %(ended_at)s, lease_until = null
               where id = %(id)s""",
            **asdict(check) | {"sent": list(check.sent), "ended_at": ended_at},
        )

    async def checks(self, user_id: str) -> list[dict[str, Any]]:
        """Return a person's checks, the first one first."""
        return await self.tx.rows(
            """select round, provider_id, result, created_at, ended_at from kyc_check
               where user_id = %(user_id)s order by round""",
            user_id=user_id,
        )

    async def applicants(self, user_id: str) -> list[str]:
        """Return the ids that the provider knows a person by."""
        rows = await self.tx.rows(
            """select applicant_id from kyc_check
               where user_id = %(user_id)s and applicant_id is not null order by round""",
            user_id=user_id,
        )
        return [row["applicant_id"] for row in rows]

    async def wake(self, provider_id: str, now: datetime) -> bool:
        """Make a check due now; return whether there is one that has not ended."""
        rows = await self.tx.rows(
            """update kyc_check set due_at = least(due_at, %(now)s)
               where provider_id = %(id)s and due_at is not null returning id""",
            id=provider_id,
            now=now,
        )
        return bool(rows)

    async def in_state(self, state: State, after: str, limit: int) -> list[dict[str, Any]]:
        """Return the profiles in a state, by user."""
        return await self.tx.rows(
            """select user_id, level, round, state, verified_level, verified_until, updated_at
               from kyc_profile
               where state = %(state)s and user_id > %(after)s order by user_id limit %(limit)s""",
            state=state.value,
            after=after,
            limit=limit,
        )


def profile_of(row: DictRow) -> Profile:
    """Return the profile in a row."""
    return Profile(**{name: row[name] for name in _FIELDS} | {"state": State(row["state"])})


def check_of(row: DictRow) -> Check:
    """Return the check in a row of the work table."""
    fields = {name: row[name] for name in Check.__dataclass_fields__}
    return Check(**fields | {"sent": tuple(row["sent"])})
