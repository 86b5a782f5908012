"""Settings, the wiring, and the operator routes."""

import base64
import json
from datetime import date
from uuid import UUID

import jwt
import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from settlement_builders import NOW, instruction, requested

from payment_schemas.money import Money
from service_runtime.keys import KeyRing
from service_runtime.paging import START
from service_runtime.sealing import sign
from service_runtime.settings import load
from service_runtime.web import create_app
from settlement.app import build
from settlement.domain import Policy
from settlement.domain.reconciliation import Finding, case_of
from settlement.domain.statements import StatementEntry
from settlement.routes import CaseOperations, case_routes, key_routes, routes
from settlement.settings import Settings
from testkit.operators import actor, operators, signed_in

FIRST = UUID(int=0)
SECRETS = {"first-bank": "a", "north-bank": "b", "south-bank": "c"}
OPS = signed_in("ops.read", "ops.write", "cases.propose")


@pytest.fixture
def environment(tmp_path, monkeypatch):
    def write(name, text):
        path = tmp_path / name
        path.write_text(text)
        monkeypatch.setenv(name, str(path))

    for name, value in {
        "PROFILE": "dev",
        "PORT": "3013",
        "KAFKA_BOOTSTRAP_SERVERS": "localhost:1",
        "DATABASE_URL": "postgresql://settlement@localhost:1/countersign",
        "PARTNER_BANK_URL": "http://localhost:1",
    }.items():
        monkeypatch.setenv(name, value)
    write("DATABASE_PASSWORD_FILE", "x")
    write("PARTNER_CREDENTIALS_FILE", json.dumps(SECRETS))
    write("PARTNER_SIGNING_KEYS_FILE", base64.b64encode(b"s" * 32).decode())
    write("MAC_CONFIRM_SETTLEMENT_FILE", base64.b64encode(bytes(32)).decode())
    return write


async def test_each_partner_has_its_own_workers(environment):
    process = build(load(Settings))
    # The consumer, a send and an enquire worker for each of three partners, the publisher, relay,
    # offsets, purge and five schedules.
    assert len(process.loops) == 1 + 3 + 3 + 1 + 3 + 5
    paths = set(process.app.openapi()["paths"])
    assert {"/admin/instructions", "/admin/instructions/export", "/admin/check"} <= paths


async def test_the_public_keys_of_our_signatures_are_open_to_all():
    ring = KeyRing(b"n" * 32, b"s" * 32)
    app = FastAPI()
    app.include_router(key_routes(ring))
    async with AsyncClient(transport=ASGITransport(app), base_url="http://settlement") as http:
        published = (await http.get("/.well-known/partner-jwks.json")).json()["keys"]
    assert [one["kid"] for one in published] == [key.id for key in ring]
    verifier = jwt.PyJWK(published[1]).key
    key_id, _, signature = sign(KeyRing(b"s" * 32), b"message").partition(".")
    verifier.verify(base64.urlsafe_b64decode(signature), b"message")
    assert key_id == published[1]["kid"]
    assert not any("d" in one for one in published)


@pytest.mark.parametrize(
    "fault",
    [
        ("PARTNER_BANK_URL", "bank.example"),
        ("PARTNER_TIMEOUT_S", "30"),
        ("PARTNER_CONCURRENCY", "0"),
        ("PARTNER_ROUTES", '{"x-": "No Bank"}'),
        ("DEFAULT_PARTNER", "../other"),
        ("ENQUIRY_FIRST_S", "0"),
        ("RECONCILE_EVERY_S", "0"),
        ("PARTNER_PROFILES", '{"first-bank": {"idempotnt": false}}'),
        ("PARTNER_PROFILES", '{"first-bank": {"in_flight_s": 0}}'),
        ("PARTNER_PROFILES", '{"first-bank": {"batch_rows": 101}}'),
        ("PARTNER_PROFILES", '{"no-bank": {}}'),
    ],
)
async def test_an_invalid_setting_stops_the_start(environment, monkeypatch, capsys, fault):
    name, value = fault
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        load(Settings)
    assert name in capsys.readouterr().err


async def test_a_partners_profile_overrides_the_common_settings(environment, monkeypatch):
    profile = {"idempotent": False, "in_flight_s": 90, "enquiry_first_s": 5, "concurrency": 1}
    monkeypatch.setenv("PARTNER_PROFILES", json.dumps({"north-bank": profile}))
    settings = load(Settings)
    assert settings.policy("north-bank") == Policy(
        first_s=5, most_s=30, is_idempotent=False, in_flight_s=90
    )
    assert (settings.concurrency("north-bank"), settings.concurrency("first-bank")) == (1, 2)
    assert settings.policy("first-bank") == Policy()


