"""The rules of settlement: the states and decisions of an instruction."""

from settlement.domain.instruction import (
    BATCH_ROWS,
    FINAL,
    BankResponse,
    Decision,
    Instruction,
    Kind,
    NextStep,
    Policy,
    Status,
    after_answer,
    bank_code,
    begin,
    conclude,
    instruct,
    messages_of,
    partner_of,
)

__all__ = [
    "BATCH_ROWS",
    "FINAL",
    "BankResponse",
    "Decision",
    "Instruction",
    "Kind",
    "NextStep",
    "Policy",
    "Status",
    "after_answer",
    "bank_code",
    "begin",
    "conclude",
    "instruct",
    "messages_of",
    "partner_of",
]
