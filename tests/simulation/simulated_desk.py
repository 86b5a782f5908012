"""The two people who resolve cases by the bank's ledger."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from simulated_outside import Outside

from service_runtime.errors import Unavailable
from settlement.domain.partners import KafkaPartner
from settlement.domain.reconciliation import Case, CaseStatus, Finding, Proposal, Resolution
from settlement.handlers import Resolutions
from settlement.store import MemoryCases, MemoryPartners
from testkit.simulation.processes import Simulation

PEOPLE = ("ann", "bob")
ANSWERED_WITHIN_S = 5.0


@dataclass
class Desk:
    """Resolves cases by the bank's ledger, as two people."""

    simulation: Simulation
    outside: Outside

    async def resolve_all(self) -> None:
        """Resolve each case of an unknown outcome by the bank's ledger."""
        parts = self.simulation.parts["settlement.0"]
        resolutions = Resolutions(MemoryCases, parts.unit.run_in_transaction, self.simulation.clock)
        for case in self.open_cases():
            for actor, is_approval in zip(PEOPLE, (False, True), strict=True):
                # The process may die during the request: the person repeats it.
                with suppress(TimeoutError, Unavailable):
                    async with asyncio.timeout(ANSWERED_WITHIN_S):
                        wanted = Proposal(self._outcome(case), actor, "book", is_approval)
                        await resolutions.resolve(case.id, wanted)

    async def suspend(self, profile: KafkaPartner, at_s: float, until_s: float) -> None:
        """Suspend a partner on Kafka for some time."""
        await asyncio.sleep(at_s)
        await self._save(replace(profile, suspended_at=self.simulation.clock.now()))
        await asyncio.sleep(until_s - at_s)
        await self._save(profile)

    async def _save(self, profile: KafkaPartner) -> None:
        """Save a profile; the person repeats a request that the process has not answered."""

        async def save(tx: Any) -> tuple[()]:
            await MemoryPartners(tx).save(profile)
            return ()

        while True:
            parts = self.simulation.parts["settlement.0"]
            with suppress(TimeoutError, Unavailable):
                async with asyncio.timeout(ANSWERED_WITHIN_S):
                    return await parts.unit.run_in_transaction(save)
            await asyncio.sleep(1.0)

    def open_cases(self) -> list[Case]:
        """Return the unresolved cases."""
        cases = self.simulation.storages["settlement"].tables.own["reconciliation_case"]
        return [
            case
            for case in cases.values()
            if case.kind is Finding.OUTCOME_UNKNOWN and case.status is not CaseStatus.RESOLVED
        ]

    def _outcome(self, case: Case) -> Resolution:
        if not self._waits(case):
            return Resolution.EXPLAINED
        booked = {one.uetr for one in self.outside.banks[case.partner].movements}
        return Resolution.SETTLE if case.uetr in booked else Resolution.RETURN

    def _waits(self, case: Case) -> bool:
        rows = self.simulation.storages["settlement"].tables.own["instruction"]
        return rows[case.payment_id].status == "RECONCILE"
