"""The command made from a request; and that no input makes the edge fail."""

from ipaddress import ip_network

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.domain import client_context
from testkit.tokens import token

PROXIES = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


@pytest.mark.parametrize(
    ("headers", "trusted", "country", "fingerprint"),
    [
        ({"x-client-country": "US", "x-device-fingerprint": "dev-1"}, True, "US", "dev-1"),
        ({"x-client-country": "US", "x-device-fingerprint": "dev-1"}, False, None, "dev-1"),
        ({"x-client-country": "usa"}, True, None, None),
        ({"x-device-fingerprint": "x" * 129}, True, None, None),
        ({"x-device-fingerprint": "a b"}, True, None, None),
        ({}, True, None, None),
    ],
)
def test_a_context_keeps_well_formed_headers_only(headers, trusted, country, fingerprint):
    context = client_context(headers, "192.0.2.7", trusted=trusted)

    assert (context.country, context.device_fingerprint) == (country, fingerprint)
    assert context.ip_address == "192.0.2.7"


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
