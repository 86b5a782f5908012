"""The service on real PostgreSQL and Kafka: checks, versions by two people, dry runs."""

import asyncio
import sys
import time
from datetime import timedelta
from uuid import UUID, uuid4

import psycopg
import pytest
from rules_world import NOON

from payment_schemas.events.confirmation import PaymentConfirmed
from payment_schemas.events.record import AuditRecorded
from payment_schemas.events.risk import RiskAssessed
from testbed.service import publish, published_events
from testkit.events import event_of
from testkit.operators import actor, approval_of, signed_in

pytestmark = pytest.mark.stack
ALICE, BOB = (
    signed_in("compliance.write", "ops.read", name=name)
    for name in ("rule-writer", "rule-approver")
)
CAROL = signed_in("ops.read", name="carol")
PATH = "/api/v1/compliance"
NEW_RULE = {
    "jurisdiction": "US",
    "condition": "transaction.amount > 500 AND NOT history.payee_known",
    "action": "REQUIRE_OTP",
    "severity": "HIGH",
}
ORDINARY = {
    "userId": "usr-1",
    "transaction": {"amount": "100.00"},
    "user": {"jurisdiction": "US", "sanctionStatus": "CLEAR", "kycStatus": "VERIFIED"},
}
DRY_RUN_S = 5
"""Issue 17: a dry run over 10,000 payments."""


def asked(user_id="usr-1", **fields):
    """Return a payment as risk asks about it."""
    return {
        "payment_id": str(uuid4()),
        "user_id": user_id,
        "to_account": "acc-2",
        "amount_minor": 100_00,
        "currency": "USD",
        "country": "US",
        "requested_at": NOON.isoformat(),
        "debtor_hit": False,
        "creditor_hit": False,
        "match_score": 0,
        "list_version": "list-1",
        "kyc": "verified",
    } | fields


async def ruled(http, *payments):
    reply = await http.post("/checks:batch", json={"payments": payments})
    assert reply.status_code == 200, reply.text
    return reply.json()["results"]


async def proposed(http, rule_id, **fields):
    return await http.put(f"{PATH}/rules/{rule_id}", json=NEW_RULE | fields, headers=ALICE)


async def set_rule(http, rule_id, **fields):
    reply = await proposed(http, rule_id, **fields)
    assert reply.status_code == 202, reply.text
    approved = await http.post(**approval_of(reply.json()), headers=BOB)
    assert approved.status_code == 200, approved.text
    return reply.json()


async def rules(http):
    listed = (await http.get(f"{PATH}/rules", headers=CAROL)).json()["rules"]
    return {one["id"]: one for one in listed}


async def test_the_rules_of_the_document_ship(http):
    shipped = await rules(http)
    assert shipped["EU_MiCA_COMPLIANCE"]["condition"] == (
        "transaction.type == 'CRYPTO' AND user.jurisdiction IN EU_COUNTRIES"
    )
    assert {one: shipped[one]["action"] for one in list(shipped)[:3]} == {
        "EU_MiCA_COMPLIANCE": "TAG",
        "GLOBAL_SANCTIONS": "BLOCK",
        "MONITORED_USER": "REVIEW",
    }


@pytest.mark.parametrize(
    ("change", "status", "fired"),
    [
        ({}, "PASSED", []),
        ({"transaction": {"amount": "10000.01"}}, "REVIEW", ["US_AMOUNT_LIMIT"]),
        ({"transaction": {"amount": "1000000", "currency": "JPY"}}, "PASSED", []),
        ({"user": {"sanctionStatus": "HIT"}}, "BLOCKED", ["GLOBAL_SANCTIONS"]),
        ({"user": {"jurisdiction": "US"}}, "BLOCKED", ["GLOBAL_SANCTIONS"]),
    ],
)  # fmt: skip
async def test_a_check_says_which_rules_fired_and_can_be_read_again(http, change, status, fired):
    body = ORDINARY | change | {"metadata": {"case": "7"}}
    reply = await http.post(f"{PATH}/check", json=body, headers=ALICE)
    check = reply.json()
    assert (reply.status_code, check["status"], check["type"]) == (201, status, "TRANSACTION")
    assert [one["ruleId"] for one in check["results"]] == fired
    assert {"ruleId": "GLOBAL_SANCTIONS", "version": 1} in check["appliedRules"]
    again = await http.get(f"{PATH}/check/{check['checkId']}", headers=CAROL)
    assert again.json() == check
    assert check["metadata"] == {"case": "7"}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"transaction": {"amount": "1.001"}}, "Invalid field: transaction.amount"),
        ({"transaction": {"amount": "1", "currency": "XAF"}}, "transaction.currency"),
        ({"transaction": {"amount": "1", "other": 1}}, "other"),
        ({"userId": ""}, "userId"),
    ],
)  # fmt: skip
async def test_a_wrong_field_is_named(http, change, why):
    reply = await http.post(f"{PATH}/check", json=ORDINARY | change, headers=ALICE)
    assert (reply.status_code, why in reply.text) == (400, True), reply.text


