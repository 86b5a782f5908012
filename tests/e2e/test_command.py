"""The `countersign` command on the running system, as a script uses it."""

import asyncio
import json
import os
import signal
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer

from local_stack.stack import Stack
from testbed.command import PATH, Command
from testbed.edge import CODE, Edge

pytestmark = pytest.mark.stack


async def opened(countersign: Command, name: str) -> list[str]:
    """Open an account and return the options of a payment from it."""
    opening = ("accounts", "open", name, "--owner", name, "--balance", "10000.00")
    status, found = await countersign.json(*opening)
    (proposal,) = found["proposals"]
    assert (status, found["opened"], proposal["act"]) == (0, 0, "ACCOUNTS_OPEN")
    status, why = await countersign.json("approve", proposal["proposal"])
    assert (status, "a second person" in why) == (1, True)
    status, done = await countersign.json("approve", proposal["proposal"], by="bob")
    assert (status, done["opened"]) == (0, 1)
    again = {"opened": 0, "existing": 1, "proposals": []}
    assert await countersign.json(*opening) == (0, again)
    return ["pay", "--tx", name, "--key", name, "--user", name]


async def test_a_payment_with_a_code_is_made_and_shown(countersign, edge: Edge, name: str):
    pay = await opened(countersign, name)
    status, asked = await countersign.json(
        *pay, "--amount", "5200", "--from", name, "--to", "payee-xyz"
    )
    assert (status, asked["status"], asked["body"]["status"]) == (3, 403, "OTP_REQUIRED")
    (code, request) = (await countersign.json("show", name))[1]["waits_for"]
    assert code["what"] == "the customer's one-time code"
    assert code["until"] < request["until"]
    status, wrong = await countersign.json(*pay, "--otp", "000000")
    assert (status, wrong["status"]) == (1, 401)
    status, paid = await countersign.json(*pay, "--otp", CODE)
    assert (status, paid["status"]) == (0, 200)
    status, again = await countersign.json(*pay, "--otp", CODE)
    assert (status, again["body"]) == (0, paid["body"])
    assert again["headers"]["idempotent-replayed"] == "true"

    known = await settled(countersign, name)
    assert [one["state"] for one in known["challenges"]] == ["ACCEPTED"]
    assert known["challenges"][0]["attempts"] == 2
    assert [one["status"] for one in known["instructions"]] == ["SETTLED"]
    assert {one["kind"] for one in known["payment"]["entries"]} == {"HOLD", "SETTLE"}
    assert CODE not in json.dumps(known["timeline"])

    status, shown, _ = await countersign("show", name)
    assert status == 0
    for text in ("Ledger", "Settlement", "One-time codes", "Messages", "Timeline", "OTP_VERIFIED"):
        assert text in shown
    assert "It waits for nothing." in shown


