"""The model card: figures of all seeds with intervals, curves, and what each reason is worth."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
from sklearn.metrics import average_precision_score

from bench.plots import Axis, Line, write_bars, write_chart
from fraud.domain.features import COLUMNS, GROUPS
from fraud.domain.scoring import Scorer
from training.figures import Figures, curve, interval, reliability
from training.rounds import Material, Model
from training.split import Period, split_of

POINTS = 60
"""Of a curve as it is drawn."""
MILLI = 1000
HEADINGS = {
    "average_precision": "average precision",
    "card_precision_100": "Card Precision@100",
    "auc_roc": "AUC ROC",
    "brier": "Brier score",
    "expected_to_found": "expected / found",
}


@dataclass(frozen=True, slots=True)
class Run:
    """What `make train` has done."""

    payments: int
    """Of the first seed, until the end of the test."""
    frauds: float
    seeds: int
    period: Period
    took_s: float
    judged: Mapping[str, Sequence[Figures]]
    """By model, one of each seed."""


def table(judged: Mapping[str, Sequence[Figures]]) -> str:
    """Return the table of figures: mean and half width of the 95 per cent interval over seeds."""
    names = [HEADINGS[field.name] for field in fields(Figures)]
    lines = [f"| model | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for model, figures in judged.items():
        columns = zip(*(astuple(one) for one in figures), strict=True)
        lines.append(f"| {model} | {' | '.join(_cell(list(one)) for one in columns)} |")
    return "\n".join(lines)


def against(judged: Mapping[str, Sequence[Figures]], champion: str) -> str:
    """Return the table of differences to a champion, seed by seed: mean and half width."""
    lines = [f"| model | average precision minus that of `{champion}` |", "|---|---|"]
    for model, figures in judged.items():
        pairs = zip(figures, judged[champion], strict=True)
        values = [one.average_precision - other.average_precision for one, other in pairs]
        if model != champion:
            lines.append(f"| {model} | {_cell(values)} |")
    return "\n".join(lines)


def _cell(values: Sequence[float]) -> str:
    centre, half = interval(values)
    return f"{centre:.4f}" if np.isnan(half) else f"{centre:.4f} ± {half:.4f}"


def write_curves(folder: Path, models: Mapping[str, Model]) -> None:
    """Draw precision over recall, and frauds over expected frauds, of one seed's test."""
    precision, calibrated = [], [Line("ideal", [(1e-3, 1e-3), (1.0, 1.0)])]
    for name, model in models.items():
        truth = model.judged.is_fraud
        recall, found = curve(truth, model.scores)
        chosen = np.unique(np.searchsorted(recall, np.linspace(0.01, 1, POINTS)))
        precision.append(Line(name, [(float(recall[at]), float(found[at])) for at in chosen]))
        bins = reliability(truth, model.scores)
        calibrated.append(Line(name, [(mean, share) for mean, share, _ in bins if share > 0]))
    write_chart(
        folder / "precision-recall.svg",
        "Precision and recall on the test",
        (Axis("recall"), Axis("precision")),
        precision,
    )
    write_chart(
        folder / "calibration.svg",
        "Calibration on the test",
        (Axis("mean probability", logarithmic=True), Axis("share of frauds", logarithmic=True)),
        calibrated,
    )


def write_importance(folder: Path, scorer: Scorer, material: Material, period: Period) -> None:
    """Draw how much average precision falls where the features of a reason are shuffled."""
    rows = split_of(material.payments, period).test
    features, truth = material.features[rows], material.payments.is_fraud[rows]
    whole = average_precision_score(truth, scorer.probabilities(features))
    shuffled = np.random.default_rng(1).permutation(len(features))
    losses = {}
    for group, names in GROUPS.items():
        changed = features.copy()
        for at in (COLUMNS[name] for name in names):
            changed[:, at] = features[shuffled, at]
        losses[group] = whole - average_precision_score(truth, scorer.probabilities(changed))
    positive = {
        name.replace("_activity", ""): loss * MILLI for name, loss in losses.items() if loss > 0
    }
    title = "Average precision lost where a reason's features are shuffled, in thousandths"
    write_bars(folder / "importance.svg", title, positive)


def write_card(folder: Path, run: Run) -> None:
    """Write the generated part of the card."""
    trained, tested = run.period.trained, run.period.tested
    days = f"Trained on days {trained.start} to {trained.stop - 1}"
    days += f", tested on days {tested.start} to {tested.stop - 1}."
    text = f"""<!-- Written by `make train`. -->
{run.seeds} seeds; {run.payments:,} payments until the end of the test, {run.frauds:.2%} frauds.
{days}
Blends are fitted on the test of the period before. Mean and 95 per cent interval over the seeds.
The run took {run.took_s / 60:.0f} minutes.

{table(run.judged)}

On the same seeds, with the interval of the differences:

{against(run.judged, "ensemble")}
"""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "figures.md").write_text(text)
