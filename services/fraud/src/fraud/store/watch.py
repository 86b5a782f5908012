"""Drift, calibration and comparisons of models, measured again and again; the first two as metrics.

A comparison reads every score of a month: the listing of models shows the last one, and a new one
decides about a step up.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from fraud.domain.features import DELAY_DAYS
from fraud.domain.monitoring import Pairs, calibration, drift
from fraud.domain.stages import Registered, live
from fraud.store.artefacts import Scorers
from fraud.store.registry import Registry
from fraud.store.scores import Scores
from service_runtime import metrics
from service_runtime.clock import Clock
from service_runtime.ports import Database
from service_runtime.postgres import PostgresTransaction

DRIFT_WINDOW = timedelta(hours=24)
CALIBRATION_WINDOW = timedelta(days=37)
MATURE = timedelta(days=DELAY_DAYS)
COMPARED_EVERY = timedelta(minutes=5)
SHOWN_FOR = timedelta(minutes=10)
"""Longer than two measurements are apart: a listing measures by itself after a start alone."""
NONE = Pairs(0, 0.0, 0.0)
"""Of the live model with itself, and where none is live."""
_outcomes: dict[str, tuple[datetime, list[dict[str, Any]]]] = {}
_pairs: dict[tuple[str, str], tuple[datetime, Pairs]] = {}
_psi: dict[str, float] = {}
_calibration: dict[str, float] = {}
metrics.gauge(
    "fraud_psi",
    "Drift of what the live model has seen in 24 hours: population stability index.",
    lambda: _psi,
    "feature",
)
metrics.gauge(
    "fraud_calibration_ratio",
    "Reported frauds for each one that the live model expected.",
    lambda: _calibration,
    "version",
)


def last_drift() -> dict[str, float]:
    """Return the last measurement of this process; empty of too few scores."""
    return dict(_psi)


async def last_outcomes(tx: PostgresTransaction, now: datetime) -> list[dict[str, Any]]:
    """Return what each version has reached on payments whose truth is known, as last measured."""
    measured_at, found = _outcomes.get("all", (None, []))
    if measured_at is None or now - measured_at > SHOWN_FOR:
        found = await _measure_outcomes(tx, now)
    return found


async def pairs_of(
    tx: PostgresTransaction,
    version: str,
    models: Sequence[Registered],
    now: datetime,
    age: timedelta = timedelta(),
) -> Pairs:
    """Return a version's comparison with the live model; one that is older is measured again."""
    champion = live(models)
    if champion is None or champion.version == version:
        return NONE
    known = version, champion.version
    measured_at, found = _pairs.get(known, (None, NONE))
    if measured_at is None or now - measured_at >= age:
        found = await Scores(tx).pairs(*known, now - CALIBRATION_WINDOW, now - MATURE)
        _pairs[known] = now, found
    return found


async def _measure_outcomes(tx: PostgresTransaction, now: datetime) -> list[dict[str, Any]]:
    found = await Scores(tx).outcomes(now - CALIBRATION_WINDOW, now - MATURE)
    _outcomes["all"] = now, found
    return found


class Watch:
    """Measures the live model."""

    def __init__(self, database: Database, clock: Clock, scorers: Scorers) -> None:
        self._database, self._clock, self._scorers = database, clock, scorers

    async def measure(self) -> None:
        """Measure once; what cannot be measured has no value."""
        found, ratios = await self._measured()
        _psi.clear()
        _psi.update(found)
        _calibration.clear()
        _calibration.update(ratios)

    async def _measured(self) -> tuple[dict[str, float], dict[str, float]]:
        now = self._clock.now()
        async with self._database.transaction() as tx:
            models = await Registry(tx).models()
            model = live(models)
            if model is None or model.version not in self._scorers:
                return {}, {}
            sample = await Scores(tx).sample(model.version, now - DRIFT_WINDOW)
            outcomes = await _measure_outcomes(tx, now)
            for one in models:
                await pairs_of(tx, one.version, models, now, COMPARED_EVERY)
        bins = self._scorers[model.version].card.bins
        ratios = {
            one["version"]: ratio
            for one in outcomes
            if one["version"] == model.version
            and (ratio := calibration(one["expected"], one["found"])) is not None
        }
        return drift(bins, sample.features, sample.probabilities), ratios
