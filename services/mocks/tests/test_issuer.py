import base64
import hashlib
import json
from urllib.parse import parse_qsl, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import ValidationError

from mocks.issuer.app import create
from mocks.issuer.grants import challenge_of
from mocks.issuer.routes import DEVICE_GRANT
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


def of(issued):
    """The claims of a token, unverified: the test above verifies one."""
    return jwt.decode(issued, options={"verify_signature": False})


async def begin(issuer, scope=""):
    form = {"client_id": "countersign", "scope": scope}
    return (await issuer.post("/device_authorization", data=form)).json()


async def decide(issuer, code, operator="alice", decision="approve"):
    form = {"user_code": code["user_code"], "operator": operator, "decision": decision}
    return await issuer.post("/device", data=form)


async def poll(issuer, code, client_id="countersign"):
    grant = {"grant_type": DEVICE_GRANT, "device_code": code["device_code"]}
    return await issuer.post("/token", data=grant | {"client_id": client_id})


async def test_discovery_names_addresses_where_the_caller_reaches_the_issuer(issuer):
    found = (await issuer.get("/.well-known/openid-configuration")).json()
    assert found["issuer"] == "https://issuer.example"
    assert found["token_endpoint"] == "http://mock/token"
    assert found["development_operators"] == ["alice", "bob", "carol"]
    for name in ("jwks_uri",):
        assert (await issuer.get(found[name])).status_code == 200


async def test_a_device_gets_a_token_once_its_operator_has_approved_it(issuer):
    code = await begin(issuer, "openid ops.read accounts.open")
    assert (await poll(issuer, code)).json()["error"] == "authorization_pending"
    page = await issuer.get(code["verification_uri_complete"])
    assert code["user_code"] in page.text
    assert "<script" not in page.text
    assert (await decide(issuer, code)).status_code == 200
    granted = (await poll(issuer, code)).json()
    claims = of(granted["access_token"])
    assert (claims["iss"], claims["aud"]) == ("https://issuer.example", "countersign-operators")
    assert (claims["sub"], claims["scope"]) == ("alice", "ops.read accounts.open openid")
    identity = of(granted["id_token"])
    assert (identity["sub"], identity["aud"]) == ("alice", "countersign")
    assert jwt.get_unverified_header(granted["id_token"])["typ"] == "JWT"
    assert (await poll(issuer, code)).json()["error"] == "invalid_grant"


async def test_a_device_that_polls_too_often_is_slowed_down(issuer, clock):
    code = await begin(issuer)
    errors = []
    for seconds in (0, 1, 9, 10):
        clock.pass_seconds(seconds)
        errors.append((await poll(issuer, code)).json()["error"])
    assert errors == ["authorization_pending", "slow_down", "slow_down", "slow_down"]


async def test_a_device_code_ends_by_time_denial_or_a_foreign_client(issuer, clock):
    late, denied, foreign = [await begin(issuer) for _ in range(3)]
    assert (await poll(issuer, foreign, "countersign-console")).json()["error"] == "invalid_grant"
    assert (await decide(issuer, denied, decision="deny")).status_code == 200
    assert (await poll(issuer, denied)).json()["error"] == "access_denied"
    clock.pass_seconds(601)
    assert (await poll(issuer, late)).json()["error"] == "expired_token"
    assert (await decide(issuer, late)).status_code == 400


async def test_an_operator_grants_no_scope_that_the_operator_lacks(issuer):
    code = await begin(issuer, "ops.read accounts.open dlq.redrive")
    await decide(issuer, code, "carol")
    assert (await poll(issuer, code)).json()["scope"] == "ops.read"


async def test_only_named_operators_approve(issuer):
    code = await begin(issuer)
    refused = await decide(issuer, code, "mallory")
    assert (refused.status_code, "alice, bob, carol" in refused.text) == (400, True)
    assert (await poll(issuer, code)).json()["error"] == "authorization_pending"


async def test_a_refresh_token_works_once_and_ends_when_it_is_revoked(issuer):
    code = await begin(issuer, "ops.read offline_access")
    await decide(issuer, code)
    tokens = [(await poll(issuer, code)).json()["refresh_token"]]

    async def refresh(token):
        form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": "countersign"}
        return (await issuer.post("/token", data=form)).json()

    tokens.append((await refresh(tokens[0]))["refresh_token"])
    assert (await refresh(tokens[0]))["error"] == "invalid_grant"
    await issuer.post("/revoke", data={"token": tokens[1], "client_id": "countersign"})
    assert (await refresh(tokens[1]))["error"] == "invalid_grant"


VERIFIER = "v" * 43
BROWSER = {
    "response_type": "code",
    "client_id": "countersign-console",
    "redirect_uri": "http://localhost:3030/signed-in",
    "scope": "openid ops.read",
    "state": "s-1",
    "nonce": "n-1",
    "code_challenge": challenge_of(VERIFIER),
    "code_challenge_method": "S256",
}


async def sign_in(issuer, **changes):
    form = {**BROWSER, "operator": "bob", "decision": "approve", **changes}
    answer = await issuer.post("/authorize", data=form)
    return answer, dict(parse_qsl(urlsplit(answer.headers.get("location", "")).query))


async def redeem(issuer, code, verifier=VERIFIER):
    form = {"grant_type": "authorization_code", "code": code, "code_verifier": verifier}
    more = {name: BROWSER[name] for name in ("client_id", "redirect_uri")}
    return (await issuer.post("/token", data=form | more)).json()


async def test_a_browser_signs_in_by_code_with_pkce(issuer):
    assert (await issuer.get("/authorize", params=BROWSER)).status_code == 200
    answer, returned = await sign_in(issuer)
    assert (answer.status_code, returned["state"]) == (303, "s-1")
    granted = await redeem(issuer, returned["code"])
    assert (of(granted["access_token"])["sub"], granted["scope"]) == ("bob", "ops.read openid")
    assert of(granted["id_token"])["nonce"] == "n-1"
    assert (await redeem(issuer, returned["code"]))["error"] == "invalid_grant"


async def test_a_stolen_code_is_worth_nothing_without_its_verifier(issuer):
    _, returned = await sign_in(issuer)
    assert (await redeem(issuer, returned["code"], "w" * 43))["error"] == "invalid_grant"


@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uri": "http://evil.example/"},
        {"client_id": "evil"},
        {"code_challenge_method": "plain"},
        {"code_challenge": ""},
        {"response_type": "token"},
    ],
)
async def test_a_browser_is_never_returned_to_a_request_that_is_wrong(issuer, changes):
    answer, _ = await sign_in(issuer, **changes)
    assert (answer.status_code, "location" in answer.headers) == (400, False)
    shown = await issuer.get("/authorize", params=BROWSER | changes)
    assert shown.status_code == 400


async def test_a_denial_returns_to_the_browser_without_a_code(issuer):
    _, returned = await sign_in(issuer, decision="deny")
    assert (returned["error"], "code" in returned) == ("access_denied", False)


async def test_a_page_shows_what_was_typed_as_text(issuer):
    page = await issuer.get("/device", params={"user_code": '"><b>x'})
    assert "<b>" not in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'")


async def test_a_users_token_names_another_audience_than_an_operators(issuer):
    issued = (await issuer.post("/token", json={"sub": "alice", "scope": "ops.read"})).json()
    assert of(issued["access_token"])["aud"] == "countersign"