@pytest.mark.parametrize("text", ["not json", "[]", '{"first-bank": 7}', '{"first-bank": "a"}'])
async def test_every_partner_needs_a_secret(environment, capsys, text):
    environment("PARTNER_CREDENTIALS_FILE", text)
    with pytest.raises(SystemExit):
        load(Settings)
    assert "PARTNER_CREDENTIALS_FILE" in capsys.readouterr().err


@pytest.fixture
async def client(postgres_world):
    trusted = operators()
    app: FastAPI = create_app("settlement", {}, postgres_world.clock)
    app.include_router(routes(postgres_world.database, trusted))
    operations = CaseOperations(
        postgres_world.database,
        postgres_world.cases,
        postgres_world.reconciliation(),
        postgres_world.resolutions().resolve,
    )
    app.include_router(case_routes(operations, trusted))
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        yield client


@pytest.mark.parametrize(
    "path",
    [
        "instructions",
        "instructions/export",
        "instructions/open",
        "instructions/search",
        "check",
        "cases",
    ],
)
@pytest.mark.stack
async def test_reading_needs_a_credential(client, path):
    assert (await client.get(f"/admin/{path}")).status_code == 401


@pytest.mark.stack
async def test_an_operator_finds_an_instruction_by_payment_or_uetr(client, postgres_world):
    await postgres_world.request(requested())
    for query in (f"payment_id={instruction().payment_id}", f"uetr={instruction().uetr}"):
        found = await client.get(f"/admin/instructions?{query}", headers=OPS)
        (row,) = found.json()["instructions"]
        assert (row["status"], row["uetr"]) == ("QUEUED", str(instruction().uetr))


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("instructions", "payment_id"),
        ("instructions?payment_id=1", "payment_id"),
        ("instructions?uetr=x", "uetr"),
        ("instructions/search", "partner"),
        ("instructions/search?partner=NOBODY!", "partner"),
        ("instructions/search?partner=first-bank&after=x", "after"),
        ("instructions/export?limit=1001", "limit"),
        ("instructions/export?after=x", "after"),
    ],
)
@pytest.mark.stack
async def test_an_invalid_query_is_refused_with_the_name_of_the_field(client, path, field):
    response = await client.get(f"/admin/{path}", headers=OPS)
    assert response.status_code == 400
    assert response.json()["error"] == f"Invalid field: {field}"


@pytest.mark.stack
async def test_an_export_lists_all_instructions(client, postgres_world):
    await postgres_world.request(requested(1), requested(2))
    found = await client.get("/admin/instructions/export?limit=1", headers=OPS)
    (row,) = found.json()["instructions"]
    rest = await client.get(f"/admin/instructions/export?after={row['payment_id']}", headers=OPS)
    assert len(rest.json()["instructions"]) == 1


@pytest.mark.stack
async def test_what_is_open_is_counted_and_found_by_partner_the_oldest_first(
    client, postgres_world
):
    await postgres_world.request(requested(1), requested(2), requested(3))
    counted = (await client.get("/admin/instructions/open", headers=OPS)).json()
    (row,) = counted["open"]
    assert (row["status"], row["instructions"], row["parked"]) == ("QUEUED", 3, 0)
    path = f"/admin/instructions/search?partner={row['partner']}&limit=2"
    first = (await client.get(path, headers=OPS)).json()
    rest = (await client.get(f"{path}&after={first['next']}", headers=OPS)).json()
    found = [*first["instructions"], *rest["instructions"]]
    assert len({one["payment_id"] for one in found}) == 3
    assert found[0]["created_at"] == row["oldest_at"]
    assert rest["next"] is None
    other = await client.get("/admin/instructions/search?partner=no-bank", headers=OPS)
    assert other.json()["instructions"] == []


@pytest.mark.stack
async def test_an_instruction_comes_with_the_unresolved_cases_about_it(client, postgres_world):
    await postgres_world.request(requested(1), requested(2))
    case = case_of(instruction(1), Finding.OUTCOME_UNKNOWN, date(2026, 11, 30), "unknown")
    async with postgres_world.database.transaction() as tx:
        await postgres_world.cases(tx).open([case])
    for number, expected in ((1, [str(case.id)]), (2, [])):
        path = f"/admin/instructions?payment_id={requested(number).payment_id}"
        found = (await client.get(path, headers=OPS)).json()
        assert [one["id"] for one in found["cases"]] == expected


@pytest.mark.stack
async def test_the_check_returns_its_four_parts(client, postgres_world):
    await postgres_world.request(requested())
    found = (await client.get("/admin/check", headers=OPS)).json()
    assert found["violations"] == []
    assert found["unfinished"][0]["payment_id"] == str(instruction().payment_id)
    assert (found["parked"], found["dead_letters"]) == (0, 0)


