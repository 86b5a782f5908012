import base64
import hashlib
import json

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import ValidationError

from mocks.issuer.app import create
from mocks.settings import IssuerSettings


def pem(key):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.fixture
def process_with(secret_file, clock):
    def create_with(text):
        settings = IssuerSettings(
            profile="dev",
            ISSUER_KEY_FILE=secret_file("issuer.pem", text),
            token_issuer="https://issuer.example",
            token_audience="countersign",
        )
        return create(settings, clock)

    return create_with


@pytest.fixture
async def issuer(serve, process_with):
    async with serve(process_with(pem(Ed25519PrivateKey.generate()))) as client:
        yield client


async def test_a_token_verifies_with_the_published_key_and_has_all_claims(issuer, clock):
    asked = {"sub": "usr-457", "scope": "payment.confirm ops.read"}
    answer = await issuer.post("/token", json=asked)
    granted = answer.json()
    assert (granted["token_type"], granted["expires_in"]) == ("Bearer", 900)
    assert answer.headers["Cache-Control"] == "no-store"
    (key,) = jwt.PyJWKSet.from_dict((await issuer.get("/.well-known/jwks.json")).json()).keys
    header = jwt.get_unverified_header(granted["access_token"])
    assert header == {"alg": "EdDSA", "typ": "at+jwt", "kid": key.key_id}
    claims = jwt.decode(
        granted["access_token"],
        key,
        algorithms=["EdDSA"],
        audience="countersign",
        issuer="https://issuer.example",
        # The clock of this test is fixed, but the library uses the real time.
        options={"verify_exp": False, "verify_nbf": False, "verify_iat": False},
    )
    issued_at = int(clock.now().timestamp())
    assert {name: claims[name] for name in ("sub", "scope", "iat", "nbf", "exp")} == {
        **asked,
        "iat": issued_at,
        "nbf": issued_at,
        "exp": issued_at + 900,
    }


async def test_no_two_tokens_share_an_id(issuer):
    tokens = [(await issuer.post("/token", json={"sub": "usr-457"})).json() for _ in range(5)]
    read = {"verify_signature": False}
    claims = [jwt.decode(one["access_token"], options=read) for one in tokens]
    assert len({one["jti"] for one in claims}) == 5
    assert {one["scope"] for one in claims} == {"payment.confirm"}


async def test_the_key_id_is_its_thumbprint_and_no_private_part_is_published(issuer):
    (key,) = (await issuer.get("/.well-known/jwks.json")).json()["keys"]
    assert set(key) == {"kty", "crv", "x", "kid", "alg", "use"}
    # RFC 7638, section 3: the required members, sorted, without white space.
    canonical = json.dumps({n: key[n] for n in ("crv", "kty", "x")}, separators=(",", ":"))
    digest = hashlib.sha256(canonical.encode()).digest()
    assert key["kid"] == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, "Missing field: sub"),
        ({"sub": ""}, "Invalid field: sub"),
        ({"sub": "u", "scope": ["a"]}, "Invalid field: scope"),
        ({"sub": "u", "aud": "other"}, "Unknown field: aud"),
    ],
)
async def test_a_bad_request_is_refused_with_its_field(issuer, body, error):
    answer = await issuer.post("/token", json=body)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("no key", "in PEM", id="no key"),
        pytest.param(pem(ec.generate_private_key(ec.SECP256R1())), "Ed25519", id="another kind"),
    ],
)
def test_a_key_that_cannot_sign_is_refused_at_start(process_with, text, message):
    with pytest.raises(ValidationError, match=message):
        process_with(text)
