"""Confirm's HTTP routes for the gateway and for operators, with the check."""

import asyncio
import hashlib
import json
from contextlib import nullcontext
from dataclasses import asdict, replace

import httpx
import psycopg
import pytest
from confirm_builders import assessed, first_request
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from confirm.domain.opening import Opening
from confirm.routes import OPEN, Access, open_approved, routes
from confirm.store.records import PaymentQueries
from service_runtime import proposals
from service_runtime.credentials import Credentials
from service_runtime.http_unit import HttpUnitOfWork
from service_runtime.web import create_app
from testkit.operators import actor, approval_of, operators, signed_in
from testkit.operators import approve as operators_approve

pytestmark = pytest.mark.stack
SCOPES = {
    "auditor": ["ops.read"],
    "opener": ["ops.read", "accounts.open"],
    "second": ["ops.read", "accounts.open"],
}
CREDENTIALS = Credentials(
    json.dumps(
        {
            "gateway": {
                "sha256": hashlib.sha256(b"gateway").hexdigest(),
                "scopes": ["payment.read"],
            }
        }
    )
)
ACCESS = Access(CREDENTIALS, operators())
ORDER = {"name": "acc-9", "owner": "usr-9", "balance_minor": 100}


@pytest.fixture
async def world(postgres_world):
    await postgres_world.open_account("acc-1", "usr-456", 1_000_000)
    return postgres_world


@pytest.fixture
async def http(world):
    app = create_app("confirm", {}, world.clock)
    requests = HttpUnitOfWork(world.unit, "confirm", world.clock)
    app.include_router(routes(world.database, requests, ACCESS, {"USD", "EUR", "JPY"}, world.clock))
    acts = {OPEN: open_approved}
    app.include_router(
        proposals.routes(proposals.Acts(acts, "accounts.open"), requests, ACCESS.operators)
    )
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://confirm") as client:
        yield client


def by(name):
    if name in SCOPES:
        return signed_in(*SCOPES[name], name=name)
    return {"Authorization": f"Bearer {name}"}


async def opened(http, order):
    """Propose an opening, and approve it as a second person."""
    answer = await http.post("/admin/accounts", json=order, headers=by("opener"))
    if answer.status_code != 202:
        return answer
    return await approve(http, answer.json(), by("second"))


async def approve(http, proposed, headers, **changed):
    request = approval_of(proposed | changed)
    return await http.post(**request, headers=headers)


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

    assert answer.status_code == (403 if caller == "auditor" else 401)
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
        "sequence": payment.sequence,
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

    first = (await opened(http, many)).json()
    again = (await opened(http, {**many, "count": 4})).json()
    same = await http.post("/admin/accounts", json=many, headers=by("opener"))

    assert (first["opened"], first["existing"]) == (3, 0)
    assert (again["opened"], again["existing"]) == (1, 3)
    assert (same.status_code, same.json()) == (200, {"opened": 0, "existing": 3})
    listed = await http.get("/admin/accounts?prefix=load-", headers=by("auditor"))
    assert [one["balance_minor"] for one in listed.json()["accounts"]] == [100] * 4
    assert (await world.balances())["equity:opening:USD"] == -1_000_400


@pytest.mark.parametrize("other", [{"owner": "usr-10"}, {"currency": "EUR"}])
async def test_an_account_of_another_owner_or_currency_is_409_and_nothing_is_opened(
    http, world, other
):
    await opened(http, {**ORDER, "name": "load-0002"})
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
    await opened(http, ORDER)
    await world.plant(
        "update account set balance_minor = -9223372036854775800 where id like 'equity:%'"
    )

    answer = await opened(http, {**ORDER, "name": "acc-10"})

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
        ("update transfer set amount_minor = 1 where kind = 'HOLD'", "a balance differs"),
        ("update account set balance_minor = 7 where id = 'acc-1'", "a balance differs"),
        ("update payment_state set settlement_status = 'SETTLED'", "in-flight differs"),
        ("delete from transfer where kind = 'HOLD'", "transfers do not fit"),
        ("update transfer set kind = 'SETTLE' where kind = 'HOLD'", "transfers do not fit"),
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
    rule = "a_confirmed_payment_is_scored"
    (written,) = await world.rows(
        "select pg_get_constraintdef(oid) as rule from pg_constraint where conname = %(rule)s",
        rule=rule,
    )
    assert "risk_score IS NOT NULL" in written["rule"]
    await world.plant(f"alter table payment_state drop constraint {rule}")
    try:
        await world.plant("update payment_state set risk_score = null")
        found = await checked(http)
    finally:
        await world.clear()
        await world.plant(f"alter table payment_state add constraint {rule} {written['rule']}")

    assert [one["invariant"] for one in found["violations"]] == ["I12"]


