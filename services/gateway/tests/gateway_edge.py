"""The gateway's routes on memory twins, with an issuer that signs real tokens."""

import base64
import time
from dataclasses import dataclass, field
from functools import partial

import httpx
import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from gateway.app import add_routes, seal
from gateway.clients.memory import MemoryConfirmation, MemoryKeys, MemoryReads
from gateway.clients.tokens import TokenRules, TokenVerifier
from gateway.routes.admission import Admission
from gateway.routes.confirm import ConfirmRoute
from gateway.routes.reads import ReadRoute
from gateway.store import MemoryLimits
from payment_schemas.answers import success
from service_runtime.sealing import Sealer
from service_runtime.web import create_app
from testkit.events import NOON
from testkit.memory import SteadyClock

ISSUER, AUDIENCE = "https://issuer.test", "countersign"
ED25519 = ed25519.Ed25519PrivateKey.generate()
P256 = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)
SEALING_KEY, TAG_KEY = b"s" * 32, b"t" * 32
OK = success("tx-987", "7K2M9QX4TD", "ACH")
BODY = {
    "transaction_id": "tx-987",
    "idempotency_key": "abc-123",
    "amount": 5200,
    "from_account": "acc-1",
    "to_account": "payee-xyz",
}


def jwk(private, kid, **fields):
    """The public half of a key, as an issuer publishes it."""
    match private:
        case ed25519.Ed25519PrivateKey():
            entry = OKPAlgorithm.to_jwk(private.public_key(), as_dict=True)
        case ec.EllipticCurvePrivateKey():
            entry = ECAlgorithm.to_jwk(private.public_key(), as_dict=True)
        case _:
            entry = RSAAlgorithm.to_jwk(private.public_key(), as_dict=True)
    entry.pop("key_ops", None)
    return {**entry, "kid": kid, **fields}


KEYS = [jwk(ED25519, "ed"), jwk(P256, "ec"), jwk(RSA, "rsa")]
PRIVATE = {"EdDSA": (ED25519, "ed"), "ES256": (P256, "ec"), "PS256": (RSA, "rsa")}
PRIVATE["RS256"] = PRIVATE["PS256"]


def claims(**changes):
    """Claims that pass; None leaves one out."""
    now = int(time.time())
    made = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "usr-456",
        "exp": now + 600,
        "iat": now,
        "scope": "payment.confirm",
        **changes,
    }
    return {name: value for name, value in made.items() if value is not None}


def token(algorithm="EdDSA", headers=None, **changes):
    key, kid = PRIVATE[algorithm]
    made = {"typ": "at+jwt", "kid": kid, **(headers or {})}
    return jwt.encode(
        claims(**changes), key, algorithm, {n: v for n, v in made.items() if v is not None}
    )


def raw_token(header, payload, signature=b""):
    """A token by hand, for what no library would sign."""
    parts = [orjson.dumps(part) if isinstance(part, dict) else part for part in (header, payload)]
    return ".".join(
        base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (*parts, signature)
    )


@dataclass
class Edge:
    """The app and everything that it stands on."""

    answer: object = OK
    anonymous: str | None = None
    per_minute: int = 10
    reads_per_minute: int = 60
    failures: int = 100
    strict: bool = False
    proxies: list = field(default_factory=list)
    peer: str = "192.0.2.7"
    answer_within_s: float = 0.05

    def __post_init__(self):
        self.clock = SteadyClock(NOON)
        self.confirmation = MemoryConfirmation(lambda _command: self.answer)
        self.reads = MemoryReads()
        self.keys = MemoryKeys(*KEYS)
        admission = Admission(
            tokens=TokenVerifier(self.keys, TokenRules(ISSUER, AUDIENCE)),
            limits=MemoryLimits(lambda: self.clock.now().timestamp()),
            per_minute=self.per_minute,
            reads_per_minute=self.reads_per_minute,
            failures_per_minute=self.failures,
            anonymous_user=self.anonymous,
            trusted_proxies=self.proxies,
        )
        confirm = ConfirmRoute(
            admission=admission,
            confirmation=self.confirmation,
            seal=partial(seal, Sealer(SEALING_KEY), TAG_KEY),
            answer_within_s=self.answer_within_s,
            strict_keys=self.strict,
            currencies={"USD", "EUR", "JPY"},
            anyone_trusted=self.anonymous is not None,
        )
        self.app = create_app("gateway", {}, self.clock)
        add_routes(self.app, confirm, ReadRoute(admission, self.reads))
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app, client=(self.peer, 1)),
            base_url="http://gateway",
        )

    async def post(self, body=BODY, user="usr-456", headers=None, **changes):
        """Post as that user; `changes` go into the body, where None leaves a field out."""
        given = {"Content-Type": "application/json", **(headers or {})}
        if user is not None and "Authorization" not in given:
            given["Authorization"] = f"Bearer {token(sub=user)}"
        if isinstance(body, dict):
            made = {**body, **changes}
            body = orjson.dumps({name: value for name, value in made.items() if value is not None})
        return await self.http.post("/payment/confirm", content=body, headers=given)

    async def read(self, transaction_id="tx-987", user="usr-456", **headers):
        if user is not None:
            headers = {"Authorization": f"Bearer {token(sub=user)}", **headers}
        return await self.http.get(f"/payment/{transaction_id}", headers=headers)

    @property
    def commands(self):
        return [command for command, _ in self.confirmation.asked]
