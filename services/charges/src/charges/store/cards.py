"""The vault's tables: cards without their numbers, their tokens at providers, detokenisations."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from psycopg.rows import DictRow

from charges.domain.cards import Card, Expiry
from charges.domain.provisions import Provision, ProvisionStatus
from payment_schemas.sealed import Sealed
from service_runtime.messages import Trace
from service_runtime.postgres import PostgresTransaction, json_rows

CARD_TOKEN_TABLE = "card_token"  # noqa: S105 - a table's name
PROVIDERS_PURPOSE = "store at provider"


def card_of(row: DictRow) -> Card:
    """Return the card in a row of the table."""
    return Card(
        id=row["id"],
        token=row["token"],
        user_id=row["user_id"],
        network=row["network"],
        last4=row["last4"],
        expiry=Expiry(row["month"], row["year"]),
        fingerprint=row["fingerprint"],
        created_at=row["created_at"],
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

    async def open(self, rows: Sequence[Provision]) -> Mapping[UUID, tuple[Card, Sealed]]:
        """Return the sealed numbers of provisions by their id; each is noted before it is opened.

        The note is a row of `detokenization`, in this transaction.
        """
        await self.tx.run(
            """insert into detokenization (id, card_id, purpose, provider)
               select gen_random_uuid(), card_id, %(purpose)s, provider
               from json_populate_recordset(null::card_token, %(rows)s::json)""",
            purpose=PROVIDERS_PURPOSE,
            rows=json_rows([{"card_id": row.card_id, "provider": row.provider} for row in rows]),
        )
        found = await self.tx.rows(
            """select * from card
               where id in (select value::uuid from json_array_elements_text(%(ids)s::json))""",
            ids=json_rows(sorted({str(row.card_id) for row in rows})),
        )
        cards = {row["id"]: (card_of(row), Sealed(row["sealed"])) for row in found}
        return {row.id: cards[row.card_id] for row in rows}

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

    async def key_ids(self) -> set[str]:
        """Return the ids of the keys under which numbers are sealed."""
        rows = await self.tx.rows("select distinct kid from card")
        return {row["kid"] for row in rows}
