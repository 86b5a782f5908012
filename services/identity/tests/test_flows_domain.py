"""Rules of clients, authorization codes and device codes, without a service."""

import base64
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.domain.applications import Client, address_fault, origin_of
from identity.domain.authorization import (
    CODE_LIFE,
    AuthorizationRequest,
    CodeVerdict,
    IssuedCode,
    Redemption,
    check,
    check_address,
    judge_code,
    proves,
)
from identity.domain.devices import (
    CODE_LETTERS,
    Device,
    Poll,
    judge_poll,
    next_interval_s,
    shown,
    typed,
)
from identity.domain.refusals import OAuthError
from testkit.events import NOON

SECOND = timedelta(seconds=1)
RETURN = "https://app.example/signed-in"


def base64url(*octets):
    return base64.urlsafe_b64encode(bytes(octets)).rstrip(b"=").decode()


# The pair of RFC 7636, appendix B, in octets as it has them.
VERIFIER = base64url(
    116, 24, 223, 180, 151, 153, 224, 37, 79, 250, 96, 125, 216, 173, 187, 186,
    22, 212, 37, 77, 105, 214, 191, 240, 91, 88, 5, 88, 83, 132, 141, 121,
)  # fmt: skip
CHALLENGE = base64url(
    19, 211, 30, 150, 26, 26, 216, 236, 47, 22, 177, 12, 76, 152, 46, 8,
    118, 168, 120, 173, 109, 241, 68, 86, 110, 225, 137, 74, 203, 112, 249, 195,
)  # fmt: skip
APP = Client(
    "acme-app",
    ["payment.confirm", "payment.read"],
    [],
    grants=["authorization_code"],
    redirect_uris=[RETURN],
)
ASKED = {
    "client_id": "acme-app",
    "redirect_uri": RETURN,
    "response_type": "code",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}


def test_the_published_pair_of_verifier_and_challenge_matches():
    assert proves(VERIFIER, CHALLENGE)


@given(st.text(max_size=140))
def test_no_other_verifier_matches(verifier):
    assert not proves(verifier, CHALLENGE)


@pytest.mark.parametrize(
    "change",
    [
        {"client_id": "other"},
        {"redirect_uri": RETURN + "/"},
        {"redirect_uri": RETURN.upper()},
        {"redirect_uri": RETURN + "?a=b"},
        {"redirect_uri": "https://evil.example/"},
        {"redirect_uri": ""},
    ],
)
def test_a_browser_is_never_sent_to_an_address_that_is_not_registered(change):
    asked = AuthorizationRequest.of(ASKED | change)
    client = APP if asked.client_id == APP.id else None
    with pytest.raises(OAuthError):
        check_address(asked, client)
    assert check_address(AuthorizationRequest.of(ASKED), APP) is APP
    with pytest.raises(OAuthError):
        check_address(AuthorizationRequest.of(ASKED), replace(APP, grants=["client_credentials"]))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"code_challenge_method": "plain", "code_challenge": VERIFIER}, "invalid_request"),
        ({"code_challenge_method": ""}, "invalid_request"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge": CHALLENGE + "x"}, "invalid_request"),
        ({"state": "x" * 1025}, "invalid_request"),
        ({"nonce": "a\x00b"}, "invalid_request"),
        ({"prompt": "none"}, "login_required"),
        ({"request": "e30."}, "request_not_supported"),
        ({"request_uri": "https://a.example"}, "request_not_supported"),
    ],
)
def test_a_request_outside_the_flow_is_refused_by_its_code(change, error):
    check(AuthorizationRequest.of(ASKED))
    with pytest.raises(OAuthError) as refused:
        check(AuthorizationRequest.of(ASKED | change))
    assert refused.value.error == error


def test_the_way_back_keeps_the_query_of_the_address():
    asked = AuthorizationRequest.of({"redirect_uri": RETURN + "?tenant=a", "state": "a&b"})
    found = asked.returned("https://issuer", code="c")
    assert found == f"{RETURN}?tenant=a&code=c&state=a%26b&iss=https%3A%2F%2Fissuer"


ISSUED = IssuedCode(
    "acme-app", RETURN, CHALLENGE, ["openid"], "", UUID(int=1), UUID(int=2), NOON, NOON + CODE_LIFE
)
RIGHT = Redemption("acme-app", RETURN, VERIFIER)


