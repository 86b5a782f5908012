"""What the edge decides by itself; and that nothing which anybody sends makes it fail."""

from ipaddress import ip_network

import pytest
from gateway_edge import token
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.domain import (
    BadTokenError,
    bearer_token,
    caller_of,
    client_address,
    client_context,
    over_limit,
)

PROXIES = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        pytest.param("192.0.2.7", "", "192.0.2.7", id="nobody forwards"),
        pytest.param("192.0.2.7", "198.51.100.1", "192.0.2.7", id="a stranger claims"),
        pytest.param("10.0.0.1", "198.51.100.1", "198.51.100.1", id="a proxy says"),
        pytest.param("10.0.0.1", "1.1.1.1, 198.51.100.1", "198.51.100.1", id="a forged start"),
        pytest.param("10.0.0.1", "198.51.100.1,10.0.0.2", "198.51.100.1", id="two proxies"),
        pytest.param("10.0.0.1", "1.1.1.1,2.2.2.2,10.0.0.2", "2.2.2.2", id="forged, two proxies"),
        pytest.param("10.0.0.1", "nonsense", "10.0.0.1", id="no address"),
        pytest.param("10.0.0.1", "", "10.0.0.1", id="the proxy itself"),
        pytest.param("fd00::1", "2001:db8::7", "2001:db8::7", id="IPv6"),
        pytest.param("10.0.0.1", "198.51.100.1:5000", "198.51.100.1", id="with a port"),
        pytest.param("10.0.0.1", "[2001:DB8::7]:443", "2001:db8::7", id="IPv6 with a port"),
        pytest.param("10.0.0.1", "[2001:db8::7]", "2001:db8::7", id="IPv6 in brackets"),
        pytest.param("10.0.0.1", '"[2001:db8::7]"', "2001:db8::7", id="in quotes"),
        pytest.param("10.0.0.1", "2001:db8:0:0::7", "2001:db8::7", id="IPv6 in another form"),
        pytest.param("10.0.0.1", "fe80::7%eth0", "fe80::7", id="with a zone"),
        pytest.param("10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1", id="IPv4 within IPv6"),
        pytest.param("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1", id="a proxy within IPv6"),
        pytest.param("::ffff:192.0.2.7", "198.51.100.1", "192.0.2.7", id="a stranger within IPv6"),
        pytest.param("10.0.0.1", "198.51.100.1,10.0.0.2:80", "198.51.100.1", id="a proxy's port"),
        pytest.param("10.0.0.1", "198.51.100.1:port", "10.0.0.1", id="no port"),
        pytest.param("10.0.0.1", "[198.51.100.1", "10.0.0.1", id="half a bracket"),
        pytest.param("10.0.0.1", "[]:1", "10.0.0.1", id="nothing in brackets"),
        pytest.param("unknown", "198.51.100.1", "unknown", id="no peer"),
    ],
)
def test_an_address_is_believed_as_far_as_trusted_proxies_vouch(peer, forwarded, address):
    assert client_address(peer, forwarded, PROXIES) == address


def test_without_proxies_nobody_is_believed():
    assert client_address("10.0.0.1", "198.51.100.1", []) == "10.0.0.1"


@pytest.mark.parametrize(
    ("headers", "believed", "country", "fingerprint"),
    [
        ({"x-client-country": "US", "x-device-fingerprint": "dev-1"}, True, "US", "dev-1"),
        ({"x-client-country": "US", "x-device-fingerprint": "dev-1"}, False, None, "dev-1"),
        ({"x-client-country": "usa"}, True, None, None),
        ({"x-device-fingerprint": "x" * 129}, True, None, None),
        ({"x-device-fingerprint": "a b"}, True, None, None),
        ({}, True, None, None),
    ],
)
def test_a_context_keeps_what_is_well_formed(headers, believed, country, fingerprint):
    context = client_context(headers, "192.0.2.7", believed=believed)

    assert (context.country, context.device_fingerprint) == (country, fingerprint)
    assert context.ip_address == "192.0.2.7"


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic abc", "Bearer a b", "abc"])
def test_what_is_no_bearer_token_is_said_so(header):
    with pytest.raises(BadTokenError, match="A bearer token is required"):
        bearer_token(header)


def test_the_scheme_may_be_written_in_any_case():
    assert bearer_token("bEaReR abc") == "abc"


@pytest.mark.parametrize("expires_at", [None, "soon"])
def test_an_end_that_is_no_number_is_refused(expires_at):
    with pytest.raises(BadTokenError, match="exp: must be a number"):
        caller_of({"sub": "usr-456", "exp": expires_at}, 0)


@pytest.mark.parametrize(("wait_s", "shown"), [(0, "1"), (0.2, "1"), (22.1, "23")])
def test_seconds_to_wait_are_rounded_up_and_never_none(wait_s, shown):
    headers = dict(over_limit(10, wait_s).headers)

    assert headers["Retry-After"] == shown
    assert headers["RateLimit"] == f'"user";r=0;t={shown}'


TEXTS = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\x00"), max_size=60)
ANY = settings(
    max_examples=500,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@ANY
@given(body=st.binary(max_size=300) | st.from_regex(rb'\{("amount":[^}]*)?\}', fullmatch=True))
async def test_no_body_makes_the_edge_fail(make_edge, body):
    edge = make_edge(anonymous="usr-456", per_minute=10**9)

    answer = await edge.post(body, user=None)

    assert answer.status_code in (200, 400)
    assert "x-request-id" in answer.headers


@ANY
@given(
    headers=st.dictionaries(
        st.sampled_from(
            [
                "Authorization",
                "Idempotency-Key",
                "X-Device-Fingerprint",
                "X-Client-Country",
                "X-Forwarded-For",
                "traceparent",
                "Content-Type",
            ]
        ),
        TEXTS.map(lambda text: text.encode("latin-1")),
    )
)
async def test_no_header_makes_the_edge_fail(make_edge, headers):
    edge = make_edge(proxies=PROXIES, peer="10.0.0.1", failures=10**9)
    given_headers = {"Authorization": f"Bearer {token()}", **headers}

    answer = await edge.post(headers=given_headers)

    assert answer.status_code in (200, 400, 401, 415)
    assert "x-request-id" in answer.headers


@ANY
@given(text=st.text(max_size=80))
async def test_no_bearer_token_makes_the_edge_fail(make_edge, text):
    edge = make_edge(failures=10**9)
    header = b"Bearer " + text.encode().replace(b"\r", b"").replace(b"\n", b"")

    answer = await edge.read(user=None, Authorization=header)

    assert answer.status_code == 401
