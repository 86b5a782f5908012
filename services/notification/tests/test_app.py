"""Settings at start, the wiring, and the admin routes."""

import asyncio
import base64
import hashlib
import json
from contextlib import nullcontext
from dataclasses import replace
from functools import partial

import psycopg
import pytest
from httpx import ASGITransport, AsyncClient

from notification.app import build
from notification.domain import Contact
from notification.routes import CHANGE, change_approved, change_shown, routes
from notification.settings import Settings
from notification.store import PostgresContacts
from payment_schemas.events.confirmation import PaymentConfirmed
from payment_schemas.sealed import Personal
from service_runtime import proposals
from service_runtime.credentials import Credentials
from service_runtime.http_unit import HttpUnitOfWork
from service_runtime.messages import Cause
from service_runtime.settings import load
from service_runtime.web import create_app
from testkit.events import PAYMENT, event_of
from testkit.operators import approval_of, operators, signed_in
from testkit.operators import approve as operators_approve

OTP = {"Authorization": "Bearer otp"}
READ = signed_in("ops.read")
WRITE = signed_in("contacts.write")
ONE = {"user_id": "usr-500", "phone": "+15550100500", "email": "usr-500@example.com"}


@pytest.fixture
def environment(tmp_path, monkeypatch):
    values = {
        "PROFILE": "dev",
        "PORT": "3014",
        "KAFKA_BOOTSTRAP_SERVERS": "localhost:1",
        "DATABASE_URL": "postgresql://notification@localhost:1/countersign",
        "TWILIO_URL": "http://localhost:1",
        "SENDGRID_URL": "http://localhost:1",
        "SUBJECT_KEY_FOLDER": str(tmp_path / "keys"),
    }
    files = {
        "DATABASE_PASSWORD_FILE": "x",
        "TWILIO_AUTH_TOKEN_FILE": "t",
        "SENDGRID_API_KEY_FILE": "s",
        **dict.fromkeys(
            (
                "NOTIFICATION_SEALING_KEY_FILE",
                "MAC_COMPLIANCE_NOTIFICATION_FILE",
                "SUBJECT_WRAPPING_KEY_FILE",
            ),
            base64.b64encode(bytes(32)).decode(),
        ),
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
        values[name] = str(tmp_path / name)
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


async def test_notification_has_one_worker_per_channel(environment):
    process = build(load(Settings))
    # The consumer, text messages, mails, the relay, the offsets at the broker, old proposals, keys.
    assert len(process.loops) == 1 + 2 + 3 + 3
    assert {"/admin/deliveries", "/admin/contacts", "/admin/check"} <= set(
        process.app.openapi()["paths"]
    )


@pytest.mark.parametrize(
    "fault",
    [
        ("TWILIO_URL", "twilio"),
        ("SENDGRID_URL", ""),
        ("TWILIO_ACCOUNT_SID", "me"),
        ("TWILIO_FROM", "15550100"),
        ("SENDGRID_FROM", "nobody"),
        ("PROVIDER_THREADS", "1000"),
        ("PROVIDER_TIMEOUT_S", "10"),
        ("NOTIFICATION_SEALING_KEY_FILE", "/nowhere"),
        ("SUBJECT_KEY_FOLDER", ""),
    ],
)
async def test_an_invalid_setting_stops_the_start_and_is_named(environment, capsys, fault):
    environment.setenv(*fault)
    with pytest.raises(SystemExit):
        load(Settings)
    assert fault[0] in capsys.readouterr().err


async def test_production_requires_a_twilio_account(environment, capsys):
    environment.setenv("PROFILE", "prod")
    with pytest.raises(SystemExit):
        load(Settings)
    assert "TWILIO_ACCOUNT_SID" in capsys.readouterr().err
    environment.setenv("TWILIO_ACCOUNT_SID", "AC" + "1" * 32)
    assert Settings().profile == "prod"


@pytest.fixture
async def client(postgres_world):
    def entry(secret, *scopes):
        return {"sha256": hashlib.sha256(secret.encode()).hexdigest(), "scopes": scopes}

    otp = Credentials(json.dumps({"otp": entry("otp", "contacts.query")}))
    app = create_app("notification", {}, postgres_world.clock)
    requests = HttpUnitOfWork(postgres_world.unit, "notification", postgres_world.clock)
    vault = replace(postgres_world.vault, clock=postgres_world.clock)
    acts = {CHANGE: partial(change_approved, vault=vault)}
    shown = {CHANGE: partial(change_shown, vault=vault)}
    wanted = proposals.Acts(acts, "contacts.write", {}, shown)
    app.include_router(proposals.routes(wanted, requests, operators()))
    app.include_router(routes(postgres_world.database, requests, otp, operators(), vault))
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        yield client


@pytest.mark.stack
async def test_each_route_needs_its_scope(client):
    assert (await client.get("/admin/check", headers=WRITE)).status_code == 403
    assert (await client.get(f"/admin/deliveries?payment_id={PAYMENT}")).status_code == 401
    body = {"contacts": [ONE]}
    assert (await client.post("/admin/contacts", json=body, headers=READ)).status_code == 403


@pytest.mark.stack
async def test_otp_reads_whether_users_can_receive_a_code_and_no_contact(client, postgres_world):
    await postgres_world.put_contacts()
    users = {"user_ids": ["usr-456", "usr-unknown"]}
    found = await client.post("/admin/contacts:query", json=users, headers=OTP)
    assert found.json() == {
        "results": [
            {"user_id": "usr-456", "can_receive_code": True},
            {"user_id": "usr-unknown", "can_receive_code": False},
        ]
    }
    refused = await client.post("/admin/contacts:query", json=users, headers=READ)
    assert refused.status_code == 401
    many = {"user_ids": ["usr-1"] * 1001}
    assert (await client.post("/admin/contacts:query", json=many, headers=OTP)).status_code == 400


@pytest.mark.stack
async def test_a_stored_contact_receives_messages(client, postgres_world):
    found = await client.post("/admin/contacts", json={"contacts": [ONE]}, headers=WRITE)
    assert found.json() == {"contacts": 1}
    await postgres_world.add_outcomes(event_of(PaymentConfirmed, user_id="usr-500"))
    await postgres_world.deliver("email")
    (message,) = postgres_world.mails.kept.values()
    assert message.to.reveal() == "usr-500@example.com"


@pytest.mark.parametrize(
    ("contacts", "field"),
    [
        ([], "contacts"),
        ([ONE] * 1001, "contacts"),
        ([{**ONE, "phone": "555-canary"}], "contacts.0.phone"),
        ([{**ONE, "email": "canary"}], "contacts.0.email"),
        ([{**ONE, "email": "canary\x00@x"}], "contacts.0.email"),
        ([{**ONE, "user_id": "canary\x00"}], "contacts.0.user_id"),
        ([{**ONE, "user_id": "4111 1111 1111 1111"}], "contacts.0.user_id"),
        ([{**ONE, "user_id": ""}], "contacts.0.user_id"),
        ([{**ONE, "name": "canary"}], "contacts.0.name"),
        ([{"user_id": "usr-1", "phone": "+15550100500"}], "contacts.0.email"),
    ],
)
@pytest.mark.stack
async def test_an_invalid_contact_is_refused_without_its_value(client, contacts, field):
    found = await client.post("/admin/contacts", json={"contacts": contacts}, headers=WRITE)
    assert found.status_code == 400
    assert found.json()["error"] == f"Invalid field: {field}"
    assert "canary" not in found.text


@pytest.mark.stack
async def test_operators_see_the_status_of_a_payments_messages(client, postgres_world):
    await postgres_world.put_contacts()
    await postgres_world.add_outcomes(event_of(PaymentConfirmed))
    await postgres_world.deliver("email")
    found = await client.get(f"/admin/deliveries?payment_id={PAYMENT}", headers=READ)
    (row,) = found.json()["deliveries"]
    assert (row["channel"], row["status"]) == ("email", "DELIVERED")
    assert "usr-456@example.com" not in found.text
    check = (await client.get("/admin/check", headers=READ)).json()
    assert check.pop("outbox_oldest_s") < 60
    assert check == {"violations": [], "unfinished": [], "parked": 0, "dead_letters": 0}


@pytest.mark.stack
async def test_an_invalid_payment_id_is_refused_by_field_name(client):
    found = await client.get("/admin/deliveries?payment_id=1", headers=READ)
    assert (found.status_code, found.json()["error"]) == (400, "Invalid field: payment_id")


async def approve(client, answered, headers):
    return await client.post(**approval_of(answered.json()), headers=headers)


@pytest.mark.stack
async def test_a_changed_contact_needs_a_second_person_and_a_first_one_does_not(
    client, postgres_world
):
    first = await client.post("/admin/contacts", json={"contacts": [ONE]}, headers=WRITE)
    same = await client.post("/admin/contacts", json={"contacts": [ONE]}, headers=WRITE)
    other = {**ONE, "phone": "+15550100999"}
    changed = await client.post("/admin/contacts", json={"contacts": [other]}, headers=WRITE)
    assert (first.status_code, same.status_code, changed.status_code) == (200, 200, 202)
    assert "+15550100999" not in changed.text
    assert (await approve(client, changed, WRITE)).status_code == 409
    found = await postgres_world.contacts(["usr-500"])
    assert found["usr-500"].phone.reveal() == ONE["phone"]
    second = signed_in("contacts.write", name="bob")
    assert (await approve(client, changed, second)).json()["contacts"] == 1
    found = await postgres_world.contacts(["usr-500"])
    assert found["usr-500"].phone.reveal() == "+15550100999"
    query = {"user_ids": ["usr-500"]}
    answer = await client.post("/admin/contacts:query", json=query, headers=OTP)
    assert answer.json()["results"] == [{"user_id": "usr-500", "can_receive_code": False}]
    assert sorted(await postgres_world.addresses()) == [ONE["phone"], ONE["email"]]


@pytest.mark.stack
async def test_a_changed_contact_of_before_is_sealed_pauses_codes_and_notifies(
    client, postgres_world
):
    await postgres_world.execute(
        "insert into contact (user_id, phone, email)"
        " values ('usr-500', '+15550100500', 'usr-500@example.com')"
    )
    same = await client.post("/admin/contacts", json={"contacts": [ONE]}, headers=WRITE)
    other = {**ONE, "phone": "+15550100999"}
    changed = await client.post("/admin/contacts", json={"contacts": [other]}, headers=WRITE)
    assert (same.status_code, changed.status_code) == (200, 202)
    path = f"/admin/proposals/{changed.json()['proposal']}"
    shown = await client.get(path, headers=signed_in("ops.read", name="bob"))
    assert shown.json()["body"] == {"contacts": [other]}
    second = signed_in("contacts.write", name="bob")
    assert (await approve(client, changed, second)).json()["contacts"] == 1
    found = (await postgres_world.contacts(["usr-500"]))["usr-500"]
    assert (found.phone.reveal(), found.is_paused) == ("+15550100999", True)
    assert sorted(await postgres_world.addresses()) == [ONE["phone"], ONE["email"]]
    async with postgres_world.database.transaction() as tx:
        (stored,) = await tx.rows("select body::text from proposal")
        (row,) = await tx.rows("select phone, email from contact")
    assert "0100999" not in stored["body"]
    assert row == {"phone": None, "email": None}


@pytest.mark.stack
async def test_what_an_older_version_has_proposed_is_proposed_again(client, postgres_world):
    await client.post("/admin/contacts", json={"contacts": [ONE]}, headers=WRITE)
    draft = proposals.Draft(CHANGE, "1 contacts", {"contacts": [ONE | {"phone": "+15550100999"}]})
    async with postgres_world.database.transaction() as tx:
        reply = await proposals.propose(tx, Cause(postgres_world.clock.new_id()), draft, "alice")
    named = {"proposal": str(reply.body["proposal"]), "digest": reply.body["digest"]}
    second = signed_in("contacts.write", name="bob")
    refused = await client.post(**approval_of(named), headers=second)
    assert (refused.status_code, refused.json()["error"]) == (409, "Not approved")


@pytest.mark.stack
async def test_the_database_changes_no_contact_without_a_second_person(client, postgres_world):
    await client.post("/admin/contacts", json={"contacts": [ONE]}, headers=WRITE)
    with pytest.raises(psycopg.errors.RaiseException, match="CONTACTS_CHANGE needs the approval"):
        async with postgres_world.database.transaction() as tx:
            await tx.rows("update contact set sealed = '\\x00' returning 1")


@pytest.mark.stack
@pytest.mark.parametrize(
    ("statement", "admitted"),
    [
        ("update contact set key_id = %(key_id)s, sealed = %(sealed)s returning 1", True),
        ("update contact set key_id = %(key_id)s, sealed = '\\x0102' returning 1", False),
        ("update contact set sealed = %(sealed)s, key_id = gen_random_uuid() returning 1", False),
        ("update contact set sealed = '\\x0102' returning 1", False),
        (
            """update contact set phone = '+15550100777', email = 'c@example.com', sealed = null,
                   key_id = null returning 1""",
            False,
        ),
    ],
)
async def test_the_database_writes_exactly_the_contact_that_two_people_have_approved(
    client, postgres_world, statement, admitted
):
    await client.post("/admin/contacts", json={"contacts": [ONE]}, headers=WRITE)
    wanted = Contact(ONE["user_id"], Personal("+15550100777"), Personal("c@example.com"))
    refused = pytest.raises(psycopg.errors.RaiseException, match="for what is written")
    with nullcontext() if admitted else refused:
        async with postgres_world.database.transaction() as tx:
            (sealed,) = await PostgresContacts(tx, postgres_world.vault).sealed([wanted])
            await operators_approve(tx, "CONTACTS_CHANGE", {"contacts": [sealed.as_row()]})
            await tx.rows(statement, key_id=sealed.key_id, sealed=sealed.sealed)


@pytest.mark.stack
@pytest.mark.parametrize(
    "statement",
    [
        "update contact set codes_paused_until = null returning 1",
        "update contact set user_id = 'usr-501' returning 1",
        "delete from contact returning 1",
    ],
)
async def test_the_services_role_neither_ends_a_pause_nor_gives_a_contact_to_another(
    client, postgres_world, statement
):
    await client.post("/admin/contacts", json={"contacts": [ONE]}, headers=WRITE)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with postgres_world.database.transaction() as tx:
            await tx.rows(statement)


@pytest.mark.stack
async def test_of_ten_approvals_of_a_change_at_once_one_has_an_effect(client, postgres_world):
    await client.post("/admin/contacts", json={"contacts": [ONE]}, headers=WRITE)
    other = {"contacts": [{**ONE, "phone": "+15550100999"}]}
    changed = await client.post("/admin/contacts", json=other, headers=WRITE)

    people = [signed_in("contacts.write", name=f"p{number}") for number in range(10)]
    answers = await asyncio.gather(*(approve(client, changed, person) for person in people))

    assert sorted(one.status_code for one in answers) == [200, *[409] * 9]
    records = postgres_world.broker.topics["audit.recorded.v1"]
    actions = [json.loads(record.value)["action"] for record in records]
    assert actions == ["CONTACTS_ADDED", "CONTACTS_CHANGE_PROPOSED", "CONTACTS_CHANGE_APPROVED"]