@pytest.mark.parametrize(
    ("code", "presented", "after", "verdict"),
    [
        pytest.param(ISSUED, RIGHT, CODE_LIFE - SECOND, CodeVerdict.REDEEMED, id="in time"),
        pytest.param(ISSUED, RIGHT, CODE_LIFE, CodeVerdict.REFUSED, id="too late"),
        pytest.param(
            ISSUED, replace(RIGHT, client_id="b"), SECOND, CodeVerdict.REFUSED, id="client"
        ),
        pytest.param(
            ISSUED, replace(RIGHT, redirect_uri="b"), SECOND, CodeVerdict.REFUSED, id="address"
        ),
        pytest.param(
            ISSUED, replace(RIGHT, verifier="b" * 43), SECOND, CodeVerdict.REFUSED, id="verifier"
        ),
        pytest.param(
            replace(ISSUED, used_at=NOON), RIGHT, SECOND, CodeVerdict.REUSED, id="a second time"
        ),
        pytest.param(
            replace(ISSUED, used_at=NOON), RIGHT, 2 * CODE_LIFE, CodeVerdict.REUSED, id="and late"
        ),
    ],
)
def test_the_verdict_on_a_code(code, presented, after, verdict):
    assert judge_code(code, presented, NOON + after) is verdict


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        ("", ["payment.confirm", "payment.read"]),
        ("openid", ["openid", "payment.confirm", "payment.read"]),
        ("payment.read unknown", ["payment.read"]),
        ("ops.write", []),
        ("offline_access payment.read openid", ["offline_access", "openid", "payment.read"]),
    ],
)
def test_a_client_is_granted_what_it_asks_for_and_has(asked, granted):
    assert APP.granted(asked) == granted


@pytest.mark.parametrize(
    "uri",
    [
        "http://app.example/cb", "https://app.example/cb#x", "javascript:alert(1)", "//app.example",
        "https://", "https://user@app.example/", "https://a.example/ b", "https://a.example:0/",
        "https://a.example;script-src *", "custom:/cb", "http://127.0.0.1.evil.example/", "https://[/",
        "https://a.example/" + "x" * 300, "https://a.example:99999/",
    ],
)  # fmt: skip
def test_an_address_that_could_leak_a_code_is_not_registered(uri):
    assert address_fault(uri)


@pytest.mark.parametrize(
    "uri", [RETURN, "http://127.0.0.1:8000/cb", "http://localhost/cb?a=b", "http://[::1]:8000/"]
)
def test_addresses_by_https_and_of_the_own_machine_are_registered(uri):
    assert address_fault(uri) is None
    assert uri.startswith(origin_of(uri))


DEVICE = Device("BCDFGHJK", "countersign", [], 5, NOON + timedelta(minutes=10), UUID(int=1))
POLLED = replace(DEVICE, polled_at=NOON)
APPROVED = replace(POLLED, decided_at=NOON, user_id=UUID(int=2))


@pytest.mark.parametrize(
    ("device", "after", "poll"),
    [
        (DEVICE, SECOND, Poll.PENDING),
        (POLLED, 4 * SECOND, Poll.SLOW),
        (POLLED, 5 * SECOND, Poll.PENDING),
        (replace(POLLED, decided_at=NOON), SECOND, Poll.DENIED),
        (APPROVED, SECOND, Poll.GRANTED),
        (APPROVED, timedelta(minutes=10), Poll.EXPIRED),
        (replace(APPROVED, used_at=NOON), SECOND, Poll.USED),
    ],
)
def test_the_answer_to_a_poll(device, after, poll):
    assert judge_poll(device, NOON + after) is poll


def test_a_device_that_polls_too_early_waits_longer_and_longer_up_to_a_bound():
    assert next_interval_s(DEVICE, Poll.PENDING) == 5
    assert next_interval_s(DEVICE, Poll.SLOW) == 10
    assert next_interval_s(replace(DEVICE, interval_s=600), Poll.SLOW) == 600


@given(st.text(CODE_LETTERS, min_size=8, max_size=8))
def test_a_person_may_type_a_code_in_any_way(code):
    assert typed(shown(code)) == typed(shown(code).lower()) == typed(f" {code} ") == code
    assert typed(code[:7]) == typed(code[:7] + "A") == ""
