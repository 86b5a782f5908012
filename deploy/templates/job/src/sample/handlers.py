"""What sample does when its job is due."""

from sample.domain import report_of
from sample.store import Reports
from service_runtime.clock import Clock
from service_runtime.jobs import Run
from service_runtime.postgres import PostgresDatabase


async def make_report(run: Run, database: PostgresDatabase, clock: Clock, instance: int) -> None:
    """Make the report of a due time; nothing is written once the lease is lost."""
    report = report_of(run.at, clock.now(), instance)
    async with database.transaction() as tx:
        await run.held.fence(tx)
        await Reports(tx).add(report)
