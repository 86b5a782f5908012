"""`GET /payment/{transaction_id}`: for the owner with the scope; 503 without confirm."""

import pytest

from testkit.tokens import token


async def test_a_read_returns_the_callers_own_payments_only(edge):
    edge.reads.payments["usr-456", "tx-987"] = {"transaction_id": "tx-987", "status": "SUCCESS"}

    mine, others = await edge.read(), await edge.read(user="usr-457")

    assert (mine.status_code, mine.json()["status"]) == (200, "SUCCESS")
    assert (others.status_code, others.text) == (404, '{"error":"Unknown payment: tx-987"}')
    assert "x-request-id" in mine.headers


@pytest.mark.parametrize(
    ("user", "headers", "status"),
    [
        (None, {}, 401),
        ("usr-456", {"Authorization": f"Bearer {token(scope='payment.read')}"}, 403),
    ],
)
async def test_a_read_needs_a_token_with_the_scope(edge, user, headers, status):
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
