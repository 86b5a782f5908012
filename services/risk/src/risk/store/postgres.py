"""Risk's tables in PostgreSQL."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from payment_schemas.ids import PaymentId
from payment_schemas.sealed import Sealed
from risk.domain import Assessed, Assessment, AssessmentRequest, Expired, History, Waiting
from risk.store.port import (
    TABLE,
    SuccessfulPayment,
    Window,
    result_columns,
)
from service_runtime.postgres import PostgresTransaction, json_rows
from service_runtime.work_table import PostgresWorkTable


def assessment_table() -> PostgresWorkTable[AssessmentRequest]:
    """Return the work table of waiting requests."""
    return PostgresWorkTable(TABLE, _request_of)


def _request_of(row: Mapping[str, Any]) -> AssessmentRequest:
    return AssessmentRequest(
        PaymentId(row["id"]),
        row["user_id"],
        row["transaction_id"],
        row["amount_minor"],
        row["currency"],
        row["from_account"],
        row["to_account"],
        row["country"],
        row["requested_at"],
        row["expires_at"],
        None if row["sealed_to_name"] is None else Sealed(row["sealed_to_name"]),
        row["device"],
    )


def _row(assessment: Assessment) -> dict[str, Any]:
    request = assessment.request
    row = {name: getattr(request, name) for name in AssessmentRequest.__slots__}
    row["id"] = row.pop("payment_id")
    name = row.pop("sealed_to_name")
    match assessment:
        case Waiting(_, due_at, trace):
            # The name is kept as long as it is needed, and not a moment longer.
            kept = {"sealed_to_name": None if name is None else name.reveal()}
            return row | kept | {"status": "WAITING", "due_at": due_at, "trace": trace or None}
        case Assessed(_, result, assessed_at):
            columns = result_columns(result)
            return row | columns | {"status": "ASSESSED", "assessed_at": assessed_at}
        case Expired():
            return row | {"status": "EXPIRED"}


def _sorted_rows(assessments: Iterable[Assessment]) -> str:
    """Return rows in one order for all writers, so that two batches cannot deadlock."""
    ordered = sorted(assessments, key=lambda one: str(one.request.payment_id))
    return json_rows([_row(one) for one in ordered])


class PostgresAssessments:
    """Assessments and histories in PostgreSQL."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self._tx = tx

    async def add(self, assessments: Sequence[Assessment]) -> set[PaymentId]:
        found = await self._tx.rows(
            """insert into assessment
                      (id, user_id, transaction_id, amount_minor, currency, from_account,
                       to_account, country, requested_at, expires_at, status, score, level,
                       amount_usd_minor, factors, sanctions, screenings, kyc, assessed_at, due_at,
                       trace, sealed_to_name, device, fraud)
               select id, user_id, transaction_id, amount_minor, currency, from_account,
                      to_account, country, requested_at, expires_at, status, score, level,
                      amount_usd_minor, factors, sanctions, screenings, kyc, assessed_at, due_at,
                      trace, sealed_to_name, device, fraud
               from json_populate_recordset(null::assessment, %(rows)s::json)
               on conflict do nothing returning id""",
            rows=_sorted_rows(assessments),
        )
        return {PaymentId(row["id"]) for row in found}

    async def save(self, assessments: Sequence[Assessment]) -> None:
        await self._tx.run(
            """update assessment as kept
               set status = new.status, score = new.score, level = new.level,
                   amount_usd_minor = new.amount_usd_minor, factors = new.factors,
                   sanctions = new.sanctions, screenings = new.screenings, kyc = new.kyc,
                   assessed_at = new.assessed_at, due_at = new.due_at, lease_until = null,
                   sealed_to_name = new.sealed_to_name, fraud = new.fraud
               from json_populate_recordset(null::assessment, %(rows)s::json) as new
               where kept.id = new.id""",
            rows=_sorted_rows(assessments),
        )

    async def histories(
        self, requests: Sequence[AssessmentRequest], window: Window
    ) -> Mapping[PaymentId, History]:
        found = await self._tx.rows(
            """select asked.id,
                      known_payee.user_id is not null as payee_known,
                      known_country.user_id is not null as country_known,
                      (select count(*) from (select from recent_payment as paid
                                             where paid.user_id = asked.user_id
                                               and paid.confirmed_at > %(since)s
                                             limit %(at_most)s) as counted) as recent
               from json_to_recordset(%(rows)s::json)
                    as asked (id uuid, user_id text, payee text, country text)
               left join known_payee using (user_id, payee)
               left join known_country using (user_id, country)""",
            rows=json_rows(
                [
                    {
                        "id": one.payment_id,
                        "user_id": one.user_id,
                        "payee": one.to_account,
                        "country": one.country,
                    }
                    for one in requests
                ]
            ),
            since=window.since,
            at_most=window.at_most,
        )
        return {
            PaymentId(row["id"]): History(row["payee_known"], row["country_known"], row["recent"])
            for row in found
        }

    async def add_payments(self, payments: Sequence[SuccessfulPayment]) -> None:
        await self._tx.run(
            """with learned as (
                   select * from json_to_recordset(%(rows)s::json)
                       as paid (payment_id uuid, user_id text, payee text, country text,
                                confirmed_at timestamptz)),
               payees as (
                   insert into known_payee (user_id, payee, first_paid_at)
                   select user_id, payee, min(confirmed_at) from learned
                   group by user_id, payee order by user_id, payee on conflict do nothing),
               countries as (
                   insert into known_country (user_id, country, first_paid_at)
                   select user_id, country, min(confirmed_at) from learned
                   where country is not null
                   group by user_id, country order by user_id, country on conflict do nothing)
               insert into recent_payment (payment_id, user_id, confirmed_at)
               select payment_id, user_id, confirmed_at from learned order by payment_id
               on conflict do nothing""",
            rows=json_rows(payments),
        )
