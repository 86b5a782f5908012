"""Stages, comparisons, drift, answers, and the models that ship."""

import numpy as np
import pytest

from fraud.domain.answers import verdict_of
from fraud.domain.features import COLUMNS, FEATURES, GROUPS
from fraud.domain.monitoring import Pairs, calibration, drift, psi
from fraud.domain.scoring import Card, ModelError, Score, Scorer, bins_of, in_share
from fraud.domain.stages import (
    Registered,
    StageError,
    Step,
    decider,
    live,
    step_of,
    steps_back,
    steps_up,
)
from fraud.settings import SHIPPED
from fraud.store import load_scorers
from testkit.events import NOON


def model(version, stage="SHADOW", share=0, ap=0.5, live_since=None):
    return Registered(version, stage, share, {"average_precision": ap}, live_since)


CHAMPION = model("a", "LIVE", 100, 0.6, NOON)
BETTER, WORSE = model("b", ap=0.7), model("c", ap=0.5)


def canary(one, share=10):
    return model(one.version, "CANARY", share, one.figures["average_precision"])


def test_a_canary_decides_for_its_share_of_the_users_and_always_the_same_ones():
    models = [CHAMPION, canary(BETTER, 20)]
    users = [f"usr-{number}" for number in range(5_000)]
    first = [decider(models, user).version for user in users]
    assert 0.17 < first.count("b") / len(first) < 0.23
    assert first == [decider(models, user).version for user in users]
    # A larger share keeps the users of the smaller one.
    assert all(in_share("b", user, 50) for user in users if in_share("b", user, 20))


def test_a_shadow_decides_for_nobody():
    assert {decider([CHAMPION, BETTER], f"usr-{one}").version for one in range(200)} == {"a"}
    assert decider([BETTER], "usr-1") is None
    assert live([BETTER]) is None


@pytest.mark.parametrize(
    ("models", "asked", "why"),
    [
        ([CHAMPION, BETTER], ("b", "LIVE", 100, "undecided"), "from CANARY"),
        ([CHAMPION, canary(WORSE)], ("c", "LIVE", 100, "undecided"), "no figure"),
        ([CHAMPION, canary(BETTER)], ("b", "LIVE", 100, "worse"), "no figure"),
        ([CHAMPION, BETTER], ("b", "CANARY", 100, "undecided"), "share"),
        ([CHAMPION, BETTER], ("a", "CANARY", 10, "undecided"), "live model"),
        ([CHAMPION], ("z", "CANARY", 10, "undecided"), "unknown: z"),
        ([CHAMPION, BETTER], ("b", "RETIRED", 0, "undecided"), "roll-back"),
    ],
)
def test_a_step_up_is_refused(models, asked, why):
    with pytest.raises(StageError, match=why):
        step_of(models, *asked)


@pytest.mark.parametrize(
    ("models", "version", "verdict"),
    [([CHAMPION, canary(BETTER)], "b", "undecided"), ([CHAMPION, canary(WORSE)], "c", "better")],
)
def test_a_champion_is_replaced_by_a_figure_and_comes_back_in_one_step(models, version, verdict):
    step = step_of(models, version, "LIVE", 100, verdict)
    assert steps_up(models, step) == [Step("a", "RETIRED", 0), Step(version, "LIVE", 100)]
    after = [
        model("a", "RETIRED", 0, live_since=NOON),
        model(version, "LIVE", 100, live_since=NOON),
    ]
    assert steps_back(after) == [Step(version, "RETIRED", 0), Step("a", "LIVE", 100)]


def test_a_roll_back_stops_a_canary_first_and_needs_a_former_model():
    assert steps_back([CHAMPION, canary(BETTER)]) == [Step("b", "SHADOW", 0)]
    with pytest.raises(StageError, match="no other model"):
        steps_back([CHAMPION, BETTER])


def test_a_second_canary_ends_the_first():
    models = [CHAMPION, canary(BETTER), WORSE]
    step = step_of(models, "c", "CANARY", 5, "undecided")
    assert steps_up(models, step) == [Step("b", "SHADOW", 0), Step("c", "CANARY", 5)]


@pytest.mark.parametrize(
    ("pairs", "verdict"),
    [
        (Pairs(0, 0.0, 0.0), "undecided"),
        (Pairs(400, -0.5, 0.0001), "undecided"),
        (Pairs(20_000, -0.002, 0.0004), "better"),
        (Pairs(20_000, 0.002, 0.0004), "worse"),
        (Pairs(20_000, -0.0001, 0.0004), "undecided"),
    ],
)
def test_a_comparison_names_a_model_only_where_the_payments_suffice(pairs, verdict):
    assert pairs.verdict == verdict


def test_looking_often_at_equal_models_rarely_names_one():
    """The interval holds at every look: a fixed one would be crossed by a third of the runs."""
    rng, named = np.random.default_rng(11), 0
    for _ in range(300):
        values = rng.normal(0, 0.02, 20_000)
        looks = np.arange(500, 20_001, 500)
        sums, squares = np.cumsum(values), np.cumsum(values**2)
        pairs = [
            Pairs(int(n), sums[n - 1] / n, squares[n - 1] / n - (sums[n - 1] / n) ** 2)
            for n in looks
        ]
        named += any(one.verdict != "undecided" for one in pairs)
    assert named / 300 <= 0.08


