"""Tokens under real keys: accepted, refused; and when keys are fetched."""

import asyncio
import time

import jwt
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from service_runtime import tokens
from service_runtime.callers import BadTokenError
from service_runtime.errors import Unavailable
from service_runtime.tokens import TokenRules, TokenVerifier
from testkit.tokens import (
    AUDIENCE,
    ED25519,
    ISSUER,
    KEYS,
    P256,
    RSA,
    MemoryKeys,
    claims,
    jwk,
    raw_token,
    token,
)

OTHER = ed25519.Ed25519PrivateKey.generate()


@pytest.fixture
def keys():
    return MemoryKeys(*KEYS)


@pytest.fixture
def verifier(keys):
    return TokenVerifier(keys, TokenRules(ISSUER, AUDIENCE))


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256", "PS256"])
async def test_a_token_under_a_published_key_yields_its_subject_and_scopes(verifier, algorithm):
    caller = await verifier.caller(token(algorithm, scope="openid payment.confirm"))

    assert caller.user_id == "usr-456"
    assert caller.scopes == {"openid", "payment.confirm"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"exp": int(time.time()) - 1}, "exp: expired", id="expired"),
        pytest.param({"exp": None}, "exp: missing", id="no expiry"),
        pytest.param({"exp": int(time.time()) + 3600}, "exp: lives longer", id="too long"),
        pytest.param({"exp": "soon"}, "token: not valid", id="an expiry that is no number"),
        pytest.param(
            {"exp": 10**400}, "exp: lives longer|token: not valid", id="an expiry without end"
        ),
        pytest.param({"nbf": int(time.time()) + 7200}, "nbf: not yet valid", id="not yet"),
        pytest.param({"aud": "another"}, "aud: not for this", id="another audience"),
        pytest.param({"aud": None}, "aud: missing", id="no audience"),
        pytest.param({"iss": "https://evil.test"}, "iss: not our", id="another issuer"),
        pytest.param({"iss": None}, "iss: missing", id="no issuer"),
        pytest.param({"sub": None}, "sub: missing", id="no subject"),
        pytest.param({"sub": ""}, "sub: must be 1 to 128", id="an empty subject"),
        pytest.param({"sub": "u" * 129}, "sub: must be 1 to 128", id="a long subject"),
        pytest.param({"sub": "usr\x00"}, "sub: must be printable", id="a control character"),
        pytest.param({"sub": "usr\ud800"}, "sub: must be printable", id="half a surrogate"),
        pytest.param({"scope": ["payment.confirm"]}, "scope: must be a string", id="scopes"),
    ],
)
async def test_a_signed_token_whose_claims_break_a_rule_is_refused(verifier, changes, reason):
    with pytest.raises(BadTokenError, match=reason):
        await verifier.caller(token(**changes))


async def test_a_token_may_live_15_minutes(verifier):
    assert await verifier.caller(token(exp=int(time.time()) + 15 * 60))


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt"])
async def test_the_types_of_access_tokens_are_accepted(verifier, typ):
    assert await verifier.caller(token(headers={"typ": typ}))


HEADER = {"alg": "EdDSA", "kid": "ed", "typ": "at+jwt"}
PEM = ED25519.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def resigned(header, key=ED25519):
    """A token with any header, with a valid signature."""
    unsigned = raw_token({**HEADER, **header}, claims()).rpartition(".")[0]
    signature = key.sign(unsigned.encode())
    return raw_token({**HEADER, **header}, claims(), signature)


def hs256():
    header = {"typ": "at+jwt", "kid": "ed"}
    return jwt.encode(claims(), PEM, "HS256", header)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        pytest.param(raw_token({**HEADER, "alg": "none"}, claims()), "alg", id="none"),
        pytest.param(raw_token({**HEADER, "alg": "nOnE"}, claims()), "alg", id="none, disguised"),
        pytest.param(hs256(), "alg", id="HS256 under the public key"),
        pytest.param(token("RS256"), "alg", id="RS256, which is off"),
        pytest.param(token("ES256", headers={"kid": "ed"}), "alg", id="another key's algorithm"),
        pytest.param(token(headers={"kid": "nobody"}), "kid: unknown", id="an unknown key"),
        pytest.param(token(headers={"kid": None}), "kid: missing", id="no key named"),
        pytest.param(resigned({"kid": ["ed"]}), "token: malformed|kid", id="a key list"),
        pytest.param(resigned({}, OTHER), "token: not valid", id="somebody else's signature"),
        pytest.param(token(headers={"typ": "id+jwt"}), "typ", id="another type"),
        pytest.param(resigned({"typ": None}), "typ", id="no type"),
        pytest.param(resigned({"typ": "JWT"}), "typ", id="an id token's type"),
        pytest.param(resigned({"crit": ["x"], "x": 1}), "crit|token", id="critical and unknown"),
        pytest.param(resigned({"b64": False, "crit": ["b64"]}), "crit|token", id="detached"),
        pytest.param(raw_token(HEADER, claims()), "token: not valid", id="unsigned"),
        pytest.param(raw_token(b"[" * 5000, b"{}"), "token: malformed", id="deeply nested"),
        pytest.param(raw_token(b"[]", b"{}"), "token: malformed", id="a header that is a list"),
        pytest.param("x" * 8193, "token: too long", id="too long"),
        pytest.param("é.é.é", "token: malformed", id="not ASCII"),
        pytest.param("a.b", "token: malformed", id="two parts"),
        pytest.param("", "token: malformed", id="nothing"),
    ],
)
async def test_an_unverifiable_token_is_refused(verifier, bad, reason):
    with pytest.raises(BadTokenError, match=reason):
        await verifier.caller(bad)


