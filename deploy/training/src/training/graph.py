"""GraphSAGE with mean aggregation over customers, payees and devices, trained by `jax`.

Source: Hamilton et al., Inductive Representation Learning on Large Graphs, 2017. The nodes of a
payment are those of the evening before it: its day has a graph of its own, of the payments of the
days before, with the frauds that were known by then. No service has this model: `make train`
compares the ensemble with and without it.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from fraud.domain.features import DELAY_DAYS, Features
from training.generator import Payments
from training.split import Rows, Split

Numbers = NDArray[np.float64]
Weights = dict[str, jax.Array]
Sight = Literal["neighbours", "nodes", "features"]
"""What a network knows of a payment: its nodes with their neighbours, its nodes alone, neither."""
EDGE_DAYS, RECENT_DAYS = 30, 7
"""Payments of so many days are edges, and so many days have a share of known frauds, each."""
WIDTH, HIDDEN = 16, 32
MOST_DEVIATIONS, MOST_LOG_ODDS = 5.0, 12.0
HELD_BACK_DAYS = 2
EPOCHS, PATIENCE, RATE, DECAY = 60, 8, 0.01, 1e-4
"""Set before the first run."""


class Day(NamedTuple):
    """The payments of a day and the graph of the evening before: arrays of numpy or jax."""

    known: Any  # a row a node: what is known of it, and the mean of that over its neighbours
    target: Any  # of each edge, in this order
    source: Any
    share: Any  # how much of the target's mean the source is
    ends: Any  # customer, payee and device of each payment; -1: not known
    features: Any
    is_fraud: Any
    counts: Any  # 1; 0 for rows that make days equally long


def graph_scores(
    payments: Payments,
    features: Features,
    split: Split,
    seed: int,
    sight: Sight = "neighbours",
) -> Numbers:
    """Train on the training's rows, and return the log-odds of the test's rows."""
    scaled = _scaled(features, split.train)
    trained, tested = (days_of(payments, scaled, rows) for rows in (split.train, split.test))
    sizes = [(len(day.share), len(day.ends)) for day in (*trained, *tested)]
    filled = partial(_filled, sizes=np.max(sizes, axis=0), sight=sight)
    weights = trained_weights([filled(day) for day in trained], seed)
    found = [log_odds(weights, filled(day))[: len(day.ends)] for day in tested]
    whole: Numbers = np.concatenate(found).astype(np.float64)
    return whole.clip(-MOST_LOG_ODDS, MOST_LOG_ODDS)


def _scaled(features: Features, train: Rows) -> Numbers:
    """Return features of mean 0 and deviation 1 over the training, on a scale of logarithms."""
    scaled: Numbers = np.sign(features) * np.log1p(np.abs(features.astype(np.float64)))
    scaled = (scaled - scaled[train].mean(axis=0)) / (scaled[train].std(axis=0) + 1e-6)
    return scaled.clip(-MOST_DEVIATIONS, MOST_DEVIATIONS)


def _filled(day: Day, sizes: Rows, sight: Sight) -> Day:
    """Return a day with so many edges and payments: all days are compiled once."""
    nodes, (edges, rows), filled = len(day.known), sizes, []
    for one, size in zip(day, (nodes, *[edges] * 3, *[rows] * 4), strict=True):
        width = ((0, size - len(one)), (0, 0))[: one.ndim]
        # Added edges go to the last node, as targets stay in order, and with a share of 0.
        filler = nodes - 1 if one is day.target else 0
        filled.append(jnp.asarray(np.pad(one, width, constant_values=filler)))
    return seen(Day(*filled), sight)


def seen(day: Day, sight: Sight) -> Day:
    """Return what a network may know; all have the same weights and shapes."""
    match sight:
        case "neighbours":
            return day
        case "nodes":
            # The second half of what is known of a node is that of its neighbours.
            own = day.known.at[:, day.known.shape[1] // 2 :].set(0)
            return day._replace(known=own, share=jnp.zeros_like(day.share))
        case "features":
            return day._replace(ends=jnp.full_like(day.ends, -1))


def days_of(payments: Payments, features: Numbers, rows: Rows) -> list[Day]:
    """Return the days of rows, which are in the order of time."""
    nodes, days, found = _numbered(payments), payments.day, []
    for day in np.unique(days[rows]):
        there = rows[days[rows] == day]
        mean = _mean(nodes, _between(days, day - EDGE_DAYS, day))
        known = _known(payments, nodes, day)
        known, edges = np.hstack([known, mean @ known]), mean.tocoo()
        is_fraud = payments.is_fraud[there]
        graph = (known, edges.row, edges.col, edges.data)
        found.append(Day(*graph, nodes[there], features[there], is_fraud, np.ones(len(there))))
    return found


def _numbered(payments: Payments) -> Rows:
    """Return the nodes of each payment, numbered from 0 over all kinds."""
    numbered, count = [], 0
    for one in (payments.customer, payments.terminal, payments.device):
        found, numbers = np.unique(one, return_inverse=True)
        numbered.append(np.where(one < 0, -1, numbers + count))
        count += len(found)
    return np.column_stack(numbered)


def _between(days: Rows, first: int, behind: int) -> slice:
    return slice(*np.searchsorted(days, [first, behind]))


def _mean(nodes: Rows, recent: slice) -> csr_matrix:
    """Return the matrix that takes the mean over each node's neighbours, by their payments."""
    shape = (int(nodes.max()) + 1,) * 2
    both = csr_matrix(shape)
    for column in (1, 2):
        customer, other = nodes[recent][nodes[recent, column] >= 0][:, [0, column]].T
        edges = csr_matrix((np.ones(len(other)), (customer, other)), shape=shape)
        both = both + edges + edges.T
    both.data /= np.repeat(np.asarray(both.sum(axis=1)).ravel(), np.diff(both.indptr))
    return both