async def audited(world):
    """The acts in the outbox's records, in order."""
    records = world.broker.topics["audit.recorded.v1"]
    return [(one["action"], one["actor"]) for one in map(json.loads, (r.value for r in records))]


async def test_one_person_opens_no_money_by_whatever_token(http, world):
    before = await world.balances()
    proposed = await http.post("/admin/accounts", json=ORDER, headers=by("opener"))

    for name in ("opener", "Opener", "OPENER"):
        again = await approve(http, proposed.json(), signed_in("accounts.open", name=name))
        assert (again.status_code, again.json()["error"]) == (409, "Not approved")
    other = await approve(http, proposed.json(), signed_in("contacts.write", name="second"))

    assert (proposed.status_code, other.status_code) == (202, 403)
    assert await world.balances() == before
    assert await audited(world) == [("ACCOUNTS_OPEN_PROPOSED", actor("opener"))]


async def test_an_opening_without_money_needs_one_person_and_is_audited(http, world):
    answer = await http.post(
        "/admin/accounts", json={**ORDER, "balance_minor": 0}, headers=by("opener")
    )
    assert answer.json() == {"opened": 1, "existing": 0}
    assert await audited(world) == [("ACCOUNTS_OPENED", actor("opener"))]


async def test_of_ten_approvals_at_once_one_has_an_effect(http, world):
    proposed = (await http.post("/admin/accounts", json=ORDER, headers=by("opener"))).json()
    people = [signed_in("accounts.open", name=f"p{n}") for n in range(10)]

    answers = await asyncio.gather(*(approve(http, proposed, person) for person in people))

    assert sorted(one.status_code for one in answers) == [200, *[409] * 9]
    assert (await world.balances())["acc-9"] == 100
    assert len([one for one in await audited(world) if one[0] == "ACCOUNTS_OPEN_APPROVED"]) == 1


async def test_a_proposal_ends_after_a_day(http, world):
    proposed = (await http.post("/admin/accounts", json=ORDER, headers=by("opener"))).json()
    await world.plant("update proposal set expires_at = now()")
    answer = await approve(http, proposed, by("second"))
    assert (answer.status_code, "expired" in answer.json()["details"]) == (409, True)
    listed = await http.get("/admin/proposals", headers=by("auditor"))
    assert listed.json() == {"proposals": []}


async def test_a_proposal_is_listed_without_and_shown_with_its_content(http, world):
    proposed = (await http.post("/admin/accounts", json=ORDER, headers=by("opener"))).json()
    (listed,) = (await http.get("/admin/proposals", headers=by("auditor"))).json()["proposals"]
    shown = await http.get(f"/admin/proposals/{proposed['proposal']}", headers=by("auditor"))
    assert listed == proposed
    assert shown.json()["body"]["balance_minor"] == 100
    assert (await audited(world))[-1] == ("ACCOUNTS_OPEN_READ", actor("auditor"))


FORGED = """
    insert into transfer (source_id, kind, debit_account, credit_account, amount_minor, currency)
    values (gen_random_uuid(), 'OPEN', 'equity:opening:USD', 'acc-1', 1, 'USD')"""


