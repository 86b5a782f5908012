"""Sign-in by authorization code: what is sent to the issuer, and which responses are accepted."""

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

from ops.clients.code_flow import CodeFlow, SignInSecrets
from ops.domain.errors import RefusedError

SECRETS = SignInSecrets(
    state="state-1", nonce="nonce-1", verifier="dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
)
KEY, OTHER_KEY = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
ISSUER = "http://issuer:3026"


class Provider:
    """An issuer whose ID token the test makes."""

    client_id, scope, issuer = "countersign-console", "openid ops.read", ISSUER

    def __init__(self, id_token):
        self.id_token = id_token
        self.redeemed_with = None

    def endpoint(self, name):
        return f"{ISSUER}/{name}"

    def keys(self):
        jwk = json.loads(OKPAlgorithm.to_jwk(KEY.public_key()))
        return {"keys": [{**jwk, "kid": "k-1", "alg": "EdDSA", "use": "sig"}]}

    def redeemed(self, code, verifier, redirect_uri):
        self.redeemed_with = code, verifier, redirect_uri
        return {"access_token": "a", "id_token": self.id_token}


def id_token(key=KEY, algorithm="EdDSA", kid="k-1", **changed):
    now = datetime.now(UTC)
    claims = {
        "iss": ISSUER,
        "aud": "countersign-console",
        "sub": "alice",
        "nonce": "nonce-1",
        "iat": now,
        "exp": now + timedelta(minutes=5),
    }
    kept = {name: value for name, value in (claims | changed).items() if value is not None}
    return jwt.encode(kept, key, algorithm, headers={"kid": kid})


def flow(token="", browser_urls=None):
    return CodeFlow(Provider(token), "http://localhost:3030/signed-in", browser_urls or {})


def test_the_browser_is_sent_to_the_issuer_with_a_challenge_and_never_the_verifier():
    address = flow(browser_urls={ISSUER: "http://localhost:3026"}).address(SECRETS)
    query = parse_qs(urlsplit(address).query)
    assert address.startswith("http://localhost:3026/authorization_endpoint?")
    # Source: RFC 7636, appendix B.
    assert query["code_challenge"] == ["E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"]
    assert query["code_challenge_method"] == ["S256"]
    assert (query["state"], query["nonce"]) == (["state-1"], ["nonce-1"])
    assert query["redirect_uri"] == ["http://localhost:3030/signed-in"]
    assert SECRETS.verifier not in address


def test_an_issuer_without_an_address_of_its_own_for_browsers_keeps_its_address():
    assert flow().address(SECRETS).startswith(f"{ISSUER}/")


def test_a_code_is_redeemed_with_the_verifier():
    signing_in = flow(id_token())
    done = signing_in.finish({"code": "c", "state": "state-1", "iss": ISSUER}, SECRETS)
    assert done["claims"]["sub"] == "alice"
    expected = ("c", SECRETS.verifier, "http://localhost:3030/signed-in")
    assert signing_in.provider.redeemed_with == expected


@pytest.mark.parametrize(
    ("response", "why"),
    [
        pytest.param({"code": "c", "state": "state-2"}, "state", id="another sign-in's state"),
        pytest.param({"code": "c"}, "state", id="no state"),
        pytest.param({"code": "c", "state": "st\u00e4te"}, "state", id="a state that is no ASCII"),
        pytest.param({"code": "c", "state": "state-1", "iss": "http://x"}, "iss", id="a mix-up"),
        pytest.param({"state": "state-1", "error": "access_denied"}, "access_denied", id="refused"),
        pytest.param({"state": "state-1"}, "no code", id="no code"),
    ],
)
def test_a_response_that_does_not_belong_to_the_sign_in_is_refused(response, why):
    signing_in = flow(id_token())
    with pytest.raises(RefusedError, match=why):
        signing_in.finish(response, SECRETS)
    assert signing_in.provider.redeemed_with is None


NOW = datetime.now(UTC)


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(lambda: id_token(nonce="nonce-2"), id="another sign-in's nonce"),
        pytest.param(lambda: id_token(nonce=None), id="no nonce"),
        pytest.param(lambda: id_token(aud="another"), id="another client's"),
        pytest.param(lambda: id_token(iss="http://x"), id="another issuer's"),
        pytest.param(lambda: id_token(exp=NOW - timedelta(hours=1)), id="expired"),
        pytest.param(lambda: id_token(sub=None), id="no subject"),
        pytest.param(lambda: id_token(OTHER_KEY), id="another key"),
        pytest.param(lambda: id_token(kid="k-2"), id="an unknown key"),
        pytest.param(lambda: id_token("x" * 32, "HS256"), id="a shared secret"),
        pytest.param(lambda: jwt.encode({"sub": "alice"}, "", "none"), id="not signed"),
        pytest.param(lambda: "", id="none"),
    ],
)
def test_an_id_token_that_breaks_a_rule_is_refused(token):
    with pytest.raises(RefusedError, match="id_token"):
        flow(token()).finish({"code": "c", "state": "state-1"}, SECRETS)