@pytest.mark.parametrize("name", ["jwk", "jku", "x5u"])
async def test_a_key_inside_a_token_is_ignored(verifier, name):
    brought = jwk(OTHER, "ed") if name == "jwk" else "https://evil.test/keys"

    with pytest.raises(BadTokenError):
        await verifier.caller(resigned({name: brought}, OTHER))
    assert await verifier.caller(resigned({name: brought}))


async def test_rs256_is_accepted_only_by_setting(keys):
    verifier = TokenVerifier(keys, TokenRules(ISSUER, AUDIENCE, allow_rs256=True))

    assert await verifier.caller(token("RS256"))
    with pytest.raises(BadTokenError, match="alg"):
        await verifier.caller(token("PS256"))


async def test_a_key_that_names_its_algorithm_is_used_with_no_other():
    declared = MemoryKeys(jwk(RSA, "rsa", alg="PS256"))
    verifier = TokenVerifier(declared, TokenRules(ISSUER, AUDIENCE, allow_rs256=True))

    assert await verifier.caller(token("PS256"))
    with pytest.raises(BadTokenError, match="alg"):
        await verifier.caller(token("RS256"))


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(jwk(ED25519, "ed", use="enc"), id="for encryption"),
        pytest.param(jwk(P256, "ed", alg="ES384"), id="of another algorithm"),
        pytest.param({"kty": "oct", "kid": "ed", "k": "c2VjcmV0"}, id="a shared secret"),
        pytest.param({"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": "AA"}, id="too short"),
        pytest.param({"kid": "ed"}, id="of no kind"),
        pytest.param("ed", id="no object"),
        pytest.param(None, id="nothing"),
    ],
)
async def test_an_unusable_key_is_skipped_and_the_others_are_used(entry):
    verifier = TokenVerifier(MemoryKeys(entry, jwk(P256, "ec")), TokenRules(ISSUER, AUDIENCE))

    with pytest.raises(BadTokenError, match="kid: unknown"):
        await verifier.caller(token())
    assert await verifier.caller(token("ES256"))


