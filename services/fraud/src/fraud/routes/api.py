"""What the routes need, and scores of payments by the models that are at work."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from fraud.domain.activity import features_of_rows
from fraud.domain.features import Features, Observed
from fraud.domain.scoring import Score
from fraud.domain.stages import Registered, decider
from fraud.store import Activity, Registry, Scorers
from service_runtime import metrics
from service_runtime.clock import Clock
from service_runtime.http_unit import HttpUnitOfWork
from service_runtime.operators import Operators
from service_runtime.ports import Database
from service_runtime.postgres import PostgresTransaction

AT_WORK = frozenset({"SHADOW", "CANARY", "LIVE"})
_scored = metrics.counter("fraud_scores", "Scores that risk was given, by version.")
_missing = metrics.counter("fraud_scores_missing", "Payments that no model could score.")


@dataclass(frozen=True, slots=True)
class Assessed:
    """A payment's scores by all models at work, and the one that decides."""

    version: str | None
    """None: no model that decides is loaded, or it gave no probability."""
    scores: Mapping[str, Score]
    features: tuple[float, ...]

    @property
    def score(self) -> Score | None:
        """The score that decides."""
        return None if self.version is None else self.scores[self.version]


@dataclass(frozen=True, slots=True)
class Api:
    """What the routes need."""

    requests: HttpUnitOfWork
    database: Database
    operators: Operators
    clock: Clock
    usd_rates: Mapping[str, Decimal]
    scorers: Scorers

    async def assess(self, tx: PostgresTransaction, payments: Sequence[Observed]) -> list[Assessed]:
        """Score payments on the activity and by the stages of now: a roll-back counts."""
        rows = await Activity(tx).rows(payments)
        models = await Registry(tx).models()
        features = features_of_rows(payments, rows)
        at_work = [one for one in models if one.stage in AT_WORK and one.version in self.scorers]
        scores = {one.version: self.scorers[one.version].scored(features) for one in at_work}
        return [
            _assessed(models, scores, features, number, payment.customer)
            for number, payment in enumerate(payments)
        ]


def _assessed(
    models: Sequence[Registered],
    scores: Mapping[str, Sequence[Score | None]],
    features: Features,
    number: int,
    user_id: str,
) -> Assessed:
    found = {version: one for version, many in scores.items() if (one := many[number])}
    model = decider(models, user_id)
    version = model.version if model is not None and model.version in found else None
    if version is None:
        _missing.add(1)
    else:
        _scored.add(1, {"version": version})
    return Assessed(version, found, tuple(features[number].tolist()))
