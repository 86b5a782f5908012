"""The registry, for operators: a step up takes two people, a roll-back one."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Path, Request
from fastapi.responses import Response

from fraud.domain.monitoring import Pairs, change_of
from fraud.domain.stages import Registered, StageError, Step, step_of, steps_back, steps_up
from fraud.routes.api import Api
from fraud.routes.bodies import StageBody, Version
from fraud.store import Registry
from fraud.store.watch import SHOWN_FOR, last_drift, last_outcomes, pairs_of
from payment_schemas.events.record import AuditRecorded
from service_runtime.http_unit import Reply
from service_runtime.messages import Cause, Emit
from service_runtime.postgres import PostgresTransaction
from service_runtime.proposals import Draft, Proposal, propose
from service_runtime.web import JsonResponse

SET_STAGE = "FRAUD_MODEL_STAGE_SET"
"""The act that needs two people; the trigger of the table names it, too."""
CONFLICT = 409
VersionPath = Annotated[Version, Path()]


def add_models(router: APIRouter, api: Api) -> None:
    """Add the listing with its comparisons, the step up and the roll-back."""
    reader = Depends(api.operators.require("ops.read", is_read=True))
    Writer = Annotated[str, Depends(api.operators.require("compliance.write"))]  # noqa: N806 - a type

    @router.get("/admin/models", dependencies=[reader])
    async def listing() -> Response:
        """Return all versions, what they reach on real payments, and how each compares."""
        async with api.database.transaction() as tx:
            models = await _listed(api, tx)
        return JsonResponse({"models": models, "drift": _drift()})

    @router.post("/admin/models/{version}/stage", status_code=202)
    async def step(
        request: Request, actor: Writer, version: VersionPath, body: StageBody
    ) -> Response:
        """Propose a step up; it takes effect when a second person approves it."""

        async def act(tx: PostgresTransaction, cause: Cause) -> Reply:
            models = await Registry(tx).locked()
            pairs = await _pairs(api, tx, version, models)
            try:
                taken = step_of(models, version, body.stage, body.share, pairs.verdict)
            except StageError as error:
                return Reply({"error": str(error)}, CONFLICT)
            content = asdict(taken) | {"compared": _compared(pairs)}
            about = f"{version} {taken.stage} {taken.share}"
            return await propose(tx, cause, Draft(SET_STAGE, about, content), actor)

        return await api.requests.run(request, actor, act)

    @router.post("/admin/models:roll-back")
    async def roll_back(request: Request, actor: Writer) -> Response:
        """Let a canary decide nothing more; without one, let the last live model decide again."""

        async def act(tx: PostgresTransaction, cause: Cause) -> Reply:
            try:
                steps = steps_back(await Registry(tx).locked())
            except StageError as error:
                return Reply({"error": str(error)}, CONFLICT)
            await Registry(tx).take(steps, api.clock.now())
            about = ", ".join(f"{one.version} {one.stage}" for one in steps)
            event = AuditRecorded(actor=actor, action="FRAUD_MODEL_ROLLED_BACK", about=about)
            return Reply({"steps": [asdict(one) for one in steps]}, events=[Emit(event, cause)])

        return await api.requests.run(request, actor, act)


def setter(api: Api) -> Any:
    """Return what carries an approved step out."""

    async def set_stage(
        tx: PostgresTransaction, proposal: Proposal, _approver: str, _cause: Cause
    ) -> Reply:
        models = await Registry(tx).locked()
        body = {name: proposal.body[name] for name in ("version", "stage", "share")}
        step, pairs = Step(**body), await _pairs(api, tx, body["version"], models)
        try:
            # The stages, or what is known of the model, may have changed since the proposal.
            step_of(models, step.version, step.stage, step.share, pairs.verdict)
        except StageError as error:
            return Reply({"error": str(error)}, CONFLICT)
        await Registry(tx).take(steps_up(models, step), api.clock.now())
        return Reply(asdict(step))

    return set_stage


def _drift() -> list[dict[str, Any]]:
    """Return the drift of each feature and of the live model's probability, the largest first."""
    ordered = sorted(last_drift().items(), key=lambda one: (-one[1], one[0]))
    return [{"feature": name, "psi": psi, "change": change_of(psi)} for name, psi in ordered]


async def _listed(api: Api, tx: PostgresTransaction) -> list[dict[str, Any]]:
    registry = Registry(tx)
    models, cards = await registry.models(), await registry.cards()
    now = api.clock.now()
    outcomes = {one["version"]: one for one in await last_outcomes(tx, now)}
    return [
        {
            **card,
            "is_loaded": card["version"] in api.scorers,
            "outcome": outcomes.get(card["version"]),
            "compared": _compared(await pairs_of(tx, card["version"], models, now, SHOWN_FOR)),
        }
        for card in cards
    ]


async def _pairs(
    api: Api, tx: PostgresTransaction, version: str, models: Sequence[Registered]
) -> Pairs:
    """Return the comparison with the live model. Raises HTTPException 404: unknown version."""
    if version not in {one.version for one in models}:
        raise HTTPException(404, f"Unknown model: {version}")
    return await pairs_of(tx, version, models, api.clock.now())


def _compared(pairs: Pairs) -> dict[str, Any]:
    """Return a comparison: squared errors, the challenger's less the live model's."""
    known = pairs.count > 0
    return {
        "payments": pairs.count,
        "difference": pairs.mean if known else None,
        "half_width": pairs.half_width if known else None,
        "verdict": pairs.verdict,
    }
