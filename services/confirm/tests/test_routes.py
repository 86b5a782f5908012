"""Confirm's HTTP routes for the gateway and for operators, with the check."""

import hashlib
import json

import httpx
import pytest
from confirm_builders import assessed, first_request
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from confirm.routes import routes
from service_runtime.http_unit import HttpUnitOfWork
from service_runtime.web import Credentials, create_app

pytestmark = pytest.mark.stack
SCOPES = {"gateway": ["payment.read"], "auditor": ["ops.read"], "opener": ["ops.read", "ops.write"]}
CREDENTIALS = Credentials(
    json.dumps(
        {
            name: {"sha256": hashlib.sha256(name.encode()).hexdigest(), "scopes": scopes}
            for name, scopes in SCOPES.items()
        }
    )
)
ORDER = {"name": "acc-9", "owner": "usr-9", "balance_minor": 100}


@pytest.fixture
async def world(postgres_world):
    await postgres_world.open_account("acc-1", "usr-456", 1_000_000)
    return postgres_world


@pytest.fixture
async def http(world):
    app = create_app("confirm", {}, world.clock)
    requests = HttpUnitOfWork(world.unit, "confirm", world.clock)
    app.include_router(routes(world.database, requests, CREDENTIALS, {"USD", "EUR", "JPY"}))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://confirm") as client:
        yield client


def by(name):
    return {"Authorization": f"Bearer {name}"}


async def confirmed(world):
    await world.take(first_request())
    (payment,) = await world.payments()
    await world.take(assessed(payment))
    return (await world.payments())[0]


@pytest.mark.parametrize(
    ("method", "path", "caller"),
    [
        ("GET", "/payments/tx-987?user_id=usr-456", None),
        ("GET", "/payments/tx-987?user_id=usr-456", "nobody"),
        ("GET", "/payments/tx-987?user_id=usr-456", "opener"),
        ("GET", "/admin/payments?transaction_id=tx-987", "gateway"),
        ("GET", "/admin/payments/export", "gateway"),
        ("GET", "/admin/accounts", "gateway"),
        ("GET", "/admin/check", "gateway"),
        ("POST", "/admin/accounts", "auditor"),
        ("POST", "/admin/answers", "gateway"),
    ],
)
async def test_a_call_without_its_scope_has_no_effect(http, world, method, path, caller):
    before = await world.balances()

    answer = await http.request(method, path, headers=by(caller) if caller else {}, json=ORDER)

    assert answer.status_code == 401
    assert "A credential with scope" in answer.json()["error"]
    assert await world.balances() == before


async def test_a_user_sees_all_of_an_own_payment_and_no_payment_of_another_user(http, world):
    payment = await confirmed(world)

    mine = await http.get("/payments/tx-987?user_id=usr-456", headers=by("gateway"))
    others = await http.get("/payments/tx-987?user_id=usr-457", headers=by("gateway"))

    assert others.status_code == 404
    shown = mine.json()
    assert shown.pop("created_at").endswith("+00:00")
    assert shown.pop("updated_at").endswith("+00:00")
    assert shown == {
        "transaction_id": "tx-987",
        "status": "SUCCESS",
        "reference": payment.reference,
        "settlement_method": "ACH",
        "settlement_status": "PENDING",
        "amount": "5200.00",
        "currency": "USD",
        "from_account": "acc-1",
        "to_account": "payee-xyz",
        "reason": None,
    }


async def test_a_payment_that_is_not_confirmed_shows_no_reference(http, world):
    await world.take(first_request())

    shown = (await http.get("/payments/tx-987?user_id=usr-456", headers=by("gateway"))).json()

    assert (shown["status"], shown["reference"]) == ("PENDING", None)
    assert (shown["settlement_method"], shown["settlement_status"]) == (None, "NONE")


async def test_an_operator_sees_the_entries_but_not_the_tag_of_a_code(http, world):
    await confirmed(world)

    answer = await http.get("/admin/payments?transaction_id=tx-987", headers=by("auditor"))

    (payment,) = answer.json()["payments"]
    assert payment["state"] == "CONFIRMED"
    assert {(e["account_id"], e["amount_minor"]) for e in payment["entries"]} == {
        ("acc-1", -520_000),
        ("in-flight:USD", 520_000),
    }
    assert "tag" not in answer.text
    for name in (payment["payment_id"], payment["uetr"]):
        same = await http.get(f"/admin/payments?transaction_id={name}", headers=by("auditor"))
        assert same.json() == answer.json()


