"""The vault's tables: cards without their numbers, their tokens at providers, detokenisations."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import DictRow

from charges.domain.cards import Card, Expiry
from charges.domain.provisions import Provision, ProvisionStatus
from payment_schemas.sealed import Sealed
from service_runtime.messages import Trace
from service_runtime.postgres import PostgresTransaction, json_rows

CARD_TOKEN_TABLE = "card_token"  # noqa: S105 - a table's name
PROVIDERS_PURPOSE, ANEW_PURPOSE = "store at provider", "seal anew"
NOWHERE = "none"
"""The provider of an opening after which the number is sealed again."""


def card_of(row: DictRow) -> Card:
    """Return the card in a row of the table."""
    return Card(
        id=row["id"],
        token=row["token"],
        user_id=row["user_id"],
        network=row["network"],
        last4=row["last4"],
        expiry=Expiry(row["month"], row["year"]),
        fingerprint=row["fingerprint"] or "",
        created_at=row["created_at"],
        deleted_at=row["deleted_at"],
    )


def provision_of(row: DictRow) -> Provision:
    """Return the provision in a row of the table."""
    return Provision(
        id=row["id"],
        card_id=row["card_id"],
        provider=row["provider"],
        due_at=row["due_at"],
        status=ProvisionStatus(row["status"]),
        provider_token=row["provider_token"],
        code=row["code"],
        tries=row["tries"],
    )


class Cards:
    """Cards within one transaction."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self.tx = tx

    async def add(self, card: Card, kid: str, sealed: Sealed, request_id: str) -> Card:
        """Add a card, or return the one that the same request has added before."""
        added = await self.tx.rows(
            """insert into card (id, token, user_id, request_id, sealed, kid, fingerprint, network,
                   last4, month, year, created_at)
               values (%(id)s, %(token)s, %(user_id)s, %(request_id)s, %(sealed)s, %(kid)s,
                   %(fingerprint)s, %(network)s, %(last4)s, %(month)s, %(year)s, %(created_at)s)
               on conflict (user_id, request_id) do nothing returning id""",
            id=card.id,
            token=card.token,
            user_id=card.user_id,
            request_id=request_id,
            sealed=sealed.reveal(),
            kid=kid,
            fingerprint=card.fingerprint,
            network=card.network,
            last4=card.last4,
            month=card.expiry.month,
            year=card.expiry.year,
            created_at=card.created_at,
        )
        return card if added else await self._of_request(card.user_id, request_id)

    async def _of_request(self, user_id: str, request_id: str) -> Card:
        rows = await self.tx.rows(
            "select * from card where user_id = %(user_id)s and request_id = %(request_id)s",
            user_id=user_id,
            request_id=request_id,
        )
        return card_of(rows[0])

    async def of_token(self, token: str) -> Card | None:
        """Return the card of a token, whosever it is; None where the token is no vault's."""
        rows = await self.tx.rows("select * from card where token = %(token)s", token=token)
        return card_of(rows[0]) if rows else None

    async def shared(self, token: str) -> Card | None:
        """Return the same card, which is not deleted before this transaction has ended."""
        rows = await self.tx.rows(
            "select * from card where token = %(token)s for share", token=token
        )
        return card_of(rows[0]) if rows else None

    async def locked(self, token: str, user_id: str) -> Card | None:
        """Return a merchant's own card, which nobody else changes meanwhile."""
        rows = await self.tx.rows(
            "select * from card where token = %(token)s and user_id = %(user_id)s for update",
            token=token,
            user_id=user_id,
        )
        return card_of(rows[0]) if rows else None

    async def is_in_use(self, token: str) -> bool:
        """Whether a payment with this token may still be sent, captured or voided."""
        rows = await self.tx.rows(
            """select from charge where source = %(token)s
               and status in ('CREATED', 'AUTHORIZING', 'UNKNOWN', 'AUTHORIZED') limit 1""",
            token=token,
        )
        return bool(rows)

    async def delete(self, card_id: UUID, at: datetime) -> None:
        """Remove a locked card's number and fingerprint; its providers' tokens become due."""
        await self.tx.run(
            """update card set sealed = null, kid = null, fingerprint = null, deleted_at = %(at)s
               where id = %(id)s""",
            id=card_id,
            at=at,
        )
        await self.tx.run(
            """update card_token set status = 'DELETING', due_at = %(at)s, tries = 0
               where card_id = %(id)s and status = 'STORED'""",
            id=card_id,
            at=at,
        )

    async def deleted(self, card_ids: Iterable[UUID]) -> set[UUID]:
        """Return which of these cards are deleted; none becomes it in this transaction."""
        rows = await self.tx.rows(
            """select id, deleted_at from card
               where id in (select value::uuid from json_array_elements_text(%(ids)s::json))
               order by id for share""",
            ids=json_rows(sorted({str(one) for one in card_ids})),
        )
        return {row["id"] for row in rows if row["deleted_at"]}

    async def provide(self, rows: Sequence[Provision], trace: Trace) -> None:
        """Have a card stored at providers; each row is due at once."""
        values = [
            {
                "id": row.id,
                "card_id": row.card_id,
                "provider": row.provider,
                "status": row.status,
                "due_at": row.due_at,
                "trace": trace,
            }
            for row in rows
        ]
        await self.tx.run(
            """insert into card_token (id, card_id, provider, status, due_at, trace)
               select id, card_id, provider, status, due_at, trace
               from json_populate_recordset(null::card_token, %(rows)s::json)
               on conflict do nothing""",
            rows=json_rows(values),
        )

    async def provisions(self, card_id: UUID) -> list[Provision]:
        """Return where a card is stored, or is to be."""
        rows = await self.tx.rows(
            "select * from card_token where card_id = %(id)s order by provider", id=card_id
        )
        return [provision_of(row) for row in rows]

    async def sources(self, tokens: Iterable[str]) -> dict[str, dict[str, str]]:
        """Return for each token of the vault the providers' own tokens, by provider."""
        rows = await self.tx.rows(
            """select card.token, at.provider, at.provider_token from card
               left join card_token as at on at.card_id = card.id and at.status = 'STORED'
               where card.token in (select json_array_elements_text(%(tokens)s::json))""",
            tokens=json_rows(sorted(set(tokens))),
        )
        found: dict[str, dict[str, str]] = {}
        for row in rows:
            known = found.setdefault(row["token"], {})
            if row["provider"]:
                known[row["provider"]] = row["provider_token"]
        return found

    async def open(self, rows: Sequence[Provision]) -> Mapping[UUID, tuple[Card, Sealed | None]]:
        """Return the sealed numbers of provisions by their id; each is noted before it is opened.

        The note is a row of `detokenization`, in this transaction. A deleted card has no number.
        """
        found = await self.tx.rows(
            """select * from card
               where id in (select value::uuid from json_array_elements_text(%(ids)s::json))""",
            ids=json_rows(sorted({str(row.card_id) for row in rows})),
        )
        cards = {row["id"]: (card_of(row), _sealed_of(row)) for row in found}
        opened = [(row.card_id, row.provider) for row in rows if cards[row.card_id][1]]
        await self._note(opened, PROVIDERS_PURPOSE)
        return {row.id: cards[row.card_id] for row in rows}

    async def _note(self, opened: Sequence[tuple[UUID, str]], purpose: str) -> None:
        values = [{"card_id": card_id, "provider": provider} for card_id, provider in opened]
        await self.tx.run(
            """insert into detokenization (id, card_id, purpose, provider)
               select gen_random_uuid(), card_id, %(purpose)s, provider
               from json_populate_recordset(null::card_token, %(rows)s::json)""",
            purpose=purpose,
            rows=json_rows(values),
        )

    async def under(self, kid: str, after: UUID, limit: int) -> list[tuple[Card, Sealed]]:
        """Return cards sealed under a key, by id; each is noted before it is opened."""
        rows = await self.tx.rows(
            """select * from card where kid = %(kid)s and id > %(after)s
               order by id limit %(limit)s""",
            kid=kid,
            after=after,
            limit=limit,
        )
        await self._note([(row["id"], NOWHERE) for row in rows], ANEW_PURPOSE)
        return [(card_of(row), Sealed(row["sealed"])) for row in rows]

    async def seal_anew(self, old_kid: str, sealed: Mapping[UUID, tuple[str, Sealed]]) -> set[UUID]:
        """Replace what is sealed under an old key; return the cards that were still under it."""
        values = [
            {"id": card_id, "kid": kid, "sealed": one.reveal()}
            for card_id, (kid, one) in sorted(sealed.items())
        ]
        rows = await self.tx.rows(
            """update card as old set kid = new.kid, sealed = new.sealed
               from json_populate_recordset(null::card, %(rows)s::json) as new
               where old.id = new.id and old.kid = %(old_kid)s returning old.id""",
            rows=json_rows(values),
            old_kid=old_kid,
        )
        return {row["id"] for row in rows}

    async def save(self, rows: Sequence[Provision]) -> None:
        """Write back provisions of this worker's leases, which end."""
        values: list[dict[str, Any]] = [
            {
                "id": row.id,
                "status": row.status,
                "provider_token": row.provider_token,
                "code": row.code,
                "tries": row.tries,
                "due_at": row.due_at,
            }
            for row in sorted(rows, key=lambda one: one.id)
        ]
        await self.tx.run(
            """update card_token as old
               set status = new.status, provider_token = new.provider_token, code = new.code,
                   tries = new.tries, due_at = new.due_at, lease_until = null
               from json_populate_recordset(null::card_token, %(rows)s::json) as new
               where old.id = new.id""",
            rows=json_rows(values),
        )

    async def key_counts(self) -> dict[str, int]:
        """Return the ids of the keys under which numbers are sealed, each with its cards."""
        rows = await self.tx.rows(
            "select kid, count(*) as cards from card where kid is not null group by kid"
        )
        return {row["kid"]: row["cards"] for row in rows}


def _sealed_of(row: DictRow) -> Sealed | None:
    return Sealed(row["sealed"]) if row["sealed"] else None