def test_a_drifted_stream_is_seen_and_an_equal_one_is_not():
    rng = np.random.default_rng(2)
    features = rng.normal(size=(4_000, len(FEATURES))).astype(np.float32)
    probabilities = rng.random(4_000).astype(np.float32)
    bins = {name: bins_of(features[:, at]) for at, name in enumerate(FEATURES)}
    bins["probability"] = bins_of(probabilities)
    same = drift(bins, features[:1_000], probabilities[:1_000])
    assert max(same.values()) < 0.1
    moved = features[:1_000] + np.float32(1)
    assert drift(bins, moved, probabilities[:1_000])["amount"] > 0.25
    assert drift(bins, features[:100], probabilities[:100]) == {}
    assert psi(bins["amount"], features[:, 0]) < 1e-6


def test_calibration_needs_enough_expected_frauds():
    assert calibration(9.9, 50) is None
    assert calibration(20.0, 30) == 1.5


@pytest.mark.parametrize(
    ("probability", "shown"),
    [
        (0.0499, (49, "LOW", "APPROVE", ("low_risk",))),
        (0.05, (50, "MEDIUM", "REVIEW", ("amount",))),
        (0.4999, (499, "MEDIUM", "REVIEW", ("amount",))),
        (0.5, (500, "HIGH", "BLOCK", ("amount",))),
        (1.0, (1000, "HIGH", "BLOCK", ("amount",))),
    ],
)
def test_a_probability_is_shown_by_the_words_of_the_document(probability, shown):
    found = verdict_of(Score(probability, ("amount",)))
    assert (found.score, found.level, found.recommendation, found.reasons) == shown


@pytest.mark.parametrize(
    ("dollars", "payments", "shown"),
    [
        (45_000, 0, ("REVIEW", ("new_customer_large_amount",))),
        (1_000, 0, ("REVIEW", ("new_customer_large_amount",))),
        (999, 0, ("APPROVE", ("low_risk",))),
        (45_000, 1, ("APPROVE", ("low_risk",))),
    ],
)
def test_a_large_payment_of_a_new_customer_is_never_approved(dollars, payments, shown):
    features = [0.0] * len(FEATURES)
    features[COLUMNS["amount"]] = dollars
    features[COLUMNS["customer_payments_30d"]] = payments
    found = verdict_of(Score(0.02, ()), features)
    assert (found.recommendation, found.reasons) == shown
    # A higher probability decides as for others.
    assert verdict_of(Score(0.6, ("amount",)), features).recommendation == "BLOCK"


def test_an_unknown_score_is_no_number_and_is_reviewed():
    found = verdict_of(None)
    assert (found.score, found.level, found.recommendation) == (None, None, "REVIEW")


@pytest.fixture(scope="module")
def shipped():
    return load_scorers(SHIPPED)


def test_models_ship_of_which_one_begins(shipped):
    assert len(shipped) >= 2
    assert [one.card.is_first for one in shipped.values()].count(True) == 1
    for one in shipped.values():
        assert set(one.card.bins) == {*FEATURES, "probability"}
        assert one.card.figures["average_precision"] > 0.3


def test_a_payment_to_a_reported_payee_scores_higher_and_says_why(shipped):
    for scorer in shipped.values():
        usual = np.array([scorer.card.reference], dtype=np.float32)
        reported = usual.copy()
        for name in GROUPS["payee_reported"]:
            reported[0, FEATURES.index(name)] = 0.9
        (calm,), (risky,) = scorer.scored(usual), scorer.scored(reported)
        assert risky.probability > 5 * calm.probability
        assert risky.reasons[0] == "payee_reported"
        assert calm.reasons == ()


def test_a_model_of_other_features_is_refused(shipped):
    scorer = next(iter(shipped.values()))
    for change in ({"features_version": 2}, {"features": FEATURES[1:]}):
        with pytest.raises(ModelError, match="other features"):
            Scorer(scorer.content, scorer.card.model_copy(update=change))


def test_what_is_no_probability_is_no_score(shipped, monkeypatch):
    scorer = next(iter(shipped.values()))

    class Broken:
        def run(self, _names, given):
            found = np.full((len(given["features"]), 1), 0.5)
            found[:3, 0] = [np.nan, -0.1, np.inf]
            return [found]

    monkeypatch.setattr(scorer, "_session", Broken())
    rows = np.tile(np.array(scorer.card.reference, dtype=np.float32), (4, 1))
    assert [one is None for one in scorer.scored(rows)] == [True, True, True, False]


@pytest.mark.parametrize("damage", ["checksum", "nothing", "card"])
def test_a_damaged_model_stops_the_start(tmp_path, damage):
    own = tmp_path / "models" / "x"
    own.mkdir(parents=True)
    source = next(SHIPPED.glob("*/manifest.json"))
    if damage != "nothing":
        (own / "manifest.json").write_text(source.read_text())
        (own / "model.onnx").write_bytes((source.parent / "model.onnx").read_bytes())
    if damage == "checksum":
        (own / "model.onnx").write_bytes(b"another")
    if damage == "card":
        text = source.read_text().replace('"features_version"', '"other"')
        (own / "manifest.json").write_text(text)
    with pytest.raises(ValueError, match=r"checksum|there is no model|features_version"):
        load_scorers(tmp_path / "models")


def test_a_card_is_what_the_registry_keeps(shipped):
    card = next(iter(shipped.values())).card
    assert isinstance(card, Card)
    assert set(card.summary()) == {"features_version", "data_sha256", "code_version", "figures"}
