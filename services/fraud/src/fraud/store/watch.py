"""Drift and calibration of the live model, measured again and again, as metrics."""

from datetime import timedelta

from fraud.domain.features import DELAY_DAYS
from fraud.domain.monitoring import calibration, drift
from fraud.domain.stages import live
from fraud.store.artefacts import Scorers
from fraud.store.registry import Registry
from fraud.store.scores import Scores
from service_runtime import metrics
from service_runtime.clock import Clock
from service_runtime.ports import Database

DRIFT_WINDOW = timedelta(hours=24)
CALIBRATION_WINDOW = timedelta(days=37)
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
            model = live(await Registry(tx).models())
            if model is None or model.version not in self._scorers:
                return {}, {}
            scores = Scores(tx)
            sample = await scores.sample(model.version, now - DRIFT_WINDOW)
            mature = now - timedelta(days=DELAY_DAYS)
            outcomes = await scores.outcomes(now - CALIBRATION_WINDOW, mature)
        bins = self._scorers[model.version].card.bins
        ratios = {
            one["version"]: ratio
            for one in outcomes
            if one["version"] == model.version
            and (ratio := calibration(one["expected"], one["found"])) is not None
        }
        return drift(bins, sample.features, sample.probabilities), ratios
