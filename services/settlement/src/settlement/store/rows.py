"""Conversion of rows of the table of instructions."""

from psycopg.rows import DictRow

from payment_schemas.money import Money
from settlement.domain import Instruction, NextStep, Status

TABLE = "instruction"


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
    )
