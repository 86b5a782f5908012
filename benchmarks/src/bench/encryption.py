"""`make bench-encryption`: content keys that a core unwraps in a second, by key and place."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.errors import BenchmarkError
from bench.settings import number_of
from bench.system import Tell
from confirm.clients.token_keys import TokenKeys
from service_runtime.encryption_keys import (
    LEAST_RSA_BITS,
    RSA_BITS,
    OpeningKey,
    new_block,
    opening_keys,
    public_block,
    text_of,
)
from service_runtime.file_keys import FileKeys
from service_runtime.jwe import decrypted
from service_runtime.key_provider import KeyProvider, NotAbleError
from service_runtime.proving import parts_of, proof_of
from testbed.key_token import MODULE, PIN, TOKEN, make_token, new_key

ROUNDS, MOST_ROUNDS = 3, 100
ROUND_S = 1.0
PASSPHRASE = "of the benchmark"  # noqa: S105 - of keys that are made here, and thrown away
KINDS = (("EC", 0), ("RSA", LEAST_RSA_BITS), ("RSA", RSA_BITS))


@dataclass(frozen=True, slots=True)
class Row:
    """What a core does in a second with one key: the median of the rounds."""

    name: str
    unwraps: int
    opens: int

    def __str__(self) -> str:
        microseconds = 1e6 / self.unwraps
        return f"| {self.name} | {microseconds:,.0f} | {self.unwraps:,} | {self.opens:,} |"


def encryption(_offset: int, tell: Tell) -> None:
    """Measure each type of key in a file and in a token of SoftHSM, in one thread."""
    rounds = number_of("ROUNDS", ROUNDS, MOST_ROUNDS)
    tell("by CPU seconds of one thread: an unwrapping, and the decryption of a request")
    print("| key | µs an unwrapping | unwraps/s | requests decrypted/s |\n|---|---|---|---|")
    for kind, bits in KINDS:
        print(_row(f"{_name(kind, bits)}, file", FileKeys(), _file_key(kind, bits), rounds))
    with TemporaryDirectory() as folder:
        make_token(Path(folder))
        # Made before: a token has one login for the whole process.
        keys = {_name(*kind): _token_key(*kind) for kind in KINDS}
        provider = TokenKeys(MODULE, TOKEN, PIN)
        for name, key in keys.items():
            print(_row(f"{name}, SoftHSM", provider, key, rounds))
        asyncio.run(provider.__aexit__())


def _name(kind: str, bits: int) -> str:
    return f"RSA-{bits}" if bits else f"{kind} P-256"


def _file_key(kind: str, bits: int) -> OpeningKey:
    block = new_block("EC" if kind == "EC" else "RSA", PASSPHRASE, bits or RSA_BITS)
    return opening_keys(text_of([block]), PASSPHRASE)[0]


def _token_key(kind: str, bits: int) -> OpeningKey:
    return opening_keys(text_of([public_block(new_key(kind, bits))]), "")[0]


def _row(name: str, provider: KeyProvider, key: OpeningKey, rounds: int) -> str:
    proof = proof_of(key)
    header, encrypted_key = parts_of(proof)
    try:
        if decrypted(proof, key, provider) != key.kid.encode():
            raise BenchmarkError(f"{name}: it decrypts to something else")
    except NotAbleError:
        return f"| {name} | the token does not have it | | |"
    unwraps = _rate(lambda: provider.unwrap(key, header, encrypted_key), rounds)
    return str(Row(name, unwraps, _rate(lambda: decrypted(proof, key, provider), rounds)))


def _rate(call: Callable[[], object], rounds: int) -> int:
    """Return the median of the rounds, each of a second of CPU."""
    found = []
    for _ in range(rounds):
        count, start_s = 0, time.process_time()
        while time.process_time() - start_s < ROUND_S:
            call()
            count += 1
        found.append(round(count / (time.process_time() - start_s)))
    return sorted(found)[rounds // 2]
