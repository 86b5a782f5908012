"""`python -m training full|smoke`: generate, train, judge, write the card and the models."""

import argparse
import resource
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from fraud.settings import SHIPPED
from service_runtime.clock import SystemClock
from training import storage
from training.card import Run, table, write_card, write_curves, write_importance
from training.figures import Figures
from training.generator import SMALL, Size, generated
from training.models import LEARNERS, MEMBERS
from training.rounds import Material, Model, models_of, without
from training.shipping import ship
from training.split import Period

DOCUMENTS = Path("docs/models")
DATA = Path("build/training")
PERIOD = Period(trained_until=122)
"""The book's: it trains on days 115 to 121, and tests on days 129 to 135."""
LONGER = Period(trained_until=122, train_days=14)
BESIDE_THE_BOOK = ("device", "new_payee", "new_device", "unusual_amount")
TWO_WEEKS = "ensemble, trained on 14 days"
AS_THE_BOOK = "lightgbm, the book's features"
GRAPHS = {
    "graph": ("graph",),
    "ensemble and graph": (*LEARNERS, "graph"),
    "ensemble and the graph's network without neighbours": (*LEARNERS, "nodes"),
    "ensemble and the graph's network without nodes": (*LEARNERS, "network"),
}
LEAST_SMOKE = 0.3
"""Average precision that a small run must reach: some 0.6 were seen."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where a run writes."""

    documents: Path
    data: Path
    models: Path


def run(size: Size, seeds: int, places: Places) -> dict[str, list[Figures]]:
    """Train and judge on every seed; ship the models of the first one."""
    clock = SystemClock()
    began, judged = clock.now(), defaultdict[str, list[Figures]](list)
    counts: list[tuple[int, float]] = []
    for seed in range(1, seeds + 1):
        material = _material(size, seed, places.data)
        counts.append((len(material.payments.at_s), float(material.payments.is_fraud.mean())))
        models = models_of(material, PERIOD, seed)
        for name, model in {**models, **_others(material, seed)}.items():
            judged[name].append(model.figures)
        if seed == 1:
            _publish(places, models, material)
        print(f"seed {seed}:\n{table({name: [many[-1]] for name, many in judged.items()})}")
    took_s = (clock.now() - began).total_seconds()
    frauds = sum(one for _, one in counts) / seeds
    write_card(places.documents, Run(counts[0][0], frauds, seeds, PERIOD, took_s, judged))
    return judged


def _material(size: Size, seed: int, folder: Path) -> Material:
    """Return payments by way of their file: what is trained on is what was written."""
    file = folder / f"payments-{seed}.parquet"
    clock, began = SystemClock(), SystemClock().now()
    whole = generated(seed, size)
    storage.write(whole, file)
    # Nothing is trained on, or judged by, what comes after the test.
    payments = storage.read(file).until(PERIOD.tested.stop)
    made = clock.now()
    material = Material.of(payments)
    print(
        f"seed {seed}: {len(whole.at_s):,} payments in {(made - began).total_seconds():.1f} s,"
        f" features in {(clock.now() - made).total_seconds():.1f} s"
    )
    return material


def _others(material: Material, seed: int) -> dict[str, Model]:
    """Return what the figures are compared with: more days, what the book has alone, a graph."""
    longer = models_of(material, LONGER, seed, {TWO_WEEKS: MEMBERS["ensemble"]})
    features = without(material, BESIDE_THE_BOOK)
    book = models_of(features, PERIOD, seed, {AS_THE_BOOK: MEMBERS["lightgbm"]})
    return longer | book | models_of(material, PERIOD, seed, GRAPHS)


def _publish(places: Places, models: dict[str, Model], material: Material) -> None:
    write_curves(places.documents, models)
    for name in ("lightgbm", "ensemble"):
        scorer = ship(places.models, name, models[name], material, PERIOD)
        print(f"shipped {scorer.card.version}: {len(scorer.content):,} bytes")
    write_importance(places.documents, scorer, material, PERIOD)


def main() -> None:
    """Run one command."""
    parser = argparse.ArgumentParser(prog="python -m training")
    parser.add_argument("command", choices=["full", "smoke"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--customers", type=int, default=Size().customers)
    given = parser.parse_args()
    if given.command == "smoke":
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            judged = run(SMALL, 1, Places(folder, folder, folder / "models"))
        reached = judged["ensemble"][0].average_precision
        if reached < LEAST_SMOKE:
            raise SystemExit(f"average precision {reached:.3f}: something is broken")
    else:
        scale = given.customers / Size().customers
        size = Size(given.customers, round(Size().terminals * scale))
        run(size, given.seeds, Places(DOCUMENTS, DATA, SHIPPED))
    most_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"most memory {most_mib} MiB")


if __name__ == "__main__":
    main()
