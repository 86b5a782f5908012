"""Models in a folder: each in its own, a manifest beside the file, verified by its checksum."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from fraud.domain.scoring import Card, ModelError, Scorer
from service_runtime.artefacts import load_artefact

MANIFEST = "manifest.json"
Scorers = Mapping[str, Scorer]


def load_scorers(folder: Path) -> Scorers:
    """Return the models of a folder by version.

    Raises ValueError for one that is damaged or of other features: the process must not start then.
    """
    found = [_loaded(manifest) for manifest in sorted(folder.glob(f"*/{MANIFEST}"))]
    if not found:
        raise ModelError(f"{folder}: there is no model")
    return {one.card.version: one for one in found}


def _loaded(manifest: Path) -> Scorer:
    artefact = load_artefact("fraud-model", manifest)
    try:
        card = Card.model_validate_json(manifest.read_bytes())
    except ValidationError as error:
        raise ModelError(f"{manifest}: {error}") from None
    return Scorer(artefact.content, card)