async def test_unknown_keys_are_fetched_at_most_once_in_30_s(verifier, keys, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(tokens.time, "monotonic", lambda: now[0])
    for number in range(50):
        with pytest.raises(BadTokenError, match="kid: unknown"):
            await verifier.caller(token(headers={"kid": f"new-{number}"}))
    assert keys.fetched == 1

    keys.keys.append(jwk(OTHER, "next"))
    fresh = jwt.encode(claims(), OTHER, "EdDSA", {"typ": "at+jwt", "kid": "next"})
    now[0] += 29.9
    with pytest.raises(BadTokenError, match="kid: unknown"):
        await verifier.caller(fresh)
    now[0] += 0.2
    assert await verifier.caller(fresh)
    assert keys.fetched == 2


@pytest.fixture
def passing(monkeypatch):
    """Let the monotonic clock pass; tokens do not age, because they are checked by wall clock."""
    now = [1000.0]
    monkeypatch.setattr(tokens.time, "monotonic", lambda: now[0])

    def let_pass(seconds):
        now[0] += seconds

    return let_pass


async def settled(verifier):
    """Wait for the fetch in the background."""
    await asyncio.gather(verifier._fetching, return_exceptions=True)


async def test_a_withdrawn_key_is_refused_within_5_minutes_without_an_unknown_one(
    verifier, keys, passing
):
    one, another = token(), token(sub="usr-457")
    assert await verifier.caller(one)
    keys.keys = [jwk(P256, "ec")]
    passing(tokens.KEYS_LIVE_S)

    for refused in (one, another):
        with pytest.raises(BadTokenError, match="kid: unknown"):
            await verifier.caller(refused)
    assert await verifier.caller(token("ES256"))


async def test_keys_are_fetched_again_in_the_background_before_they_are_too_old(
    verifier, keys, passing
):
    one = token()
    first = await verifier.caller(one)
    passing(tokens.REFRESH_AFTER_S)

    assert await verifier.caller(one) is first
    await settled(verifier)

    assert keys.fetched == 2
    passing(tokens.KEYS_LIVE_S - 1)
    keys.reachable = False
    assert await verifier.caller(one) is first


async def test_a_key_whose_material_is_replaced_under_its_name_is_another_key(
    verifier, keys, passing
):
    one = token()
    await verifier.caller(one)
    keys.keys = [jwk(OTHER, "ed")]
    passing(tokens.KEYS_LIVE_S)

    with pytest.raises(BadTokenError, match="token: not valid"):
        await verifier.caller(one)


async def test_without_a_fetch_for_5_minutes_every_token_is_refused(verifier, keys, passing):
    one = token()
    await verifier.caller(one)
    keys.reachable = False
    passing(tokens.KEYS_LIVE_S - 1)
    assert await verifier.caller(one)
    await settled(verifier)

    passing(1)
    with pytest.raises(Unavailable):
        await verifier.caller(one)

    keys.reachable = True
    assert await verifier.caller(one)


@pytest.mark.parametrize("empty", [[], ["ed"], [{"kty": "oct", "kid": "ed", "k": "c2VjcmV0"}]])
async def test_a_key_set_without_a_usable_key_is_a_failed_fetch(verifier, keys, passing, empty):
    one = token()
    await verifier.caller(one)
    keys.keys = empty
    passing(tokens.REFRESH_AFTER_S)
    await verifier.caller(one)
    await settled(verifier)

    assert await verifier.caller(token(sub="usr-457"))
    passing(tokens.KEYS_LIVE_S)
    with pytest.raises(Unavailable):
        await verifier.caller(one)


async def test_concurrent_requests_share_one_fetch_of_keys(verifier, keys):
    await asyncio.gather(*[verifier.caller(token(sub=f"usr-{n}")) for n in range(20)])

    assert keys.fetched == 1


async def test_a_refused_key_is_refused_while_the_issuer_publishes_it(keys):
    rules = TokenRules(ISSUER, AUDIENCE, refused_kids=frozenset({"ed"}))
    verifier = TokenVerifier(keys, rules)

    with pytest.raises(BadTokenError, match="kid: refused"):
        await verifier.caller(token())
    assert await verifier.caller(token("ES256"))


async def test_an_rsa_key_below_2048_bits_is_skipped():
    small = rsa.generate_private_key(65537, 1024)  # noqa: S505 - that is what is refused
    verifier = TokenVerifier(
        MemoryKeys(jwk(small, "rsa"), jwk(P256, "ec")), TokenRules(ISSUER, AUDIENCE)
    )

    with pytest.raises(BadTokenError, match="kid: unknown"):
        await verifier.caller(token("PS256"))


@pytest.mark.parametrize("claim", ["nbf", "iat"])
async def test_an_issuers_clock_may_be_ahead_by_30_s_and_no_more(verifier, claim):
    assert await verifier.caller(token(**{claim: int(time.time()) + 25}))
    with pytest.raises(BadTokenError, match=claim):
        await verifier.caller(token(**{claim: int(time.time()) + 40}))


async def test_while_the_issuer_is_down_a_token_is_unavailable_not_invalid(keys, verifier):
    keys.reachable = False
    with pytest.raises(Unavailable):
        await verifier.caller(token())

    keys.reachable, keys.status = True, 404
    with pytest.raises(Unavailable):
        await verifier.caller(token())

    keys.status = 200
    assert await verifier.caller(token())


async def test_known_keys_are_used_while_the_issuer_is_down(keys, verifier, monkeypatch):
    await verifier.caller(token())
    keys.reachable = False
    now = time.monotonic() + 31
    monkeypatch.setattr(tokens.time, "monotonic", lambda: now)

    with pytest.raises(BadTokenError, match="kid: unknown"):
        await verifier.caller(token(headers={"kid": "new"}))
    assert await verifier.caller(token(sub="usr-457"))


async def test_a_cached_token_is_refused_when_it_expires(verifier, monkeypatch):
    short = token(exp=int(time.time()) + 60)
    first = await verifier.caller(short)
    assert await verifier.caller(short) is first

    later = time.time() + 61
    monkeypatch.setattr(tokens.time, "time", lambda: later)
    with pytest.raises(BadTokenError, match="exp: expired"):
        await verifier.caller(short)


async def test_the_cache_of_tokens_is_bounded(verifier, monkeypatch):
    monkeypatch.setattr(tokens, "CACHED_TOKENS", 2)
    made = [token(sub=f"usr-{number}") for number in range(3)]
    first = await verifier.caller(made[0])

    for one in made:
        await verifier.caller(one)

    assert await verifier.caller(made[0]) is not first


async def test_a_token_is_cached_by_its_hash_only(verifier):
    one = token()
    await verifier.caller(one)

    assert one not in repr(vars(verifier))


def test_the_keys_are_published_without_their_private_half():
    assert b'"d"' not in orjson.dumps(KEYS)
