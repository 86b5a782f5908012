"""Merkle trees against the published vectors, and against RFC 9162's definitions written out."""

from datetime import UTC, datetime
from hashlib import sha256
from uuid import UUID

import pytest

from payment_schemas.checkpoints import (
    LIVE,
    Checkpoint,
    Growth,
    Row,
    SealedLeaf,
    TreeName,
    packed_leaves,
)
from payment_schemas.merkle import Frontier, Tree, leaf_hash

INPUTS = [
    bytes.fromhex(text) for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657")
] + [bytes(range(0x60, 0x70))]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
"""Of the test data of Certificate Transparency: the roots over the first one, two, … inputs."""
NAME = TreeName(LIVE, "risk.assessed.v1", 1)
ROW = Row(
    "risk.assessed.v1", 1, 41, datetime(2026, 3, 2, 12, 0, 0, 7, UTC), UUID(int=1),
    "RISK_ASSESSED", UUID(int=2), b'{"score":1}', is_raw=True,
)  # fmt: skip


def leaves(count):
    return [leaf_hash(str(number).encode()) for number in range(count)]


def root_of(hashes):
    """RFC 9162, 2.1.1: MTH."""
    if len(hashes) <= 1:
        return hashes[0] if hashes else sha256(b"").digest()
    k = 1
    while k * 2 < len(hashes):
        k *= 2
    return sha256(b"\x01" + root_of(hashes[:k]) + root_of(hashes[k:])).digest()


def is_included(leaf, index, size, path, root):
    """RFC 9162, 2.1.3.2: verify an inclusion proof."""
    fn, sn, found = index, size - 1, leaf
    for one in path:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            found = sha256(b"\x01" + one + found).digest()
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            found = sha256(b"\x01" + found + one).digest()
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and found == root


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_those_of_the_published_vectors(size):
    frontier = Frontier().grown(map(leaf_hash, INPUTS[:size]))

    assert frontier.root.hex() == ROOTS[size - 1]


@pytest.mark.parametrize("first", [0, 1, 3, 4, 7])
def test_a_tree_that_grows_in_steps_has_the_root_of_all_its_leaves(first):
    for size in range(first, 40):
        hashes = leaves(size)
        grown = Frontier().grown(hashes[:first]).grown(hashes[first:])

        assert grown.root == root_of(hashes)
        assert Frontier.of(size, grown.packed) == grown


@pytest.mark.parametrize("packed", [b"", b"x" * 31, b"x" * 96])
def test_peaks_that_do_not_fit_the_size_are_refused(packed):
    with pytest.raises(ValueError, match="6 leaves has 2 peaks"):
        Frontier.of(6, packed)


@pytest.mark.parametrize("known", [0, 1, 5, 8, 13])
def test_each_known_leaf_has_a_proof_that_the_standards_algorithm_accepts(known):
    """Of a tree whose first leaves are known by their frontier alone."""
    for size in range(known + 1, 34):
        hashes = leaves(size)
        tree = Tree(Frontier().grown(hashes[:known]), hashes[known:])
        for index in range(known, size):
            path = tree.path(index)

            assert is_included(hashes[index], index, size, path, root_of(hashes))
            assert not is_included(leaf_hash(b"x"), index, size, path, root_of(hashes))


def test_a_leaf_behind_the_frontier_has_no_proof():
    tree = Tree(Frontier().grown(leaves(3)), leaves(5)[3:])

    with pytest.raises(IndexError, match="leaf 2"):
        tree.path(2)


@pytest.mark.parametrize(
    "change",
    [
        {"topic": "risk.assessed.v2"},
        {"partition": 2},
        {"offset": 42},
        {"time": datetime(2026, 3, 2, 12, 0, 0, 8, UTC)},
        {"event_id": UUID(int=3)},
        {"event": "RISK_ASSESSEE"},
        {"payment_id": UUID(int=4)},
        {"payment_id": None},
        {"content": b'{"score":2}'},
        {"is_raw": False},
    ],
)
def test_every_field_of_a_row_changes_its_leaf(change):
    assert ROW._replace(**change).hash() != ROW.hash()


def test_a_leaf_says_what_it_is_of():
    head, content = ROW.leaf().split(b"\n")

    assert content == b'{"score":1}'
    assert head == (
        b'{"topic":"risk.assessed.v1","partition":1,"offset":41,"time_us":1772452800000007,'
        b'"event_id":"00000000000000000000000000000001","event":"RISK_ASSESSED",'
        b'"payment_id":"00000000000000000000000000000002","form":"bytes"}'
    )


def growth(tree, start, size):
    hashes = leaves(size)
    sealed = [SealedLeaf(9 * n, n, one) for n, one in enumerate(hashes)][start:]
    return Growth(tree, Frontier().grown(hashes[:start]), tuple(sealed))


def test_a_checkpoint_is_read_back_with_the_leaves_that_it_seals():
    growths = [growth(NAME, 5, 9), growth(NAME._replace(partition=2), 0, 3)]
    heads, stored = packed_leaves(growths)
    made = Checkpoint(7, ROW.time, "ab", 3, "cd", heads)

    read = Checkpoint.read(made.text())

    assert read == made
    assert [head.growth(stored) for head in read.trees] == growths
    assert [head.root for head in heads] == [root_of(leaves(9)), root_of(leaves(3))]


def test_leaves_that_were_cut_off_are_refused():
    (head,), stored = packed_leaves([growth(NAME, 5, 9)])

    with pytest.raises(ValueError, match="end too early"):
        head.growth(stored[:-1])


@pytest.mark.parametrize("text", ["", "[]", "{}", "1", '{"format": "other", "trees": []}'])
def test_a_text_that_is_no_checkpoint_is_refused(text):
    with pytest.raises(ValueError, match=r".+"):
        Checkpoint.read(text)
