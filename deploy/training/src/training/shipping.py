"""A model as the service loads it: the graph, and its manifest."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

import fraud.domain
import training
from fraud.domain.features import FEATURES, FEATURES_VERSION
from fraud.domain.scoring import Bins, Scorer, bins_of
from fraud.store import load_scorers
from training.packing import packed
from training.rounds import Material, Model
from training.split import Period, split_of
from training.storage import digest

FILE = "model.onnx"
FIRST = "lightgbm"
"""An empty registry begins with this model; others begin as shadows."""


def ship(folder: Path, name: str, model: Model, material: Material, period: Period) -> Scorer:
    """Write a model to its folder; return it as the service loads it."""
    content = packed(model.forests, model.blend.weights, model.blend.bias, len(FEATURES))
    sha256 = hashlib.sha256(content).hexdigest()
    version = f"{name}-{sha256[:8]}"
    own = folder / version
    own.mkdir(parents=True, exist_ok=True)
    (own / FILE).write_bytes(content)
    test = material.features[split_of(material.payments, period.before()).test]
    manifest = {
        "version": version,
        "file": FILE,
        "sha256": sha256,
        "features_version": FEATURES_VERSION,
        "features": FEATURES,
        "reference": np.median(test, axis=0).tolist(),
        "bins": {one: _listed(bins_of(test[:, at])) for at, one in enumerate(FEATURES)},
        "data_sha256": digest(material.payments),
        "code_version": code_version(),
        "figures": {key: round(value, 6) for key, value in asdict(model.figures).items()},
        "is_first": name == FIRST,
    }
    _write(own, manifest)
    # The distribution of its own scores needs the model as the service runs it.
    probabilities = load_scorers(folder)[version].probabilities(test).astype(np.float32)
    manifest["bins"] |= {"probability": _listed(bins_of(probabilities))}
    _write(own, manifest)
    return load_scorers(folder)[version]


def _listed(bins: Bins) -> dict[str, object]:
    """Return bins as a manifest has them: edges as they are, shares to a millionth."""
    return {"edges": bins.edges, "shares": [round(one, 6) for one in bins.shares]}


def _write(folder: Path, manifest: dict[str, object]) -> None:
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")


def code_version() -> str:
    """Return the SHA-256 of the code that makes features and models, in short.

    A commit would be another one after a rebase, and would not say whether this code has changed.
    """
    hashed = hashlib.sha256()
    for module in (training, fraud.domain):
        for file in sorted(Path(str(module.__file__)).parent.glob("*.py")):
            hashed.update(file.read_bytes())
    return hashed.hexdigest()[:16]