async def test_payments_are_exported_page_by_page(http, world):
    await world.take(
        *[
            first_request(
                request_id=f"00000000-0000-4000-8000-{n:012}",
                transaction_id=f"tx-{n}",
                idempotency_key=f"key-{n}",
            )
            for n in range(5)
        ]
    )
    seen, after = [], "00000000-0000-0000-0000-000000000000"
    while True:
        url = f"/admin/payments/export?limit=2&after={after}"
        page = (await http.get(url, headers=by("auditor"))).json()["payments"]
        if not page:
            break
        seen += [one["payment_id"] for one in page]
        after = seen[-1]

    assert seen == sorted(seen)
    assert len(set(seen)) == 5


async def test_opening_accounts_can_be_repeated(http, world):
    many = {**ORDER, "name": "load", "count": 3}

    first = await http.post("/admin/accounts", json=many, headers=by("opener"))
    again = await http.post("/admin/accounts", json={**many, "count": 4}, headers=by("opener"))

    assert first.json() == {"opened": 3, "existing": 0}
    assert again.json() == {"opened": 1, "existing": 3}
    listed = await http.get("/admin/accounts?prefix=load-", headers=by("auditor"))
    assert [one["balance_minor"] for one in listed.json()["accounts"]] == [100] * 4
    assert (await world.balances())["equity:opening:USD"] == -1_000_400


@pytest.mark.parametrize("other", [{"owner": "usr-10"}, {"currency": "EUR"}])
async def test_an_account_of_another_owner_or_currency_is_409_and_nothing_is_opened(
    http, world, other
):
    await http.post("/admin/accounts", json={**ORDER, "name": "load-0002"}, headers=by("opener"))
    before = await world.balances()

    order = {**ORDER, "name": "load", "owner": "usr", "count": 3, **other}
    answer = await http.post("/admin/accounts", json=order, headers=by("opener"))

    assert answer.status_code == 409
    assert "load-0002" in answer.json()["details"]
    assert await world.balances() == before


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "in-flight:USD"),
        ("name", "equity:opening:USD"),
        ("name", "a b"),
        ("name", ".."),
        ("name", "4111-1111-1111-1111"),
        ("owner", ""),
        ("owner", "usr\x00"),
        ("owner", "4111 1111 1111 1111"),
        ("balance_minor", -1),
        ("balance_minor", 10**14),
        ("currency", "XXX"),
        ("currency", "KWD"),
        ("count", 0),
        ("count", 1001),
        ("first", 0),
        ("colour", "red"),
    ],
)
async def test_an_invalid_field_is_400_with_the_name_of_the_field(http, field, value):
    answer = await http.post("/admin/accounts", json={**ORDER, field: value}, headers=by("opener"))

    assert answer.status_code == 400
    assert answer.json()["error"] == f"Invalid field: {field}"


@pytest.mark.parametrize(
    ("field", "value", "details"),
    [
        ("name", "::", "must contain a letter or digit"),
        ("name", "4111111111111111", "must not be a card number"),
        ("currency", "KWD", "is not supported"),
        ("currency", "CLF", "is not supported"),
        ("balance_minor", 10**14, "must have at most 12 digits before the point"),
    ],
)
async def test_a_refused_order_has_the_details_of_the_edge_and_opens_nothing(
    http, world, field, value, details
):
    before = await world.balances()

    answer = await http.post("/admin/accounts", json={**ORDER, field: value}, headers=by("opener"))

    body = {"error": f"Invalid field: {field}", "details": details}
    assert (answer.status_code, answer.json()) == (400, body)
    assert await world.balances() == before


async def test_a_name_that_becomes_a_card_number_with_its_number_is_refused(http):
    order = {**ORDER, "name": "411111111111", "count": 1000, "first": 1000}

    answer = await http.post("/admin/accounts", json=order, headers=by("opener"))

    assert (answer.status_code, answer.json()["error"]) == (400, "Invalid field: name")