async def test_ctrl_c_ends_a_watch_without_an_error(system: Stack, countersign, name: str):
    pay = await opened(countersign, name)
    amount = ("--amount", "5200", "--from", name, "--to", "payee-xyz")
    assert (await countersign(*pay, *amount))[0] == 3
    # In the background of a shell, SIGINT is ignored by inheritance.
    process = await asyncio.create_subprocess_exec(
        *("env", "--default-signal=INT", PATH, "show", name, "--watch", "--utc"),
        env={
            **os.environ,
            "COUNTERSIGN_OFFSET": str(system.ports.offset),
            "COUNTERSIGN_AS": "alice",
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(30):
        while b"OTP_CHALLENGED" not in await process.stdout.readline():
            pass
        process.send_signal(signal.SIGINT)
        _, error = await process.communicate()
    assert (process.returncode, error) == (0, b"")


async def test_the_addresses_of_the_running_system_are_printed(countersign, edge: Edge):
    status, pages = await countersign.json("open")
    answering = {page["name"] for page in pages if page["answers"]}
    assert (status, answering >= {"gateway", "docs", "sms", "mail", "bank", "metrics"}) == (0, True)
    assert (await countersign("open", "docs"))[:2] == (0, f"{edge.http.base_url}/docs\n")


async def settled(countersign: Command, name: str):
    for _ in range(60):
        status, known = await countersign.json("show", name)
        events = {row["event"] for row in known["timeline"]}
        if {"SETTLEMENT_SETTLED", "NOTIFICATION_DELIVERED"} <= events:
            assert (status, known["missing"]) == (0, [])
            return known
        await asyncio.sleep(0.5)
    raise AssertionError(f"{name} is not settled: {known}")


async def test_one_transaction_id_of_two_users_needs_the_user_option(countersign, name: str):
    for user in (f"{name}-a", f"{name}-b"):
        await opened(countersign, user)
        pay = ("pay", "--tx", name, "--user", user, "--amount", "5")
        assert (await countersign(*pay, "--from", user, "--to", "payee-xyz"))[0] == 0
    status, out, error = await countersign("show", name)
    assert status == 5
    assert f"{name}-a" in out
    assert "--user" in error
    status, known = await countersign.json("show", name, "--user", f"{name}-b")
    assert (status, known["payment"]["user_id"]) == (0, f"{name}-b")


async def test_an_unknown_object_is_refused_in_one_sentence(countersign, name: str):
    for arguments in (
        ("show", name),
        ("dlq", "show", name),
        ("accounts", "open", "acc-1", "--owner", name),
    ):
        status, out, error = await countersign(*arguments)
        assert (status, out) == (1, "")
        assert error.startswith("error: ")
        assert error.count("\n") == 1


async def test_a_dead_letter_is_listed_and_shown_masked(countersign, system: Stack):
    event_id = uuid4()
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", str(event_id).encode()),
        ("ce_type", b"settlement.requested.v1"),
        ("ce_source", b"/test"),
        ("ce_time", b"2026-11-20T00:00:00Z"),
    ]
    producer = AIOKafkaProducer(**system.brokers.arguments)
    await producer.start()
    await producer.send_and_wait(
        "settlement-queue", b'{"amount_minor":55,"note":"canary-5f1"}', headers=headers
    )
    await producer.stop()
    listed = await listed_letters(countersign, str(event_id))
    assert {one["topic"] for one in listed} == {"settlement-queue"}
    reasons = {one["consumer"]: one["reason"] for one in listed}
    assert reasons == {"settlement": "unauthenticated", "audit": "schema"}
    for letter_id in (str(event_id), listed[0]["place"]):
        status, out, _ = await countersign("dlq", "show", letter_id)
        assert status == 0
        assert "55" in out
        assert "canary" not in out
    assert (await countersign.json("dlq", "list", "--reason", "no-such"))[1]["total"] == 0


async def listed_letters(countersign: Command, event_id: str):
    for _ in range(20):
        status, found = await countersign.json("dlq", "list", "--id", event_id)
        assert status == 0
        if found["total"] == 2:
            break
        await asyncio.sleep(0.5)
    return found["letters"]


async def test_a_check_finds_no_violation_and_every_service_responds(countersign, name: str):
    pay = await opened(countersign, name)
    assert (await countersign(*pay, "--amount", "5", "--from", name, "--to", "payee-xyz"))[0] == 0
    status, found = await countersign.json("check", "--grace", "30", "--unfinished-after", "120")
    assert (found["violations"], found["missing"]) == ([], [])
    assert status == 0
    assert found["payments"] > 0
    for invariant in ("I1", "I2", "I3", "I4", "I8", "I9"):
        assert found["invariants"][invariant]["checked"] > 0


@pytest.mark.usefixtures("system")
async def test_the_doctor_finds_no_fault_in_the_running_system(countersign):
    status, found = await countersign.json("doctor")
    assert (status, found["faults"]) == (0, [])
    assert found["checked"] > 20