def _known(payments: Payments, nodes: Rows, day: int) -> Numbers:
    """Return kind, payments, mean amount and shares of frauds that are known, a row a node."""
    count, days = int(nodes.max()) + 1, payments.day

    def sums(rows: slice, numbers: NDArray[Any]) -> Numbers:
        columns = [(column[rows][column[rows] >= 0], column[rows] >= 0) for column in nodes.T]
        added = [np.bincount(at, numbers[rows][there], count) for at, there in columns]
        total: Numbers = np.sum(added, axis=0, dtype=np.float64)
        return total

    kinds = np.zeros((count, 3))
    for kind, column in enumerate(nodes.T):
        kinds[column[column >= 0], kind] = 1
    recent, ones = _between(days, day - EDGE_DAYS, day), np.ones(len(nodes))
    paid, dollars = sums(recent, ones), sums(recent, payments.amount_usd_minor / 100)
    found = [kinds, np.log1p(paid) / 5, np.log1p(dollars / np.maximum(paid, 1)) / 10]
    for many in (RECENT_DAYS, EDGE_DAYS):
        judged = _between(days, day - DELAY_DAYS - many, day - DELAY_DAYS)
        found.append(5 * sums(judged, payments.is_fraud) / np.maximum(sums(judged, ones), 5))
    return np.column_stack(found)


def trained_weights(days: Sequence[Day], seed: int) -> Weights:
    """Train on all days but the last ones, which decide when it is enough."""
    trained, last = days[:-HELD_BACK_DAYS], days[-HELD_BACK_DAYS:]
    rng = np.random.default_rng(seed)
    known, features = last[0].known.shape[1], last[0].features.shape[1]
    best = weights = fresh_weights(known, features, rng)
    first = second = jax.tree.map(jnp.zeros_like, weights)
    step, since, least = 0, 0, np.inf
    for _ in range(EPOCHS):
        for at in rng.permutation(len(trained)):
            step += 1
            weights, first, second = _stepped(weights, first, second, trained[at], step)
        reached, since = sum(float(_loss(weights, day)) for day in last), since + 1
        if reached < least:
            best, least, since = weights, reached, 0
        if since == PATIENCE:
            break
    return best


def fresh_weights(known: int, features: int, rng: np.random.Generator) -> Weights:
    """Return random weights; their last rows are biases. Source: He et al., 2015."""
    sizes = {"first": (known, WIDTH), "second": (2 * WIDTH, WIDTH), "last": (HIDDEN, 1)}
    sizes["payment"] = (3 * WIDTH + features, HIDDEN)
    drawn = {name: rng.normal(0, (2 / a) ** 0.5, (a + 1, b)) for name, (a, b) in sizes.items()}
    return {name: jnp.asarray(one) for name, one in drawn.items()}


def averaged(numbers: jax.Array, day: Day) -> jax.Array:
    """Return the mean of the neighbours' numbers, a row a node."""
    taken = numbers[day.source] * day.share[:, None]
    return jax.ops.segment_sum(taken, day.target, len(day.known), indices_are_sorted=True)


def _layer(numbers: jax.Array, weights: jax.Array) -> jax.Array:
    return numbers @ weights[:-1] + weights[-1]


@jax.jit
def log_odds(weights: Weights, day: Day) -> jax.Array:
    """Return a score of each payment, by two layers of nodes and one of the payment."""
    first = jax.nn.relu(_layer(day.known, weights["first"]))
    second = jnp.hstack([first, averaged(first, day)])
    second = jax.nn.relu(_layer(second, weights["second"]))
    ends = (second[day.ends] * (day.ends >= 0)[:, :, None]).reshape(len(day.ends), -1)
    hidden = jax.nn.relu(_layer(jnp.hstack([ends, day.features]), weights["payment"]))
    return _layer(hidden, weights["last"])[:, 0]


@jax.jit
def _loss(weights: Weights, day: Day) -> jax.Array:
    """Return the mean negative log-likelihood."""
    odds = log_odds(weights, day)
    losses = (jax.nn.softplus(odds) - day.is_fraud * odds) * day.counts
    mean: jax.Array = losses.sum() / day.counts.sum()
    return mean


@jax.jit
def _stepped(
    weights: Weights, first: Weights, second: Weights, day: Day, step: int
) -> tuple[Weights, Weights, Weights]:
    """Return weights and moments after a step of Adam (Kingma and Ba, 2015)."""
    slopes = jax.grad(_loss)(weights, day)
    first = jax.tree.map(lambda old, new: 0.9 * old + 0.1 * new, first, slopes)
    second = jax.tree.map(lambda old, new: 0.999 * old + 0.001 * new**2, second, slopes)
    size = RATE * jnp.sqrt(1 - 0.999**step) / (1 - 0.9**step)
    moves = jax.tree.map(lambda one, two: size * one / (jnp.sqrt(two) + 1e-8), first, second)
    kept = 1 - RATE * DECAY
    return jax.tree.map(lambda one, move: kept * one - move, weights, moves), first, second
