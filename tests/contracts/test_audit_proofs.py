"""Proofs of the audit log, verified by an implementation of RFC 9162 of this test's own, and by the
program that docs/audit-proof.md publishes.
"""

import asyncio
import base64
import json
import re
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ops.check.proofs import Proofs
from ops.clients.checkpoints import CheckpointFolder
from testkit.events import NOON

pytestmark = pytest.mark.stack
DOCUMENT = Path(__file__).parents[2] / "docs" / "audit-proof.md"


def is_proven(proof, key):
    """RFC 9162, 2.1.3.2, and the signature: written without ours."""
    public = Ed25519PublicKey.from_public_bytes(key)
    public.verify(base64.urlsafe_b64decode(proof["signature"]), proof["checkpoint"].encode())
    (head,) = [
        one
        for one in json.loads(proof["checkpoint"])["trees"]
        if (one["era"], one["topic"], one["partition"]) == tuple(proof["tree"].values())
    ]
    fn, sn = proof["index"], head["size"] - 1
    found = sha256(b"\x00" + base64.b64decode(proof["leaf"])).digest()
    for one in map(bytes.fromhex, proof["path"]):
        assert sn
        if fn % 2 or fn == sn:
            found = sha256(b"\x01" + one + found).digest()
            while fn and not fn % 2:
                fn, sn = fn // 2, sn // 2
        else:
            found = sha256(b"\x01" + found + one).digest()
        fn, sn = fn // 2, sn // 2
    return sn == 0 and found.hex() == head["root"]


def published_program():
    """Return the program of the document: at most 20 lines."""
    (program,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert len([line for line in program.splitlines() if line.strip()]) <= 20
    return program


def run(program, key, proof):
    """Return the status of the published program, and what it prints."""
    done = subprocess.run(
        [sys.executable, str(program), key.hex()],
        input=json.dumps(proof), capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


async def test_every_sealed_row_has_a_proof_that_others_verify(log, tmp_path):
    key = bytes.fromhex((log.folder / "keys" / log.keys.current.id).read_text())
    program = tmp_path / "prove.py"
    program.write_text(published_program())
    rows = await asyncio.to_thread(lambda: list(log.rows.rows()))
    proofs = Proofs(CheckpointFolder(log.folder))

    made = [proofs.of(row, NOON) for _, row in rows]

    assert made[-4:] == [None] * 4
    assert all(is_proven(proof, key) for proof in made[:-4])
    for number in (0, 15):
        status, printed = run(program, key, made[number])
        assert (status, f'"offset":{101 + number}' in printed) == (0, True), printed


async def test_a_changed_proof_is_refused(log, tmp_path):
    key = bytes.fromhex((log.folder / "keys" / log.keys.current.id).read_text())
    program = tmp_path / "prove.py"
    program.write_text(published_program())
    rows = await asyncio.to_thread(lambda: list(log.rows.rows()))
    proof = Proofs(CheckpointFolder(log.folder)).of(rows[4][1], NOON)
    leaf = base64.b64encode(base64.b64decode(proof["leaf"]) + b" ").decode()
    for changed in ({"leaf": leaf}, {"index": 3}, {"path": proof["path"][1:]}):
        assert not is_proven(proof | changed, key)
        status, _ = run(program, key, proof | changed)
        assert status != 0
    with pytest.raises(InvalidSignature):
        is_proven(proof | {"checkpoint": proof["checkpoint"] + " "}, key)
