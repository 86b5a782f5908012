"""What the routes share."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from compliance.domain.checks import Check, DryRun, Question, checked
from compliance.domain.filings import Filer
from compliance.domain.payments import CheckedPayment, History
from compliance.domain.rulebook import Rulebook
from compliance.domain.rules import CompiledRule, Rule
from compliance.store import Checks, Payments, Rules
from service_runtime.clock import Clock
from service_runtime.http_unit import HttpUnitOfWork
from service_runtime.operators import Operators
from service_runtime.ports import Database
from service_runtime.postgres import PostgresTransaction

Known = Iterable[tuple[UUID, CheckedPayment, History]]
TURN_PAYMENTS = 250
"""Of a dry run, evaluated without a pause: some milliseconds."""


@dataclass(frozen=True, slots=True)
class Api:
    """What the routes need."""

    requests: HttpUnitOfWork
    database: Database
    operators: Operators
    clock: Clock
    usd_rates: Mapping[str, Decimal]
    book: Rulebook
    zone: ZoneInfo
    """The bank's time zone: of business days and deadlines."""
    filer: Filer | None
    """Who files reports; None: nobody is set."""

    async def rules(self, tx: PostgresTransaction) -> Sequence[CompiledRule]:
        """Return the rules as they are now: an approved version counts at once."""
        return self.book.compiled(await Rules(tx).current())

    async def check(self, tx: PostgresTransaction, questions: Sequence[Question]) -> list[Check]:
        """Check payments, and keep the checks."""
        rules = await self.rules(tx)
        histories = await Payments(tx).histories({one.id: one.payment for one in questions})
        checks = [checked(one, histories[one.id], rules) for one in questions]
        await Checks(tx).add(checks)
        return checks


def rule_listed(rule: Rule, *, active: bool) -> dict[str, Any]:
    """Return a rule as operators read it."""
    return {
        "id": rule.rule_id,
        "version": rule.version,
        "jurisdiction": rule.jurisdiction,
        "condition": rule.condition,
        "action": rule.action,
        "severity": rule.severity,
        "activeFrom": rule.active_from,
        "activeTo": rule.active_to,
        "active": active,
    }


async def rehearse(run: DryRun, payments: Known) -> None:
    """Evaluate a dry run, giving other requests their turn."""
    for number, (payment_id, payment, history) in enumerate(payments):
        run.add(payment_id, payment, history)
        if number % TURN_PAYMENTS == TURN_PAYMENTS - 1:
            await asyncio.sleep(0)
