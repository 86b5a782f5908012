"""Encryption of every fourth payment, and its opening as in confirm."""

import json
from functools import partial
from hashlib import sha256
from uuid import UUID

from confirm.clients.opening import Opening, Seals, Workers
from payment_schemas.currencies import USD_RATES
from payment_schemas.encrypted import LONGEST_LIFE_S
from payment_schemas.ids import payment_id_of
from payment_schemas.sealed import SealedCode
from service_runtime import proving
from service_runtime.clock import Clock
from service_runtime.encryption_keys import OpeningKey, new_block, opening_keys, text_of
from service_runtime.file_keys import FileKeys
from service_runtime.sealing import Sealer, seal_name

PASSPHRASE = "simulated"
EACH = 4
(KEY,) = opening_keys(text_of([new_block("EC", PASSPHRASE)]), PASSPHRASE)


def is_encrypted(payment_id: UUID) -> bool:
    """Whether a payment's requests are encrypted: a request of it may also be repeated in plain."""
    return payment_id.int % EACH == 0


def encrypted(user: str, body: dict[str, str], clock: Clock) -> str:
    """Return a body as a client sends it: each time under another id."""
    issued_at_s = int(clock.now().timestamp())
    times = {"iat": issued_at_s, "exp": issued_at_s + LONGEST_LIFE_S}
    content = {"sub": user, "jti": str(clock.new_id()), **times, "body": body}
    return proving.encrypted(KEY, body["transaction_id"], issued_at_s, json.dumps(content))


def code_tag(payment_id: UUID, code: str) -> str:
    return sha256(f"{payment_id}{code}".encode()).hexdigest()


def opening(sealer: Sealer) -> Opening:
    """Return what opens requests, without threads: their order would differ from run to run."""

    def seal(user_id: str, transaction_id: str, code: str) -> SealedCode:
        payment_id = payment_id_of(user_id, transaction_id)
        return SealedCode(sealer.seal(code, payment_id), code_tag(payment_id, code))

    return Opening(
        _Ring(),
        FileKeys(),
        Workers(_InLine(), 1),
        Seals(seal, partial(seal_name, sealer)),
        {"USD", *USD_RATES},
    )


class _Ring:
    def find(self, kid, _at) -> OpeningKey | None:
        return KEY if kid == KEY.kid else None

    def __iter__(self):
        return iter([KEY])


class _InLine:
    async def run(self, call, *arguments):
        return call(*arguments)
