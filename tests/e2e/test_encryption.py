"""Encrypted confirmations on the running system: who can read them, replays, rotation."""

import asyncio
import re
from pathlib import Path

import pytest

from countersign_client import AsyncClient
from countersign_client.answers import Answer
from countersign_client.encryption import KEYS_PATH, Encryption
from local_stack.stack import Stack
from ops.clients import key_files
from payment_schemas.answers import not_decrypted
from service_runtime.clock import SystemClock
from testbed.canaries import records
from testbed.command import Command
from testbed.edge import CODE, Customer, Edge, key_of

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]
REFUSED = (not_decrypted().status, not_decrypted().body)
RINGS = ("e2e-ec", "e2e-rsa")


@pytest.fixture
async def customer(edge: Edge, name: str) -> Customer:
    [customer] = await edge.open_customers(name, 1, 10_000_00)
    return customer


@pytest.fixture
async def encryption(edge: Edge, customer: Customer) -> Encryption:
    """What encrypts for the customer, under the published key."""
    return await _encryption(edge, customer)


async def _encryption(edge, customer):
    made = Encryption(customer.user_id)
    answer = await edge.http.get(KEYS_PATH)
    made.keep(Answer.read(answer.status_code, answer.headers, answer.content), 0)
    return made


def body_of(customer, name, **changes):
    usual = {"transaction_id": name, "from_account": customer.account, "to_account": "payee-known"}
    return {**usual, "amount": "50.00", **changes}


async def post(edge, customer, jwe, key):
    headers = {"Content-Type": "application/jose", "Idempotency-Key": key, **customer.headers}
    return await edge.http.post("/payment/confirm", content=jwe, headers=headers)


async def test_an_encrypted_payment_settles_and_nobody_but_confirm_reads_its_body(
    system: Stack, edge: Edge, customer: Customer, encryption: Encryption, name: str
):
    # An amount that no id and no MAC contains by chance.
    large = body_of(customer, name, amount="5271.83", to_account="payee-xyz")
    first = await post(edge, customer, encryption.encrypt(large, None), key_of(name))
    assert (first.status_code, first.json()["status"]) == (403, "OTP_REQUIRED")
    coded = encryption.encrypt({**large, "otp_code": CODE}, None)
    second = await post(edge, customer, coded, key_of(name))
    assert (second.status_code, second.json()["status"]) == (200, "SUCCESS")
    assert (await edge.until(customer, name))["settlement_status"] == "SETTLED"

    [commands] = [
        content
        for topic, content in (await records(system.description())).items()
        if topic == "payment.confirm-requested.v1"
    ]
    of_this = [line for line in commands.split(b"\n") if name.encode() in line]
    assert coded.encode() in commands
    plain = (b"5271.83", b"527183", b"payee-xyz")
    assert not [line for line in of_this for text in plain if text in line]


async def test_a_replay_is_idempotent_under_its_key_and_refused_under_another(
    edge: Edge, customer: Customer, encryption: Encryption, name: str
):
    jwe = encryption.encrypt(body_of(customer, name), None)
    first = await post(edge, customer, jwe, key_of(name))
    again = await post(edge, customer, jwe, key_of(name))
    other = await post(edge, customer, jwe, "another-key")

    assert (first.status_code, again.status_code) == (200, 200)
    assert again.text == first.text
    assert again.headers["idempotent-replayed"] == "true"
    assert (other.status_code, other.text) == REFUSED


async def test_gateway_and_confirm_refuse_by_one_answer(
    edge: Edge, customer: Customer, encryption: Encryption, name: str
):
    jwe = encryption.encrypt(body_of(customer, name), None)
    foreign = Encryption("usr-456")
    answer = await edge.http.get(KEYS_PATH)
    foreign.keep(Answer.read(200, {}, answer.content), 0)
    header, *rest = jwe.split(".")
    faulty = (
        "no request",
        ".".join([header, *rest[:-1], "AAAAAAAAAAAAAAAAAAAAAA"]),
        foreign.encrypt(body_of(customer, name), None),
    )
    found = [await post(edge, customer, one, key_of(name)) for one in faulty]
    assert {(one.status_code, one.text) for one in found} == {REFUSED}
    names = [sorted(set(one.headers) - {"x-request-id", "date"}) for one in found]
    assert names[0] == names[1] == names[2]
    assert (await edge.http.get(f"/payment/{name}", headers=customer.headers)).status_code == 404


def test_the_gateways_process_has_no_private_key(system: Stack):
    """Its environment names no file of one, and it has no library of a token."""
    private = [system.credentials.path(ring) for ring in RINGS]
    passphrase = system.credentials.read("e2e-passphrase")
    process = Path(f"/proc/{system.pid('gateway')}")
    environment = (process / "environ").read_text()
    assert "GATEWAY" in environment.upper()
    assert not [name for name in (*RINGS, "e2e-passphrase", passphrase) if name in environment]
    confirm = Path(f"/proc/{system.pid('confirm')}/environ").read_text()
    assert all(path.name in confirm for path in private)
    modules = (process / "maps").read_text()
    assert "pkcs11" not in modules
    assert all(oct(path.stat().st_mode & 0o777) == "0o400" for path in private)


async def test_a_rotation_under_load_loses_nothing_and_a_retired_key_is_refused(
    system: Stack, edge: Edge, name: str, countersign: Command
):
    folder = system.credentials.folder
    customer, *others = await edge.open_customers(name, 9, 10_000_00)
    old = await _encryption(edge, customer)

    async def pay(payer: Customer) -> str:
        url = str(edge.http.base_url)
        client = AsyncClient(url, payer.token, http=edge.http, encryption=True)
        for number in range(3):
            confirmed = await client.confirm(**body_of(payer, f"{payer.account}-{number}"))
        return confirmed.reference

    paying = [asyncio.create_task(pay(payer)) for payer in others]
    for ring in RINGS:
        status, _ = await countersign.json("keys", "rotate", ring)
        assert status == 0
    assert all(re.fullmatch("[0-9A-Z]{10}", one) for one in await asyncio.gather(*paying))
    ring = key_files.ring_of(folder, "e2e-ec")
    jwe = old.encrypt(body_of(customer, f"{name}-old"), None)
    assert (await post(edge, customer, jwe, key_of(f"{name}-old"))).status_code == 200

    key_files.retire(ring, ring.ids[1], SystemClock().now(), at_once=True)
    await asyncio.sleep(1.2)  # services look for a change once a second
    jwe = old.encrypt(body_of(customer, f"{name}-late"), None)
    late = await post(edge, customer, jwe, key_of(f"{name}-late"))
    assert (late.status_code, late.text) == REFUSED
