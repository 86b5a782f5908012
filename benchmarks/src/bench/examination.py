"""`countersign check` over everything that a benchmark has left behind."""

from bench.errors import BenchmarkError
from bench.system import System
from ops.addresses import Addresses
from ops.check.examination import Examination, Limits
from ops.check.sources import Sources
from ops.system import System as Owners
from service_runtime.clock import SystemClock


def examine(system: System) -> int:
    """Hold the whole system against its invariants; return how many payments were compared.

    Raises BenchmarkError where something is wrong or somebody could not be asked.
    """
    stack = system.found
    addresses = Addresses(
        urls={name: urls[0] for name, urls in stack.urls.items()},
        kafka=stack.kafka,
        credential_file=str(stack.credentials.path("internal-credential-ops")),
    )
    with Owners(addresses) as owners:
        findings = Examination(Sources(owners), SystemClock(), Limits(days=2)).whole()
    wrong = [f"{one.invariant} {one.about}: {one.details}" for one in findings.violations]
    wrong += findings.missing
    if wrong or findings.dead_letters or findings.parked:
        raise BenchmarkError(
            f"`countersign check` finds {len(wrong)} faults, {findings.dead_letters} dead letters"
            f" and {findings.parked} parked rows: {'; '.join(wrong[:3])}; next: start the suite"
            " again, and see that it repeats"
        )
    return findings.payments
