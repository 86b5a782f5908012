"""Conversion of rows of the table of instructions."""

from typing import LiteralString

from psycopg.rows import DictRow

from payment_schemas.money import Money
from settlement.domain import Instruction, NextStep, Status

TABLE = "instruction"
DUE_PUBLICATIONS: LiteralString = """
    select found.id
    from (select partner from kafka_partner where suspended_at is null order by partner) as profile
    cross join lateral (
        select id, due_at from instruction
        where partner = profile.partner and next_step = 'PUBLISH' and due_at <= now()
          and parked_at is null and (lease_until is null or lease_until < now())
        order by due_at limit %(limit)s for update skip locked) as found
    order by found.due_at limit %(limit)s"""
"""Locks instructions to be published, oldest first, by an index range of each partner."""


def instruction_of(row: DictRow) -> Instruction:
    """Return the instruction in a row of the table."""
    return Instruction(
        payment_id=row["id"],
        user_id=row["user_id"],
        transaction_id=row["transaction_id"],
        uetr=row["uetr"],
        partner=row["partner"],
        money=Money(row["amount_minor"], row["currency"]),
        debtor_account=row["debtor_account"],
        creditor_account=row["creditor_account"],
        confirmed_at=row["confirmed_at"],
        due_at=row["due_at"],
        status=Status(row["status"]),
        next_step=NextStep(row["next_step"]),
        tries=row["tries"],
        version=row["version"],
        reason=row["reason"],
        bank_reference=row["bank_reference"],
        sent_at=row["sent_at"],
        unusable_since=row["unusable_since"],
        unanswered_since=row["unanswered_since"],
    )
