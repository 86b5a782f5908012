"""Which model decides: stages, and the steps between them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from fraud.domain.monitoring import Verdict
from fraud.domain.scoring import in_share

Stage = Literal["SHADOW", "CANARY", "LIVE", "RETIRED"]
WHOLE = 100
FIGURE = "average_precision"


class StageError(ValueError):
    """A step that is refused; the text says why."""


@dataclass(frozen=True, slots=True)
class Registered:
    """A version in the registry."""

    version: str
    stage: Stage
    share: int
    """Per cent of the users for whom it decides."""
    figures: Mapping[str, float]
    live_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """A version's new stage."""

    version: str
    stage: Stage
    share: int


def live(models: Sequence[Registered]) -> Registered | None:
    """Return the model that decides, where no canary does."""
    return next((one for one in models if one.stage == "LIVE"), None)


def decider(models: Sequence[Registered], user_id: str) -> Registered | None:
    """Return the model that decides for a user."""
    canary = next((one for one in models if one.stage == "CANARY"), None)
    if canary is not None and in_share(canary.version, user_id, canary.share):
        return canary
    return live(models)


def step_of(
    models: Sequence[Registered], version: str, stage: Stage, share: int, verdict: Verdict
) -> Step:
    """Return a step up, for two people. Raises StageError; a champion is replaced by a figure only.

    `verdict`: of the comparison with the champion over real payments.
    """
    found = _named(models, version)
    if stage == "CANARY":
        if not 1 <= share < WHOLE:
            raise StageError("share: a canary's is 1 to 99")
        if found.stage == "LIVE":
            raise StageError("stage: the live model cannot be a canary")
        return Step(version, stage, share)
    if stage != "LIVE":
        raise StageError("stage: must be CANARY or LIVE; roll-back is a step of its own")
    if found.stage != "CANARY":
        raise StageError("stage: a model becomes live from CANARY")
    champion = live(models)
    if champion is not None and not _is_better(found, champion, verdict):
        raise StageError("stage: no figure says that it is better than the live model")
    return Step(version, stage, WHOLE)


def _is_better(challenger: Registered, champion: Registered, verdict: Verdict) -> bool:
    if verdict != "undecided":
        return verdict == "better"
    return challenger.figures.get(FIGURE, 0.0) > champion.figures.get(FIGURE, 0.0)


def steps_back(models: Sequence[Registered]) -> list[Step]:
    """Return the steps of a roll-back: a canary decides nothing more, else the last model returns.

    Raises StageError where no model has been live before.
    """
    canary = next((one for one in models if one.stage == "CANARY"), None)
    if canary is not None:
        return [Step(canary.version, "SHADOW", 0)]
    current = live(models)
    former = [one for one in models if one.stage == "RETIRED" and one.live_since is not None]
    if not former or current is None:
        raise StageError("no other model has been live")
    last = max(former, key=lambda one: (one.live_since, one.version))
    return [Step(current.version, "RETIRED", 0), Step(last.version, "LIVE", WHOLE)]


def steps_up(models: Sequence[Registered], step: Step) -> list[Step]:
    """Return the steps of a step up: what decided before does not decide any more."""
    before: Stage = "RETIRED" if step.stage == "LIVE" else "SHADOW"
    return [
        *(
            Step(one.version, before, 0)
            for one in models
            if one.stage == step.stage and one.version != step.version
        ),
        step,
    ]


def _named(models: Sequence[Registered], version: str) -> Registered:
    for one in models:
        if one.version == version:
            return one
    raise StageError(f"version: unknown: {version}")
