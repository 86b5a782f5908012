"""A model as ONNX: forests, their blend, and a probability."""

from collections.abc import Sequence
from itertools import chain

import numpy as np
import onnx
from onnx import helper, numpy_helper

from training.forests import LEAF, Forest, Tree

OPSET, ML_OPSET, IR_VERSION = 17, 3, 8
"""What onnxruntime has read since 1.14."""
FLOAT = onnx.TensorProto.FLOAT


def packed(
    forests: Sequence[Forest], weights: Sequence[float], bias: float, features: int
) -> bytes:
    """Return a graph from `features` to `probability`, both float32, a row a payment."""
    outputs = [f"forest_{number}" for number in range(len(forests))]
    nodes = [_ensemble(one, name) for one, name in zip(forests, outputs, strict=True)]
    nodes += [
        helper.make_node("Concat", outputs, ["scores"], axis=1),
        helper.make_node("Gemm", ["scores", "weights", "bias"], ["log_odds"]),
        helper.make_node("Sigmoid", ["log_odds"], ["probability"]),
    ]
    constants = [
        numpy_helper.from_array(np.array([[one] for one in weights], dtype=np.float32), "weights"),
        numpy_helper.from_array(np.array([bias], dtype=np.float32), "bias"),
    ]
    graph = helper.make_graph(
        nodes,
        "fraud",
        [helper.make_tensor_value_info("features", FLOAT, [None, features])],
        [helper.make_tensor_value_info("probability", FLOAT, [None, 1])],
        constants,
    )
    versions = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
    model = helper.make_model(graph, opset_imports=versions, ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _ensemble(forest: Forest, output: str) -> onnx.NodeProto:
    trees = forest.trees
    sizes = [len(tree.feature) for tree in trees]
    leaves = [(number, node) for number, tree in enumerate(trees) for node in _leaves(tree)]
    mode = "BRANCH_LT" if forest.is_strict else "BRANCH_LEQ"
    split = list(chain.from_iterable(tree.feature for tree in trees))
    return helper.make_node(
        "TreeEnsembleRegressor",
        ["features"],
        [output],
        domain="ai.onnx.ml",
        n_targets=1,
        base_values=[forest.base],
        nodes_treeids=[number for number, size in enumerate(sizes) for _ in range(size)],
        nodes_nodeids=[node for size in sizes for node in range(size)],
        nodes_featureids=[max(one, 0) for one in split],
        nodes_modes=["LEAF" if one == LEAF else mode for one in split],
        nodes_values=list(chain.from_iterable(tree.threshold for tree in trees)),
        nodes_truenodeids=[max(one, 0) for tree in trees for one in tree.yes],
        nodes_falsenodeids=[max(one, 0) for tree in trees for one in tree.no],
        target_treeids=[number for number, _ in leaves],
        target_nodeids=[node for _, node in leaves],
        target_ids=[0] * len(leaves),
        target_weights=[trees[number].value[node] for number, node in leaves],
    )


def _leaves(tree: Tree) -> list[int]:
    return [node for node, feature in enumerate(tree.feature) if feature == LEAF]
