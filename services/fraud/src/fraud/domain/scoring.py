"""A model at work: probabilities by onnxruntime, and the reasons for them."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from fraud.domain.features import COLUMNS, FEATURES, FEATURES_VERSION, GROUPS, Features

MOST_REASONS = 3
LEAST_EFFECT = 0.1
"""A reason raises the log-odds by this much at least."""
CANARY_PARTS = 100
_FIRST_BYTES = 8


class ModelError(ValueError):
    """A model cannot be used, or has given what is no probability."""


class Bins(BaseModel):
    """The distribution of one number over the training: edges, and the share of each bin."""

    model_config = ConfigDict(frozen=True)

    edges: tuple[float, ...]
    shares: tuple[float, ...]


class Card(BaseModel):
    """What is known of a version: its manifest, beside what `load_artefact` reads."""

    model_config = ConfigDict(frozen=True)

    version: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,63}$")
    features_version: int
    features: tuple[str, ...]
    reference: tuple[float, ...]
    """The medians of the features: what reasons compare with."""
    bins: Mapping[str, Bins]
    """Of each feature, and of `probability`."""
    data_sha256: str
    code_version: str
    figures: Mapping[str, float]
    is_first: bool = False
    """Whether an empty registry begins with it."""

    def summary(self) -> Any:
        """Return what the registry keeps."""
        kept = {"features_version", "data_sha256", "code_version", "figures"}
        return self.model_dump(include=kept)


@dataclass(frozen=True, slots=True)
class Score:
    """A payment's probability of fraud, and what speaks for it, the strongest first."""

    probability: float
    reasons: tuple[str, ...]


@dataclass
class Scorer:
    """A version, ready to score. Raises ModelError for other features than ours."""

    content: bytes
    card: Card
    _session: onnxruntime.InferenceSession = field(init=False, repr=False)

    def __post_init__(self) -> None:
        card = self.card
        if (card.features_version, card.features) != (FEATURES_VERSION, FEATURES):
            raise ModelError(f"model {card.version}: trained on other features than ours")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            self.content, options, providers=["CPUExecutionProvider"]
        )

    def probabilities(self, features: Features) -> NDArray[np.float64]:
        """Return the probabilities of payments; not-a-number where the model gives no such."""
        (found,) = self._session.run(["probability"], {"features": features})
        given: NDArray[np.float64] = np.asarray(found, dtype=np.float64).reshape(-1)
        return np.where((given >= 0) & (given <= 1), given, np.nan)

    def scored(self, features: Features) -> list[Score | None]:
        """Return the scores of payments; None where the model gives no probability.

        A reason is a group of features: the log-odds fall if it were as usual.
        """
        count = len(features)
        asked = np.concatenate([features, *(self._as_usual(features, one) for one in GROUPS)])
        found = self.probabilities(asked)
        effects = _log_odds(found[:count]) - _log_odds(found[count:]).reshape(len(GROUPS), count)
        return [
            None if np.isnan(found[row]) else Score(float(found[row]), _reasons(effects[:, row]))
            for row in range(count)
        ]

    def _as_usual(self, features: Features, group: str) -> Features:
        changed = features.copy()
        for name in GROUPS[group]:
            changed[:, COLUMNS[name]] = self.card.reference[COLUMNS[name]]
        return changed


def _log_odds(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    inside = np.clip(probabilities, 1e-7, 1 - 1e-7)
    found: NDArray[np.float64] = np.log(inside / (1 - inside))
    return found


def _reasons(effects: NDArray[np.float64]) -> tuple[str, ...]:
    named = sorted(zip(effects.tolist(), GROUPS, strict=True), reverse=True)
    return tuple(name for effect, name in named[:MOST_REASONS] if effect >= LEAST_EFFECT)


def in_share(version: str, user_id: str, share: int) -> bool:
    """Return whether a user is in a canary's share, in per cent: always the same ones."""
    digest = hashlib.sha256(f"{version}\x1f{user_id}".encode()).digest()
    return int.from_bytes(digest[:_FIRST_BYTES]) % CANARY_PARTS < share


def bins_of(values: NDArray[np.float32], bins: int = 10) -> Bins:
    """Return the distribution of a number, in bins that hold about the same."""
    edges = np.unique(np.quantile(values.astype(np.float64), np.linspace(0, 1, bins + 1)[1:-1]))
    return Bins(edges=tuple(edges.tolist()), shares=shares(values, tuple(edges.tolist())))


def shares(values: NDArray[np.float32], edges: tuple[float, ...]) -> tuple[float, ...]:
    """Return the share of the values in each bin; a value at an edge is below it."""
    where = np.searchsorted(np.array(edges), values.astype(np.float64), "left")
    counts = np.bincount(where, minlength=len(edges) + 1)
    return tuple((counts / max(len(values), 1)).tolist())