async def test_each_route_needs_its_scope(http):
    check, unknown = f"{PATH}/check", f"{PATH}/check/{uuid4()}"
    assert (await http.post(check, json=ORDINARY)).status_code == 401
    assert (await http.post(check, json=ORDINARY, headers=CAROL)).status_code == 403
    monitor = {"userId": "usr-1", "reason": "x"}
    assert (await http.post(f"{PATH}/monitor", json=monitor, headers=CAROL)).status_code == 403
    assert (await http.put(f"{PATH}/rules/A_RULE", json=NEW_RULE, headers=CAROL)).status_code == 403
    assert (await http.get(f"{PATH}/rules")).status_code == 401
    assert (await http.get(unknown, headers=CAROL)).status_code == 404
    batch = {"payments": [asked()]}
    assert (await http.post("/checks:batch", json=batch, headers=ALICE)).status_code == 401


async def test_a_version_takes_two_people_and_counts_at_once(http, database, stack):
    shown = await proposed(http, "NEW_PAYEE")
    assert shown.json()["version"] == 1
    approval = approval_of(shown.json())
    assert (await http.post(**approval, headers=ALICE)).status_code == 409
    assert "NEW_PAYEE" not in await rules(http)

    assert (await http.post(**approval, headers=BOB)).status_code == 200

    (result,) = await ruled(http, asked(amount_minor=501_00))
    assert (result["demands"], result["findings"][0]["ruleId"]) == (["code"], "NEW_PAYEE")
    ended = (await set_rule(http, "NEW_PAYEE", activeTo="2026-01-01"))["version"]
    assert (ended, (await ruled(http, asked(amount_minor=501_00)))[0]["demands"]) == (2, [])
    with psycopg.connect(database.admin_dsn) as admin:
        count = "select count(*) from compliance.rule_version where rule_id = 'NEW_PAYEE'"
        assert admin.execute(count).fetchone() == (2,)
    (record,) = await published_events(stack.brokers, AuditRecorded, actor("rule-approver"), 1)
    assert record.action == "RULE_SET_APPROVED"


async def test_of_two_proposals_of_one_version_the_second_is_refused(http):
    first, second = [
        (await proposed(http, "TWICE", activeTo="2026-01-01")).json() for _ in range(2)
    ]
    replies = [await http.post(**approval_of(one), headers=BOB) for one in (first, second)]
    assert [one.status_code for one in replies] == [200, 409]
    stale = {**ALICE, "If-Match": '"7"'}
    reply = await http.put(f"{PATH}/rules/TWICE", json=NEW_RULE, headers=stale)
    assert reply.status_code == 412


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        (
            "insert into rule_version values ('MINE', 1, 'US', 'false', 'TAG', 'LOW')",
            "approval of a second person",
        ),
        ("update rule_version set condition = 'false'", "permission denied"),
        ("delete from rule_version", "permission denied"),
    ],
)
async def test_the_database_refuses_a_change_by_one_person(http, database, statement, why):
    with psycopg.connect(database.dsn) as connection, pytest.raises(psycopg.Error, match=why):
        connection.execute(statement)


@pytest.mark.parametrize(
    "statement", ["update rule_version set version = 9", "delete from rule_version"]
)
async def test_not_even_the_owner_changes_a_version(http, database, statement):
    refused = pytest.raises(psycopg.Error, match="never changed")
    with psycopg.connect(database.owner_dsn) as connection, refused:
        connection.execute(statement)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"condition": "transaction.amont > 1"}, "line 1, column 12: undeclared reference"),
        ({"condition": "transaction.amount > 'x'"}, "line 1, column 20: found no matching"),
        ({"action": "ALLOW"}, "action"),
        ({"activeFrom": "2026-02-01", "activeTo": "2026-01-01"}, "activeTo"),
    ],
)
async def test_a_wrong_rule_is_refused_with_its_position(http, fields, why):
    reply = await proposed(http, "WRONG", **fields)
    assert (reply.status_code, why in reply.text) == (400, True), reply.text


