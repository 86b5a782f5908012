"""The two people who resolve cases by the bank's ledger."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from simulated_outside import Outside

from service_runtime.errors import Unavailable
from settlement.domain.reconciliation import Case, CaseStatus, Finding, Proposal, Resolution
from settlement.handlers import Resolutions
from settlement.store import MemoryCases
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
            for actor in PEOPLE:
                # The process may die during the request: the person repeats it.
                with suppress(TimeoutError, Unavailable):
                    async with asyncio.timeout(ANSWERED_WITHIN_S):
                        wanted = Proposal(self._outcome(case), actor, "book")
                        await resolutions.resolve(case.id, wanted)

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
