"""Trees of LightGBM, XGBoost and scikit-learn in one form, which is then packed as ONNX.

Features are float32. A threshold of 64 bits is rounded down to 32, so that `x <= threshold` is the
same for each of them; XGBoost's are of 32 bits, and its rule is `x < threshold`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
import xgboost
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest

LEAF = -1


@dataclass(frozen=True, slots=True)
class Tree:
    """A tree in arrays; node 0 is the root, a leaf has `LEAF` as its feature."""

    feature: list[int]
    threshold: list[float]
    yes: list[int]
    no: list[int]
    value: list[float]
    """Of a leaf."""


@dataclass(frozen=True, slots=True)
class Forest:
    """Trees whose values are added up."""

    trees: list[Tree]
    base: float
    is_strict: bool
    """Whether a node asks for less than its threshold; else for at most it."""


def of_lightgbm(booster: lightgbm.Booster) -> Forest:
    """Return a booster's trees: they add up to log-odds."""
    dumped = booster.dump_model()["tree_info"]
    return Forest([_lightgbm_tree(one["tree_structure"]) for one in dumped], 0.0, is_strict=False)


def _lightgbm_tree(root: Mapping[str, Any]) -> Tree:
    nodes = [root]
    tree = Tree([], [], [], [], [])
    for node in nodes:  # the list grows while it is read
        is_leaf = "leaf_value" in node
        children = (0, 0) if is_leaf else (len(nodes), len(nodes) + 1)
        if not is_leaf:
            nodes += [node["left_child"], node["right_child"]]
        tree.feature.append(LEAF if is_leaf else node["split_feature"])
        tree.threshold.append(0.0 if is_leaf else rounded_down(node["threshold"]))
        tree.yes.append(children[0])
        tree.no.append(children[1])
        tree.value.append(node["leaf_value"] if is_leaf else 0.0)
    return tree


def of_xgboost(booster: xgboost.Booster) -> Forest:
    """Return a booster's trees: they add up to log-odds."""
    learner = json.loads(booster.save_raw("json"))["learner"]
    base = float(str(learner["learner_model_param"]["base_score"]).strip("[]"))
    trees = [_xgboost_tree(one) for one in learner["gradient_booster"]["model"]["trees"]]
    return Forest(trees, float(np.log(base / (1 - base))), is_strict=True)


def _xgboost_tree(one: Mapping[str, Any]) -> Tree:
    is_leaf = [child < 0 for child in one["left_children"]]
    numbers = one["split_conditions"]
    return Tree(
        [LEAF if leaf else at for leaf, at in zip(is_leaf, one["split_indices"], strict=True)],
        numbers,
        one["left_children"],
        one["right_children"],
        [number if leaf else 0.0 for leaf, number in zip(is_leaf, numbers, strict=True)],
    )


def of_isolation(forest: IsolationForest) -> Forest:
    """Return a forest that adds up to the mean depth; the lower, the more unusual."""
    count = len(forest.estimators_)
    return Forest([_isolation_tree(one.tree_, count) for one in forest.estimators_], 0.0, False)  # noqa: FBT003


def _isolation_tree(tree: Any, count: int) -> Tree:
    depth = np.zeros(tree.node_count)
    for node in range(tree.node_count):  # children come after their parents
        for child in (tree.children_left[node], tree.children_right[node]):
            if child != LEAF:
                depth[child] = depth[node] + 1
    is_leaf = tree.children_left == LEAF
    values = np.where(is_leaf, (depth + unfinished(tree.n_node_samples)) / count, 0.0)
    return Tree(
        np.where(is_leaf, LEAF, tree.feature).tolist(),
        [rounded_down(one) for one in tree.threshold],
        tree.children_left.tolist(),
        tree.children_right.tolist(),
        values.tolist(),
    )


def unfinished(samples: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean depth that leaves would still have. Source: Liu et al. 2008."""
    many = np.maximum(samples, 3).astype(float)
    harmonic = np.log(many - 1) + np.euler_gamma
    found = 2 * harmonic - 2 * (many - 1) / many
    return np.where(samples <= 1, 0.0, np.where(samples == 2, 1.0, found))


def rounded_down(threshold: float) -> float:
    """Return the greatest float32 that is not above a threshold."""
    rounded = np.float32(threshold)
    if float(rounded) > threshold:
        rounded = np.nextafter(rounded, np.float32(-np.inf))
    return float(rounded)
