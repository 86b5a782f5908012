"""Versions of rules."""

from dataclasses import asdict

from compliance.domain.rules import Rule
from service_runtime.postgres import PostgresTransaction


class Rules:
    """Rules within one transaction."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self._tx = tx

    async def current(self) -> list[Rule]:
        """Return the highest version of each rule, by id."""
        rows = await self._tx.rows(
            """select distinct on (rule_id) rule_id, version, jurisdiction, condition, action,
                      severity, active_from, active_to
               from rule_version order by rule_id, version desc"""
        )
        return [Rule(**row) for row in rows]

    async def add(self, rule: Rule) -> None:
        """Add a version: a Conflict where there is one; refused without two people's approval."""
        await self._tx.run(
            """insert into rule_version (rule_id, version, jurisdiction, condition, action,
                                         severity, active_from, active_to)
               values (%(rule_id)s, %(version)s, %(jurisdiction)s, %(condition)s, %(action)s,
                       %(severity)s, %(active_from)s, %(active_to)s)""",
            **asdict(rule),
        )
