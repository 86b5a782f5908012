"""Two trusted issuers: each with its own keys and its own users."""

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from service_runtime.callers import BadTokenError
from service_runtime.errors import Unavailable
from service_runtime.issuers import TrustedIssuer, TwoIssuers
from service_runtime.tokens import TokenRules, TokenVerifier
from testkit.tokens import AUDIENCE, ED25519, ISSUER, MemoryKeys, claims, jwk, raw_token, token

SECOND = "https://second.test"
PREFIX = "cs_"
KEY = ed25519.Ed25519PrivateKey.generate()


class World:
    def __init__(self):
        self.first, self.second = MemoryKeys(jwk(ED25519, "ed")), MemoryKeys(jwk(KEY, "ed"))
        self.tokens = TwoIssuers(
            TrustedIssuer(ISSUER, TokenVerifier(self.first, TokenRules(ISSUER, AUDIENCE))),
            TrustedIssuer(SECOND, TokenVerifier(self.second, TokenRules(SECOND, AUDIENCE))),
            PREFIX,
        )


@pytest.fixture
def world():
    return World()


def of_second(key=KEY, **changes):
    made = claims(**{"iss": SECOND, "sub": "cs_user_1", **changes})
    return jwt.encode(made, key, "EdDSA", {"typ": "at+jwt", "kid": "ed"})


async def test_users_of_both_issuers_are_admitted(world):
    assert (await world.tokens.caller(token())).user_id == "usr-456"
    assert (await world.tokens.caller(of_second())).user_id == "cs_user_1"


@pytest.mark.parametrize(
    ("presented", "reason"),
    [
        pytest.param(lambda: of_second(ED25519), "not valid", id="by a key of the first issuer"),
        pytest.param(
            lambda: jwt.encode(claims(), KEY, "EdDSA", {"typ": "at+jwt", "kid": "ed"}), "not valid",
            id="by a key of the second issuer",
        ),
        pytest.param(lambda: of_second(sub="usr-456"), "sub:", id="a user of the first issuer"),
        pytest.param(lambda: token(sub="cs_user_1"), "sub:", id="a user of the second issuer"),
        pytest.param(lambda: token(iss="https://third.test"), "iss:", id="a third issuer"),
        pytest.param(lambda: token(iss=None), "iss:", id="no issuer"),
        pytest.param(lambda: raw_token({}, {"iss": [SECOND]}), "iss:", id="an issuer, no text"),
        pytest.param(lambda: "a.b", "malformed", id="no token"),
        pytest.param(lambda: "a.!.c", "malformed", id="a payload that is not base64"),
        pytest.param(lambda: raw_token({}, b"{"), "malformed", id="a payload that is not JSON"),
        pytest.param(lambda: raw_token({}, b"[]"), "iss:", id="a payload that is no object"),
        pytest.param(lambda: "a." + "b" * 9000 + ".c", "malformed", id="a token that is too long"),
    ],
)  # fmt: skip
async def test_no_issuer_speaks_for_the_other_one(world, presented, reason):
    with pytest.raises(BadTokenError, match=reason):
        # Made now: a token lives 15 minutes.
        await world.tokens.caller(presented())


async def test_an_issuer_that_is_away_refuses_its_own_users_alone(world):
    world.second.reachable = False
    assert (await world.tokens.caller(token())).user_id == "usr-456"
    with pytest.raises(Unavailable):
        await world.tokens.caller(of_second())
