"""`GET /payment/{transaction_id}`: for the owner with the scope; 503 without confirm."""

import pytest

from gateway.clients.reads import PaymentView
from testkit.tokens import token


async def test_a_read_returns_the_callers_own_payments_only(edge):
    edge.reads.payments["usr-456", "tx-987"] = PaymentView({"status": "SUCCESS"}, 3)

    mine, others = await edge.read(), await edge.read(user="usr-457")

    assert (mine.status_code, mine.json()) == (200, {"status": "SUCCESS"})
    assert mine.headers["etag"] == '"3"'
    assert (others.status_code, others.text) == (404, '{"error":"Unknown payment: tx-987"}')
    assert "x-request-id" in mine.headers


@pytest.mark.parametrize(
    ("user", "scope", "status"), [(None, None, 401), ("usr-456", "payment.read", 403)]
)
async def test_a_read_needs_a_token_with_the_scope(edge, user, scope, status):
    headers = {"Authorization": f"Bearer {token(scope=scope)}"} if scope else {}
    assert (await edge.read(user=user, **headers)).status_code == status


async def test_over_60_reads_a_minute_are_429_and_writes_are_not_affected(edge):
    for _ in range(60):
        assert (await edge.read()).status_code == 404
    edge.clock.pass_time(seconds=37)

    limited = await edge.read()

    assert (limited.status_code, limited.text) == (429, '{"error":"Too many requests"}')
    assert limited.headers["retry-after"] == "23"
    assert limited.headers["ratelimit-policy"] == '"user";q=60;w=60'
    assert limited.headers["ratelimit"] == '"user";r=0;t=23'
    assert (await edge.read(user="usr-457")).status_code == 404
    assert (await edge.post()).status_code == 200
    edge.clock.pass_time(seconds=23)
    assert (await edge.read()).status_code == 404


async def test_a_read_without_confirm_is_503(edge):
    edge.reads.reachable = False

    got = await edge.read()

    assert (got.status_code, got.headers["retry-after"]) == (503, "1")
