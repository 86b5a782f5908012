"""The vault's keys: what opens encrypted requests, and what seals and opens card numbers.

A number is sealed as a compact JWE: AES-256-GCM under a content key of its own, which the vault's
public key encrypts. Only the KeyProvider opens it, so that the private key may be in a token.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from joserfc.errors import JoseError

from payment_schemas import answers
from payment_schemas.answers import RefusedError
from payment_schemas.encrypted import ALGORITHMS, EncryptedContent, content_of, header_of
from payment_schemas.sealed import Personal, Sealed
from service_runtime import metrics
from service_runtime.compute import Executor
from service_runtime.encryption_keys import OpeningKey
from service_runtime.errors import Rejected, Unavailable
from service_runtime.jwe import decrypted
from service_runtime.key_provider import KeyProvider
from service_runtime.key_sets import EncryptionKeys, key_set
from service_runtime.keys import KeyRing
from service_runtime.logs import Log
from service_runtime.proving import encrypted, parts_of
from service_runtime.sealing import keyed_hash

PURPOSE = "card fingerprint"
_log = Log("vault")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class VaultKeys:
    """The rings of the vault."""

    requests: EncryptionKeys
    """Clients encrypt cards under their public keys."""
    cards: EncryptionKeys
    """Numbers are sealed under them; a replaced one opens for as long as it is in its file."""
    fingerprints: KeyRing
    """Its current key makes fingerprints: after a rotation, a known card looks like a new one."""


class Vault:
    """Opens requests, seals and opens numbers, in worker threads."""

    def __init__(self, keys: VaultKeys, provider: KeyProvider, threads: Executor) -> None:
        self._keys = keys
        self._provider = provider
        self._threads = threads
        self._missing = self._older = 0
        text = "Keys of stored cards that the ring lacks."
        metrics.gauge("vault_keys_missing", text, lambda: float(self._missing))
        text = "Cards under other keys than the current one; at 0 these may be retired."
        metrics.gauge("vault_cards_under_older_keys", text, lambda: float(self._older))

    async def opened(self, token: str, user_id: str, at: datetime) -> EncryptedContent:
        """Return what a client has encrypted for this user; raise RefusedError, Unavailable.

        One answer for every fault, as for encrypted confirmations (decision 0037).
        """
        return await self._in_thread(lambda: self._opened(token, user_id, at))

    def _opened(self, token: str, user_id: str, at: datetime) -> EncryptedContent:
        header = header_of(token, at)
        key = self._keys.requests.find(header.kid, at)
        if key is None or ALGORITHMS[key.kind] != header.algorithm:
            raise RefusedError(answers.not_decrypted())
        try:
            plain = decrypted(token, key, self._provider)
        except (JoseError, ValueError):
            raise RefusedError(answers.not_decrypted()) from None
        return content_of(plain, header, user_id)

    def published(self) -> dict[str, Any]:
        """Return the public keys that clients encrypt cards under, as a JWK set."""
        return key_set(list(self._keys.requests))

    async def seal(self, number: Personal, card_id: UUID, at: datetime) -> tuple[str, Sealed]:
        """Return the id of the vault's current key, and a number, sealed for this card."""
        key = next(iter(self._keys.cards))
        issued_at_s, text = int(at.timestamp()), number.reveal()
        sealed = await self._in_thread(lambda: encrypted(key, card_id.hex, issued_at_s, text))
        return key.kid, Sealed(sealed)

    async def reveal(self, sealed: Sealed, card_id: UUID) -> Personal:
        """Return a number; raise Rejected where it was sealed for another card or is damaged.

        The one caller outside is `handlers.provisioning`, which keeps a row of each call.
        """
        return await self._in_thread(lambda: self._revealed(sealed.reveal(), card_id))

    async def seal_anew(self, sealed: Sealed, card_id: UUID, at: datetime) -> tuple[str, Sealed]:
        """Return a number, sealed under the current key; raise Rejected as `reveal` does.

        The number stays here. The one caller is `handlers.sealing`, which keeps a row of each call.
        """
        return await self.seal(await self.reveal(sealed, card_id), card_id, at)

    @property
    def current_kid(self) -> str:
        """The id of the key that numbers are sealed under from now on."""
        return next(iter(self._keys.cards)).kid

    def _revealed(self, sealed: str, card_id: UUID) -> Personal:
        header, _ = parts_of(sealed)
        key = self.key(str(header.get("kid")))
        if key is None:
            raise Rejected("sealed card: its key is not in the ring")
        try:
            plain = decrypted(sealed, key, self._provider)
        except (JoseError, ValueError):
            raise Rejected("sealed card: cannot be opened") from None
        if header.get("transaction_id") != card_id.hex:
            raise Rejected("sealed card: of another card")
        return Personal(plain.decode())

    def key(self, kid: str) -> OpeningKey | None:
        """Return a key of the vault, also one that was replaced."""
        return next((key for key in self._keys.cards if key.kid == kid), None)

    def note_keys(self, cards: Mapping[str, int]) -> None:
        """Count the cards under older keys; log keys that the ring lacks: their numbers are lost.

        `cards`: of each key, how many numbers are sealed under it.
        """
        self._older = sum(count for kid, count in cards.items() if kid != self.current_kid)
        missing = sorted(kid for kid in cards if self.key(kid) is None)
        self._missing = len(missing)
        for kid in missing:
            _log.error("vault_key_missing", subject=kid)

    def fingerprint(self, number: Personal, user_id: str) -> str:
        """Return what shows a merchant that two of its cards have one number."""
        key = self._keys.fingerprints.current.material
        return keyed_hash(key, PURPOSE, user_id, number.reveal())

    async def _in_thread(self, call: Callable[[], T]) -> T:
        try:
            return await self._threads.run(call)
        except TimeoutError:
            raise Unavailable("vault: no key in time") from None


class Codes:
    """Verification codes of cards, in memory alone, while the request that has one is served."""

    def __init__(self) -> None:
        self._by_card: dict[UUID, Personal] = {}

    def keep(self, card_id: UUID, code: Personal | None) -> "_Kept":
        """Return a context in which the code of a card may be used."""
        return _Kept(self._by_card, card_id, code)

    def of(self, card_id: UUID) -> Personal | None:
        """Return a card's code; None once its request is over, or in another instance."""
        return self._by_card.get(card_id)


class _Kept:
    def __init__(self, codes: dict[UUID, Personal], card_id: UUID, code: Personal | None) -> None:
        self._codes, self._card_id, self._code = codes, card_id, code

    def __enter__(self) -> None:
        if self._code is not None:
            self._codes[self._card_id] = self._code

    def __exit__(self, *_error: object) -> None:
        self._code = None
        self._codes.pop(self._card_id, None)
