"""Rules: what is in force, and the next version, which two people make."""

from dataclasses import asdict, replace
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import Response

from compliance.domain.checks import DryRun, next_version
from compliance.domain.rules import Rule, prepared
from compliance.routes.api import Api, rehearse, rule_listed
from compliance.routes.bodies import RULE_ID, RuleBody, ShownRules
from compliance.store import Payments, Rules
from service_runtime.http_unit import Reply, StaleVersionError, version_of
from service_runtime.messages import Cause
from service_runtime.postgres import PostgresTransaction
from service_runtime.proposals import Draft, Proposal, propose
from service_runtime.web import JsonResponse

SET_RULE = "RULE_SET"
"""The act that needs two people; the trigger of the table names it, too."""
RuleId = Annotated[str, Path(pattern=RULE_ID)]


def add_rules(router: APIRouter, api: Api) -> None:
    """Add the listing and the proposal of a version."""
    reader = Depends(api.operators.require("ops.read", is_read=True))
    Writer = Annotated[str, Depends(api.operators.require("compliance.write"))]  # noqa: N806 - a type

    @router.get("/rules", response_model=ShownRules, dependencies=[reader])
    async def listing() -> Response:
        """Return all rules in their highest versions."""
        today = api.clock.now().date()
        async with api.database.transaction() as tx:
            rules = await Rules(tx).current()
        shown = [rule_listed(one, active=one.is_active(today)) for one in rules]
        return JsonResponse({"rules": shown})

    @router.put("/rules/{rule_id}", status_code=202)
    async def change(request: Request, actor: Writer, rule_id: RuleId, body: RuleBody) -> Response:
        """Propose the next version of a rule, and show whom it would have been about."""
        async with api.database.transaction() as tx:
            current = await Rules(tx).current()
            payments = await Payments(tx).last()
        rule = _rule_of(rule_id, body, current)
        old = next((one for one in api.book.compiled(current) if one.rule.rule_id == rule_id), None)
        run = DryRun(prepared(rule), old)
        await rehearse(run, payments)
        seen = version_of(request)

        async def act(tx: PostgresTransaction, cause: Cause) -> Reply:
            if seen not in (None, rule.version - 1):
                raise StaleVersionError("rule: changed since it was read")
            return await _propose(tx, cause, run, actor)

        return await api.requests.run(request, actor, act)


def _rule_of(rule_id: str, body: RuleBody, current: list[Rule]) -> Rule:
    rule = Rule(
        rule_id,
        1,
        body.jurisdiction,
        body.condition,
        body.action,
        body.severity,
        body.active_from,
        body.active_to,
    )
    return replace(rule, version=next_version(rule, current))


async def _propose(tx: PostgresTransaction, cause: Cause, run: DryRun, actor: str) -> Reply:
    """Store the proposal; the dry run is part of what the second person approves."""
    rule = run.new.rule
    about = f"{rule.rule_id} version {rule.version}"
    content = {**asdict(rule), "dry_run": run.listed()}
    proposed = await propose(tx, cause, Draft(SET_RULE, about, content), actor)
    body = {**proposed.body, "version": rule.version, "dryRun": run.listed()}
    return replace(proposed, body=body)


async def set_rule(
    tx: PostgresTransaction, proposal: Proposal, _approver: str, _cause: Cause
) -> Reply:
    """Add the approved version. A Conflict where another one took its number meanwhile."""
    fields: dict[str, Any] = {**proposal.body}
    fields.pop("dry_run")
    for name in ("active_from", "active_to"):
        fields[name] = fields[name] and date.fromisoformat(fields[name])
    rule = Rule(**fields)
    await Rules(tx).add(rule)
    return Reply({"id": rule.rule_id, "version": rule.version})
