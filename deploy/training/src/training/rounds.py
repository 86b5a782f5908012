"""One training: from payments to judged scores, without a look at the days of the test."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from fraud.domain.features import COLUMNS, GROUPS, Features
from fraud.domain.history import features_of_log
from training.figures import Figures, Judged, figures_of
from training.forests import Forest
from training.generator import Payments
from training.graph import Sight, graph_scores
from training.models import LEARNERS, MEMBERS, Blend, Scores, blended, learned, scored
from training.split import Period, split_of
from training.storage import log_of

NETWORKS: Mapping[str, Sight] = {"graph": "neighbours", "nodes": "nodes", "network": "features"}
"""Learners without trees, by what they know. None is packed."""


@dataclass(frozen=True, slots=True)
class Material:
    """Payments with their features."""

    payments: Payments
    features: Features

    @classmethod
    def of(cls, payments: Payments) -> "Material":
        """Make the features of payments."""
        return cls(payments, features_of_log(log_of(payments)))


@dataclass(frozen=True, slots=True)
class Trained:
    """Learners of one period, and their scores of its test."""

    forests: Mapping[str, Forest]
    judged: Judged
    scores: Mapping[str, Scores]


@dataclass(frozen=True, slots=True)
class Model:
    """A blend of learners, and how good it is."""

    forests: tuple[Forest, ...]
    """Of the learners with trees; without all of its learners, a blend cannot be shipped."""
    blend: Blend
    judged: Judged
    scores: Scores
    figures: Figures


def trained(
    material: Material, period: Period, seed: int, learners: Collection[str] = LEARNERS
) -> Trained:
    """Train the learners of a period and let them score its test."""
    payments, split = material.payments, split_of(material.payments, period)
    train, test = material.features[split.train], material.features[split.test]
    truth = payments.is_fraud[split.train]
    forests = {name: learned(name, train, truth, seed) for name in learners if name in LEARNERS}
    scores = {name: scored(one, test) for name, one in forests.items()}
    for name, sight in NETWORKS.items():
        if name in learners:
            whole = (payments, material.features, split)
            scores[name] = graph_scores(*whole, seed, sight)
    judged = Judged(
        payments.day[split.test], payments.customer[split.test], payments.is_fraud[split.test]
    )
    return Trained(forests, judged, scores)


def models_of(
    material: Material,
    period: Period,
    seed: int,
    members: Mapping[str, Sequence[str]] = MEMBERS,
) -> dict[str, Model]:
    """Train and judge the models; blends are fitted on the period before, which ends earlier."""
    learners = sorted({one for names in members.values() for one in names})
    before = trained(material, period.before(), seed, learners)
    now = trained(material, period, seed, learners)
    found = {}
    for model, names in members.items():
        blend = blended(names, [before.scores[name] for name in names], before.judged.is_fraud)
        scores = blend.probabilities([now.scores[name] for name in names])
        forests = tuple(now.forests[name] for name in names if name in LEARNERS)
        found[model] = Model(forests, blend, now.judged, scores, figures_of(now.judged, scores))
    return found


def without(material: Material, groups: Iterable[str]) -> Material:
    """Return payments whose features of some groups say nothing."""
    features = material.features.copy()
    features[:, [COLUMNS[name] for group in groups for name in GROUPS[group]]] = 0
    return replace(material, features=features)
