"""Payments whose parties are screened again when a list changes, and the hits reported of them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from screening.domain.rescreening import NewHit, ScreenedPayment
from service_runtime.postgres import PostgresTransaction, json_rows


class Payments:
    """Screened payments within one transaction."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self._tx = tx

    async def know_requested(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Keep the parties of payments, each once; no name of a declined one."""
        await self._tx.run(
            """insert into screened_payment as known (payment_id, user_id, transaction_id,
                   from_account, to_account, amount_minor, currency, sealed_to_name)
               select payment_id, user_id, transaction_id, from_account, to_account, amount_minor,
                      currency, sealed_to_name
               from json_populate_recordset(null::screened_payment, %(rows)s::json)
               on conflict (payment_id) do update
               set user_id = excluded.user_id, transaction_id = excluded.transaction_id,
                   from_account = excluded.from_account, to_account = excluded.to_account,
                   amount_minor = excluded.amount_minor, currency = excluded.currency,
                   sealed_to_name = case when known.outcome is distinct from 'DECLINED'
                                         then excluded.sealed_to_name end
               where known.to_account is null""",
            rows=_in_order(rows),
        )

    async def know_assessed(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Keep the scores of payments, and the lists that they were screened with."""
        await self._tx.run(
            """insert into screened_payment as known (payment_id, risk_score, lists_version)
               select payment_id, risk_score, lists_version
               from json_populate_recordset(null::screened_payment, %(rows)s::json)
               on conflict (payment_id) do update
               set risk_score = excluded.risk_score, lists_version = excluded.lists_version
               where known.lists_version is null""",
            rows=_in_order(rows),
        )

    async def know_decided(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Keep the outcomes of payments; the names of declined ones go."""
        await self._tx.run(
            """insert into screened_payment as known (payment_id, outcome)
               select payment_id, outcome
               from json_populate_recordset(null::screened_payment, %(rows)s::json)
               on conflict (payment_id) do update
               set outcome = excluded.outcome,
                   sealed_to_name = case when excluded.outcome = 'CONFIRMED'
                                         then known.sealed_to_name end
               where known.outcome is null""",
            rows=_in_order(rows),
        )

    async def of_other_lists(self, version: str, limit: int) -> list[ScreenedPayment]:
        """Return payments that are open or confirmed and were screened with other lists."""
        rows = await self._tx.rows(
            """(select payment_id, user_id, transaction_id, from_account, to_account, amount_minor,
                       currency, sealed_to_name, risk_score, lists_version, outcome
                from screened_payment
                where lists_version < %(version)s and to_account is not null
                  and outcome is distinct from 'DECLINED'
                order by lists_version, payment_id limit %(limit)s)
               union all
               (select payment_id, user_id, transaction_id, from_account, to_account, amount_minor,
                       currency, sealed_to_name, risk_score, lists_version, outcome
                from screened_payment
                where lists_version > %(version)s and to_account is not null
                  and outcome is distinct from 'DECLINED'
                order by lists_version, payment_id limit %(limit)s)
               limit %(limit)s""",
            version=version,
            limit=limit,
        )
        return [ScreenedPayment(**row) for row in rows]

    async def screened(self, version: str, names: Mapping[UUID, str | None]) -> None:
        """Note that payments were screened with these lists, with their names, sealed anew."""
        rows = ({"payment_id": name, "sealed_to_name": sealed} for name, sealed in names.items())
        await self._tx.run(
            """update screened_payment as known
               set lists_version = %(version)s,
                   sealed_to_name = case when known.sealed_to_name is not null
                                         then coalesce(new.sealed_to_name, known.sealed_to_name)
                                    end
               from json_populate_recordset(null::screened_payment, %(rows)s::json) as new
               where known.payment_id = new.payment_id""",
            version=version,
            rows=_in_order(rows),
        )

    async def report(self, hits: Sequence[NewHit]) -> list[NewHit]:
        """Keep hits; return those that were not reported: of a known party, once an entry."""
        rows = await self._tx.rows(
            """insert into reported_hit (payment_id, party, list_name, entry_id, account_id,
                                         match_score, list_version, is_open)
               select payment_id, party, list_name, entry_id, account_id, match_score,
                      list_version, is_open
               from json_populate_recordset(null::reported_hit, %(rows)s::json)
               on conflict do nothing
               returning payment_id, party, list_name, entry_id""",
            rows=json_rows([_row(hit) for hit in sorted(hits, key=lambda hit: str(hit.key))]),
        )
        new = {tuple(row.values()) for row in rows}
        return [hit for hit in hits if hit.key in new]


def _row(hit: NewHit) -> dict[str, Any]:
    return {
        "payment_id": hit.payment.payment_id,
        "party": hit.party,
        "list_name": hit.list_name,
        "entry_id": hit.entry_id,
        "account_id": hit.account_id,
        "match_score": hit.match_score,
        "list_version": hit.list_version,
        "is_open": hit.payment.outcome is None,
    }


def _in_order(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return rows in one order for all writers, each payment once, so that none deadlock."""
    by_id = {row["payment_id"]: row for row in rows}
    return json_rows([by_id[name] for name in sorted(by_id, key=str)])
