"""`countersign check` on all data of a benchmark."""

from bench.system import System
from ops.check.conservation import Conservation
from ops.check.examination import Examination, Limits
from ops.check.sources import Sources
from ops.clients.system import System as Owners
from service_runtime.clock import SystemClock


def examine(system: System) -> tuple[int, list[str]]:
    """Check the invariants of the whole system.

    Returns the number of compared payments, and the violations and missing responses.
    """
    clock = SystemClock()
    with Owners(system.addresses) as owners:
        examination = Examination(Sources(owners), clock, Limits(days=2))
        examination.whole()
        examination.run_part(Conservation(owners).handled)
    findings = examination.findings
    wrong = [f"{one.invariant} {one.about}: {one.details}" for one in findings.violations]
    wrong += findings.missing
    if findings.dead_letters or findings.parked:
        wrong.append(f"{findings.dead_letters} dead letters, {findings.parked} parked rows")
    return findings.payments, wrong