async def test_risk_gets_a_ruling_for_each_payment(http):
    payments = [
        asked(),
        asked(debtor_hit=True),
        asked(amount_minor=10_000_01, country=None),
        asked(amount_minor=10_000_01),
    ]
    results = await ruled(http, *payments)
    assert [UUID(one["payment_id"]) for one in results] == [
        UUID(one["payment_id"]) for one in payments
    ]
    assert [one["demands"] for one in results] == [
        [], ["decline"], ["code", "review"], ["review"],
    ]  # fmt: skip
    assert results[2]["findings"][0] | {"jurisdiction": "US"} == {
        "ruleId": "US_AMOUNT_LIMIT",
        "version": 1,
        "jurisdiction": "US",
        "action": "REVIEW",
        "severity": "MEDIUM",
        "evaluated": False,
    }


async def test_a_monitored_users_payments_are_reviewed_until_the_end(http, stack):
    until = (NOON + timedelta(days=1)).isoformat()
    body = {"userId": "usr-9", "reason": "structuring", "until": until}
    reply = await http.post(f"{PATH}/monitor", json=body, headers=ALICE)
    assert (reply.status_code, reply.json()["startedBy"]) == (201, actor("rule-writer"))
    late = (NOON + timedelta(days=2)).isoformat()
    results = await ruled(http, asked("usr-9"), asked("usr-9", requested_at=late), asked("usr-8"))
    assert [one["demands"] for one in results] == [["review"], [], []]


def payments_of(user_id, count, **fields):
    """Return the two events of each of a user's payments, a minute apart."""
    for number in range(count):
        own = {"payment_id": uuid4(), "user_id": user_id, "transaction_id": f"tx-{number}"}
        yield event_of(RiskAssessed, **own, amount_usd_minor=600_00, kyc="verified")
        yield event_of(
            PaymentConfirmed, **own, amount_minor=600_00, currency="USD", to_account="acc-7",
            confirmed_at=NOON + timedelta(minutes=number), context={"country": "US"},
        )  # fmt: skip


async def dry_run(http, rule_id, **fields):
    reply = await proposed(http, rule_id, **fields)
    assert reply.status_code == 202, reply.text
    return reply.json()["dryRun"]


async def test_a_dry_run_names_whom_a_rule_would_have_been_about(http, settings, stack):
    await publish(stack.brokers, settings, *payments_of("usr-dry", 3))
    for _ in range(200):
        found = await dry_run(http, "DRY", condition="user.id == 'usr-dry'")
        if found["fired"] == 3:
            break
        await asyncio.sleep(0.1)
    assert (found["fired"], found["users"], found["newlyHit"]) == (3, 1, 3)
    new_payee = await dry_run(
        http, "DRY", condition="user.id == 'usr-dry' AND NOT history.payee_known"
    )
    assert new_payee["fired"] == 1
    third = await dry_run(
        http, "DRY", condition="user.id == 'usr-dry' AND history.amount_24h == 1200"
    )
    assert [one["userId"] for one in third["examples"]] == ["usr-dry"]
    failing = await dry_run(http, "DRY", condition="user.id == 'usr-dry' AND 1 / 0 == 1")
    assert (failing["fired"], failing["unevaluated"]) == (0, 3)
    later = asked(
        "usr-dry", to_account="acc-7", requested_at=(NOON + timedelta(hours=1)).isoformat()
    )
    await set_rule(http, "THREE", condition="history.payments_24h == 3 AND history.payee_known")
    assert (await ruled(http, later))[0]["demands"] == ["code"]


async def test_a_dry_run_over_10_000_payments_is_in_time(http, database):
    with psycopg.connect(database.owner_dsn) as owner:
        owner.execute(
            """insert into known_payment (payment_id, user_id, amount_usd_minor, debtor_hit,
                   creditor_hit, match_score, list_version, kyc, payee, amount_minor, currency,
                   country, confirmed_at)
               select gen_random_uuid(), 'many-' || n % 500, n, false, false, 0, 'v', 'verified',
                      'acc-' || n % 50, n, 'USD', 'US', now() + n * interval '1 second'
               from generate_series(1, 12000) as n"""
        )
    started = time.perf_counter()
    found = await dry_run(http, "US_AMOUNT_LIMIT", condition="transaction.amount > 100")
    took = time.perf_counter() - started
    sys.stdout.write(f"a dry run over {found['payments']} payments: {took:.2f} s\n")
    assert (found["payments"], found["fired"], found["newlyHit"]) == (10_000, 2_000, 2_000)
    assert found["users"] == 500
    assert took < DRY_RUN_S


async def test_the_check_of_the_system_finds_nothing(http):
    assert (await http.get("/admin/check")).json()["violations"] == []