async def test_an_opening_that_the_ledger_cannot_store_is_409(http, world):
    await http.post("/admin/accounts", json=ORDER, headers=by("opener"))
    await world.plant(
        "update account set balance_minor = -9223372036854775800 where id like 'equity:%'"
    )

    order = {**ORDER, "name": "acc-10"}
    answer = await http.post("/admin/accounts", json=order, headers=by("opener"))

    assert (answer.status_code, answer.json()["error"]) == (409, "Invalid field: balance_minor")
    assert "acc-10" not in await world.balances()


async def test_a_name_that_is_too_long_for_its_number_is_refused(http):
    order = {**ORDER, "name": "n" * 57, "count": 1}

    answer = await http.post("/admin/accounts", json=order, headers=by("opener"))

    assert (answer.status_code, answer.json()["error"]) == (400, "Invalid field: count")


QUERIES = [
    ("/admin/payments", "transaction_id"),
    ("/admin/accounts", "prefix"),
    ("/admin/check", "unfinished_after_s"),
]


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=st.sampled_from(QUERIES), text=st.text(st.characters(exclude_categories=["Cs"])))
async def test_no_query_text_causes_an_error(http, query, text):
    path, name = query

    answer = await http.get(path, params={name: text}, headers=by("auditor"))

    assert answer.status_code in (200, 400)


@pytest.mark.parametrize("name", ["user_id", "idempotency_key"])
async def test_keys_that_postgresql_cannot_store_are_refused(http, name):
    query = {"keys": [{"user_id": "usr-456", "idempotency_key": "k", name: "a\x00"}]}

    answer = await http.post("/admin/answers", json=query, headers=by("auditor"))

    assert (answer.status_code, answer.json()["details"]) == (400, "must be printable")


async def test_stored_final_responses_are_returned_by_user_and_key(http, world):
    payment = await confirmed(world)
    await world.take(
        first_request(
            request_id="00000000-0000-4000-8000-000000000009",
            transaction_id="tx-9",
            idempotency_key="still-open",
            amount="1",
        )
    )
    keys = [
        {"user_id": "usr-456", "idempotency_key": name}
        for name in (payment.idempotency_key, "still-open", "nobodys")
    ] + [{"user_id": "usr-457", "idempotency_key": payment.idempotency_key}]

    answer = await http.post("/admin/answers", json={"keys": keys}, headers=by("auditor"))

    assert answer.json() == {"answers": [{**keys[0], "body": payment.answer_body}]}


async def checked(http):
    return (await http.get("/admin/check?unfinished_after_s=0", headers=by("auditor"))).json()


async def test_a_sound_ledger_has_no_violations(http, world):
    await confirmed(world)

    found = await checked(http)

    assert found["violations"] == []
    assert len(found["unfinished"]) == 1
    assert (found["parked"], found["dead_letters"]) == (0, 0)


@pytest.mark.parametrize(
    ("statement", "details"),
    [
        ("update entry set amount_minor = 1 where amount_minor > 1", "does not sum to zero"),
        ("update account set balance_minor = 7 where id = 'acc-1'", "a balance differs"),
        ("update payment set settlement_status = 'SETTLED'", "in-flight differs"),
        ("delete from journal where kind = 'HOLD'", "journals do not fit"),
        ("update journal set kind = 'SETTLE' where kind = 'HOLD'", "journals do not fit"),
    ],
)
async def test_the_check_finds_inconsistent_tables(http, world, statement, details):
    await confirmed(world)
    await world.plant(statement)

    found = await checked(http)

    assert any(details in one["details"] for one in found["violations"]), found
    assert {one["invariant"] for one in found["violations"]} == {"I3"}


async def test_the_check_finds_payments_confirmed_without_a_score(http, world):
    await confirmed(world)
    rule = "payment_check3"
    (written,) = await world.rows(
        "select pg_get_constraintdef(oid) as rule from pg_constraint where conname = %(rule)s",
        rule=rule,
    )
    assert "risk_score IS NOT NULL" in written["rule"]
    await world.plant(f"alter table payment drop constraint {rule}")
    try:
        await world.plant("update payment set risk_score = null")
        found = await checked(http)
    finally:
        await world.clear()
        await world.plant(f"alter table payment add constraint {rule} {written['rule']}")

    assert [one["invariant"] for one in found["violations"]] == ["I12"]
