"""Checks confirm's tables against the invariants: recent changes, or everything."""

from datetime import UTC, datetime
from typing import Any, LiteralString

from confirm.store.port import UNFINISHED
from double_entry.check import LedgerCheck
from payment_schemas.invariants.rules import TRANSFERS
from service_runtime.admin import Findings, counts_of
from service_runtime.postgres import PLANNED, REPORT, PostgresTransaction, json_rows

EVERYTHING = datetime.min.replace(tzinfo=UTC)

# Payments that changed since then: by a transfer's time, or by their own while they are unfinished.
_CHANGED: LiteralString = """
    with changed as (
        select source_id as id from transfer where posted_at >= %(since)s
        union
        select id from unfinished_payment join payment_state using (id)
            where updated_at >= %(since)s)"""
_ALL: LiteralString = "with changed as (select id from payment_state)"
_CHECKS: dict[str, LiteralString] = {
    "I3 in-flight differs from what is not yet settled or returned": """
        select account.id as account from account
        left join (select currency, sum(amount_minor) as total
                   from unfinished_payment join payment_record using (id)
                   where settlement_status in ('PENDING', 'SENT', 'UNKNOWN', 'RECONCILE')
                   group by 1) as unsettled using (currency)
        where account.id like 'in-flight:%%'
          and account.balance_minor <> coalesce(unsettled.total, 0)""",
    "I3 transfers do not fit the payment's state": """
        select state.id as payment_id from changed join payment_state as state using (id)
        cross join lateral (select coalesce(array_agg(kind order by kind), '{}') as kinds
                            from transfer where source_id = state.id) as posted
        join json_to_recordset(%(transfers)s::json) as rule (settlement_status text, kinds text[])
            using (settlement_status)
        where posted.kinds <> rule.kinds limit 20""",
    "I8 a payment that is not over is not among the unfinished ones": """
        select state.id as payment_id from changed join payment_state as state using (id)
        where status <> 'DECLINED' and settlement_status not in ('SETTLED', 'REJECTED')
          and not exists (select from unfinished_payment as work where work.id = state.id)
        limit 20""",
    "I12 confirmed without a risk result": """
        select state.id as payment_id from changed join payment_state as state using (id)
        where status = 'CONFIRMED' and risk_score is null limit 20""",
}

# A SENT payment has an instruction at settlement, which knows how much time the bank has.
_UNFINISHED: LiteralString = """
    select id as payment_id, status, settlement_status,
           extract(epoch from now() - updated_at)::float8 as age_s
    from unfinished_payment join payment_state using (id)
    where status <> 'AWAITING_CODE' and updated_at < now() - make_interval(secs => %(age_s)s)
      and (settlement_status <> 'SENT' or %(age_s)s = 0)
    order by updated_at limit 100"""


async def findings(
    tx: PostgresTransaction, unfinished_after_s: float, since: datetime | None
) -> dict[str, Any]:
    """Return violations among the changes since then (None: among all rows).

    Payments unfinished for that long are listed without those that wait for a bank; with 0
    seconds they are listed, too: only an empty list says that nothing is in flight.
    """
    await tx.run("set transaction isolation level repeatable read read only")
    # Planned with the time at hand: a third of the transfers may be newer than an unknown one.
    await tx.use(PLANNED if since else REPORT)
    violations = await _violations(tx, since)
    unfinished = await tx.rows(_UNFINISHED, age_s=unfinished_after_s)
    found = Findings(violations, unfinished)
    return found._asdict() | await counts_of(tx, UNFINISHED)


async def _violations(tx: PostgresTransaction, since: datetime | None) -> list[dict[str, Any]]:
    rules = [{"settlement_status": name, "kinds": kinds} for name, kinds in TRANSFERS.items()]
    parameters = {"since": since or EVERYTHING, "transfers": json_rows(rules)}
    changed = _CHANGED if since else _ALL
    own = [
        {"invariant": name.split()[0], "details": name.partition(" ")[2], **row}
        for name, statement in _CHECKS.items()
        for row in await tx.rows(changed + statement, **parameters)
    ]
    ledger = await LedgerCheck(tx).violations(since or EVERYTHING)
    return own + [{"invariant": "I3", **row} for row in ledger]
