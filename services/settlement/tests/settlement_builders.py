"""Builders of instructions and requests; a test names only the fields that matter."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from payment_schemas.events.settlement import SettlementRequested
from payment_schemas.ids import Uetr, payment_id_of
from settlement.domain import FINAL, Instruction, NextStep, Status, instruct

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def requested(number: int = 1, payee: str = "payee-xyz", **fields: Any) -> SettlementRequested:
    transaction_id = f"tx-{number}"
    return SettlementRequested(
        **{
            "payment_id": payment_id_of("usr-456", transaction_id),
            "user_id": "usr-456",
            "transaction_id": transaction_id,
            "uetr": Uetr(UUID(int=number, version=4)),
            "amount_minor": 520_000,
            "currency": "USD",
            "debtor_account": "acc-1",
            "creditor_account": payee,
            "confirmed_at": NOW,
            **fields,
        }
    )


def instruction(number: int = 1, payee: str = "payee-xyz", **fields: Any) -> Instruction:
    """A new instruction; `status` also sets the fields that must agree with it."""
    status = fields.get("status", Status.QUEUED)
    if status is not Status.QUEUED:
        fields = {"next_step": NextStep.ENQUIRE, "version": 3, **fields}
    if status in FINAL:
        fields = {"due_at": None, **fields}
    return replace(instruct(requested(number, payee), "first-bank", NOW), **fields)