@pytest.mark.parametrize(
    ("statement", "refused"),
    [
        pytest.param(FORGED, "ACCOUNTS_OPEN needs the approval", id="an opening without approval"),
        pytest.param("update proposal set body = '{}'", "permission denied", id="other content"),
        pytest.param("update approval set act = 'X'", "permission denied", id="another act"),
        pytest.param(
            "insert into approval (proposal_id, act, proposed_by, expires_at, digest, approved_by)"
            " select id, act, proposed_by, expires_at, digest, upper(proposed_by) from proposal"
            " where proposed_by <> 'alice'",
            "approved_by_a_second_person",
            id="the same person in capitals",
        ),
        pytest.param(
            "insert into approval (proposal_id, act, proposed_by, expires_at, digest, approved_by)"
            " select id, act, 'somebody', expires_at, digest, proposed_by from proposal"
            " where proposed_by <> 'alice'",
            "foreign key",
            id="another proposer",
        ),
        pytest.param(
            "insert into approval (proposal_id, act, proposed_by, expires_at, digest, approved_by)"
            " select id, act, proposed_by, expires_at, sha256('other'), 'x' from proposal"
            " where proposed_by <> 'alice'",
            "approval_of_this_content",
            id="another content's digest",
        ),
        pytest.param(
            "insert into proposal (id, act, about, body, proposed_by, digest)"
            " values (gen_random_uuid(), 'X', 'x', '{}', 'x', '')",
            "permission denied",
            id="a digest of its own",
        ),
        pytest.param(
            "insert into approval (proposal_id, act, proposed_by, expires_at, approved_by,"
            " approved_in) select id, act, proposed_by, expires_at, 'x', '1' from proposal",
            "permission denied",
            id="another transaction",
        ),
    ],
)
async def test_the_database_refuses_what_two_people_have_not_done(http, world, statement, refused):
    await http.post("/admin/accounts", json=ORDER, headers=by("opener"))
    with pytest.raises(psycopg.Error, match=refused):
        await world.rows(statement)


@pytest.mark.parametrize("digest", ["0" * 64, "", "x" * 64])
async def test_an_approval_of_another_content_is_refused(http, world, digest):
    proposed = (await http.post("/admin/accounts", json=ORDER, headers=by("opener"))).json()
    answer = await approve(http, proposed, by("second"), digest=digest)
    assert answer.status_code == (409 if digest.isdigit() else 400)
    assert "digest" in answer.text
    assert "acc-9" not in await world.balances()


APPROVED = Opening("acc-7", "usr-7", 100, "USD")
NUMBERED = replace(APPROVED, count=2, first=9999)


@pytest.mark.parametrize(
    ("written", "approved", "admitted"),
    [
        pytest.param(APPROVED, APPROVED, True, id="what was approved"),
        pytest.param(NUMBERED, NUMBERED, True, id="every numbered account"),
        pytest.param(replace(APPROVED, balance_minor=101), APPROVED, False, id="another amount"),
        pytest.param(replace(APPROVED, currency="EUR"), APPROVED, False, id="another currency"),
        pytest.param(replace(APPROVED, owner="usr-8"), APPROVED, False, id="another owner"),
        pytest.param(replace(APPROVED, name="acc-70"), APPROVED, False, id="another account"),
        pytest.param(replace(NUMBERED, count=3), NUMBERED, False, id="one account more"),
        pytest.param(replace(NUMBERED, first=9998), NUMBERED, False, id="a lower number"),
        pytest.param(APPROVED, NUMBERED, False, id="an account without a number"),
    ],
)
async def test_the_database_opens_exactly_what_two_people_have_approved(
    world, written, approved, admitted
):
    refused = pytest.raises(psycopg.errors.RaiseException, match="for what is written")
    with nullcontext() if admitted else refused:
        async with world.database.transaction() as tx:
            await operators_approve(tx, OPEN, asdict(approved))
            await PaymentQueries(tx).open_accounts(written)


async def test_without_its_audit_row_an_approval_has_no_effect(http, world):
    proposed = (await http.post("/admin/accounts", json=ORDER, headers=by("opener"))).json()
    await world.plant("revoke insert on outbox from confirm")
    try:
        broken = await approve(http, proposed, by("second"))
    finally:
        await world.plant("grant insert on outbox to confirm")
    assert broken.status_code == 503
    assert "acc-9" not in await world.balances()
    assert (await approve(http, proposed, by("second"))).status_code == 200
    assert (await world.balances())["acc-9"] == 100