RECONCILE = {"partner": "first-bank", "date": "2026-03-02"}
RESOLVE = {"resolution": "EXPLAINED", "note": "a test's transfer"}
UNKNOWN_ENTRY = StatementEntry(instruction(77).uetr, Money(1, "USD"))


@pytest.mark.stack
async def test_a_break_is_found_read_and_explained_over_http(client, postgres_world):
    postgres_world.bank.statements[NOW.date()] = [UNKNOWN_ENTRY]
    report = (await client.post("/admin/reconciliations", json=RECONCILE, headers=OPS)).json()
    assert (report["missing_here"], report["cases_opened"]) == (1, 1)
    (listed,) = (await client.get("/admin/cases", headers=OPS)).json()["cases"]
    assert listed["id"] == report["breaks"][0]["case_id"]
    path = f"/admin/cases/{listed['id']}"
    booking = {"day": NOW.date().isoformat(), "amount_minor": 1, "currency": "USD"}
    unknown = {"is_reversal": False, "bank_reference": None, "booked_at": None}
    sides = {"instruction": None, "bookings": [booking | unknown]}
    assert (await client.get(path, headers=OPS)).json() == listed | sides
    money = {**RESOLVE, "resolution": "SETTLE"}
    refused = await client.post(f"{path}/resolve", json=money, headers=OPS)
    assert (refused.status_code, refused.json()["error"]) == (409, "Not resolved")
    done = await client.post(f"{path}/resolve", json=RESOLVE, headers=OPS)
    assert (done.status_code, done.json()["status"]) == (200, "RESOLVED")
    assert (await client.get("/admin/cases", headers=OPS)).json() == {"cases": []}
    kept = (await client.get("/admin/cases?status=RESOLVED", headers=OPS)).json()["cases"]
    assert [(row["note"], row["resolved_by"]) for row in kept] == [("a test's transfer", actor())]


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("reconciliations", {**RECONCILE, "partner": "no-bank"}, "partner"),
        ("reconciliations", {**RECONCILE, "date": "today"}, "date"),
        ("reconciliations", {**RECONCILE, "days": 2}, "days"),
        (f"cases/{START}/resolve", {**RESOLVE, "resolution": "FLIP"}, "resolution"),
        (f"cases/{START}/resolve", {**RESOLVE, "actor": "bob"}, "actor"),
        ("reconciliations", {**RECONCILE, "date": "9999-12-31"}, "date"),
        ("reconciliations", {**RECONCILE, "date": "0001-01-01"}, "date"),
        (f"cases/{START}/resolve", {**RESOLVE, "note": "x" * 501}, "note"),
        (f"cases/{START}/resolve", {**RESOLVE, "note": "a\x00"}, "note"),
        ("cases/7/resolve", RESOLVE, "case_id"),
    ],
)
@pytest.mark.stack
async def test_an_invalid_body_is_refused_with_the_name_of_the_field(client, path, body, field):
    response = await client.post(f"/admin/{path}", json=body, headers=OPS)
    assert (response.status_code, response.json()["error"]) == (400, f"Invalid field: {field}")


@pytest.mark.stack
async def test_a_caller_with_read_scope_cannot_change_anything(client):
    reader = signed_in("ops.read")
    for path, body in (("reconciliations", RECONCILE), (f"cases/{START}/resolve", RESOLVE)):
        assert (await client.post(f"/admin/{path}", json=body, headers=reader)).status_code == 403
    assert (await client.get("/admin/cases", headers=reader)).status_code == 200


@pytest.mark.stack
async def test_the_second_persons_route_needs_its_own_scope(client):
    path = f"/admin/cases/{START}/approve"
    assert (await client.post(path, json=RESOLVE, headers=OPS)).status_code == 403
    second = signed_in("cases.approve", name="bob")
    assert (await client.post(path, json=RESOLVE, headers=second)).status_code == 409


@pytest.mark.stack
async def test_an_unknown_case_is_reported_as_unknown(client):
    for response in (
        await client.get(f"/admin/cases/{START}", headers=OPS),
        await client.post(f"/admin/cases/{START}/resolve", json=RESOLVE, headers=OPS),
    ):
        assert (response.status_code, response.json()["error"]) == (409, f"Unknown case: {START}")


@pytest.mark.stack
async def test_reconciling_with_a_bank_that_is_down_is_503(client, postgres_world):
    postgres_world.bank.is_down = True
    response = await client.post("/admin/reconciliations", json=RECONCILE, headers=OPS)
    assert response.status_code == 503
