"""Write access to every topic moves no money: what the broker lets through has no valid MAC.

The forger here has the strongest rights on the broker, and no key of a service. The system has no
audit log, which would record what a forger wrote.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from uuid import uuid4

import httpx
import psycopg
import pytest
import trustme
from aiokafka.conn import create_conn
from aiokafka.errors import KafkaError

from local_stack.certificates import AUTHORITY, certificate_name
from local_stack.stack import Stack
from ops.clients import key_files
from payment_schemas.events.base import Event
from payment_schemas.events.confirmation import ConfirmRequested
from payment_schemas.events.otp import Verified
from payment_schemas.events.risk import AssessmentRequested, RiskAssessed
from payment_schemas.events.settlement import SettlementRequested, SettlementUpdated
from payment_schemas.registry import BY_TYPE
from service_runtime.clock import SystemClock
from service_runtime.messages import ProducerRecord
from service_runtime.producer import KafkaProducer
from service_runtime.tls import Certificates
from testbed.command import Command
from testbed.edge import CODE, Customer, Edge, key_of
from testbed.stack import WHOLE_SYSTEM_FURTHER, fresh_stack, offset_of_this_run
from testkit.events import event_of, outgoing_of

pytestmark = pytest.mark.stack

WITHOUT = {"audit", "ops"}
OPENED = 10_000_00
WITHIN_S = 20


@pytest.fixture(scope="module")
def core() -> Iterator[Stack]:
    """The services that act on messages; Kafka and Redis take TLS alone."""
    with (
        pytest.MonkeyPatch.context() as environment,
        fresh_stack_with(environment, TLS="on") as stack,
    ):
        stack.start_services([one.name for one in stack.inventory.core if one.name not in WITHOUT])
        yield stack


@contextmanager
def fresh_stack_with(environment: pytest.MonkeyPatch, **settings: str) -> Iterator[Stack]:
    """Start an empty stack under settings of the user."""
    for name, value in settings.items():
        environment.setenv(name, value)
    with fresh_stack(offset_of_this_run() + 2 * WHOLE_SYSTEM_FURTHER) as stack:
        yield stack


@pytest.fixture(scope="module")
async def forged_edge(core: Stack) -> AsyncIterator[Edge]:
    """The edge of these services."""
    edge = Edge(core.description())
    yield edge
    await edge.close()


@pytest.fixture
async def victim(forged_edge: Edge, name: str) -> Customer:
    """A customer with an account."""
    [customer] = await forged_edge.open_customers(name, 1, OPENED)
    return customer


async def publish(core: Stack, *records: ProducerRecord) -> None:
    """Write records with the rights of the broker's set-up."""
    async with KafkaProducer(core.description().brokers, "forger") as producer:
        for record in records:
            await (await producer.send(record))


async def forge(core: Stack, *events: Event) -> None:
    """Write events as their emitter would, and wait until each is a dead letter."""
    forged = {uuid4(): event for event in events}
    await publish(core, *[outgoing_of(event, event_id) for event_id, event in forged.items()])
    await refused(core, {str(event_id): event.topic for event_id, event in forged.items()})


async def refused(core: Stack, topics: dict[str, str]) -> None:
    """Wait until the records with these ids are dead letters for want of a MAC."""
    countersign = Command(core.ports.offset)
    deadline_s = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline_s:
        _, found = await countersign.json("dlq", "list", "--reason", "unauthenticated")
        ids = {one["event_id"]: one["topic"] for one in found["letters"]}
        if topics.items() <= ids.items():
            return
        await asyncio.sleep(0.2)
    raise AssertionError(f"not refused: {topics.items() - ids.items()}")


async def payment_of(edge: Edge, transaction_id: str) -> dict[str, object] | None:
    """Return a payment as confirm stores it."""
    found = await edge.admin("confirm", "/payments", transaction_id=transaction_id)
    return found["payments"][0] if found["payments"] else None


def challenge_of(core: Stack, payment_id: object) -> object:
    """Return the id of a payment's only challenge."""
    with psycopg.connect(core.description().admin_dsn) as admin:
        query = "select id from otp.challenge where payment_id = %s"
        [(challenge_id,)] = admin.execute(query, [payment_id]).fetchall()
    return challenge_id


async def opened(edge: Edge, transaction_id: str) -> dict[str, object]:
    """Return a payment once confirm has it."""
    for _ in range(WITHIN_S * 20):
        if payment := await payment_of(edge, transaction_id):
            return payment
        await asyncio.sleep(0.05)
    raise AssertionError("confirm has no payment")


async def balance_of(edge: Edge, customer: Customer) -> int:
    """Return the balance of a customer in minor units."""
    found = await edge.admin("confirm", "/accounts", prefix=customer.account)
    return found["accounts"][0]["balance_minor"]


async def test_a_forged_command_pays_nothing(core, forged_edge, victim, name):
    order = event_of(
        ConfirmRequested,
        request_id=uuid4(),
        user_id=victim.user_id,
        transaction_id=name,
        idempotency_key=key_of(name),
        amount="9999.00",
        from_account=victim.account,
        to_account="payee-known",
        sealed_code=None,
    )
    await forge(core, order)
    assert await payment_of(forged_edge, name) is None
    assert await balance_of(forged_edge, victim) == OPENED


async def test_a_forged_verification_confirms_nothing(core, forged_edge, victim, name):
    order = {"amount": "9999.00", "to_account": "payee-new"}
    assert (await forged_edge.pay(victim, name, **order)).status_code == 403
    payment = await payment_of(forged_edge, name)
    verified = event_of(
        Verified,
        payment_id=payment["payment_id"],
        user_id=victim.user_id,
        transaction_id=name,
        challenge_id=challenge_of(core, payment["payment_id"]),
    )
    await forge(core, verified)
    assert (await payment_of(forged_edge, name))["state"] == "AWAITING_CODE"
    assert await balance_of(forged_edge, victim) == OPENED
    assert (await forged_edge.pay(victim, name, **order, otp_code=CODE)).status_code == 200


async def test_a_forged_assessment_pays_no_sanctioned_payee(core, forged_edge, victim, name):
    ofac = core.description().url("ofac") + "/faults"
    await forged_edge.http.put(ofac, json={"kind": "error"})
    try:
        asking = asyncio.create_task(forged_edge.pay(victim, name, to_account="payee-sanctioned"))
        payment = await opened(forged_edge, name)
        about = {
            "payment_id": payment["payment_id"],
            "user_id": victim.user_id,
            "transaction_id": name,
        }
        assessed = event_of(RiskAssessed, **about, score=0, level="low", factors=())
        # An honest assessment of another request would be as good as a forged one.
        harmless = event_of(AssessmentRequested, **about, to_account="payee-known")
        await forge(core, assessed, harmless)
        assert (await payment_of(forged_edge, name))["state"] == "AWAITING_RISK"
    finally:
        await forged_edge.http.delete(ofac)
    assert (await asking).status_code in (202, 403)
    assert (await forged_edge.until(victim, name))["status"] == "DECLINED"
    assert await balance_of(forged_edge, victim) == OPENED


async def test_a_forged_instruction_reaches_no_bank(core, forged_edge):
    uetr = uuid4()
    await forge(core, event_of(SettlementRequested, payment_id=uuid4(), uetr=uetr))
    assert [one for one in await forged_edge.statement() if one["uetr"] == str(uetr)] == []
    found = await forged_edge.admin("settlement", "/instructions", uetr=str(uetr))
    assert found["instructions"] == []


async def test_a_forged_rejection_releases_no_money(core, forged_edge, victim, name):
    await forged_edge.pay(victim, name, to_account="payee-known")
    settled = await forged_edge.until(victim, name)
    assert settled["settlement_status"] == "SETTLED"
    payment = await payment_of(forged_edge, name)
    update = event_of(
        SettlementUpdated,
        payment_id=payment["payment_id"],
        user_id=victim.user_id,
        transaction_id=name,
        uetr=payment["uetr"],
        status="REJECTED",
        version=99,
    )
    await forge(core, update)
    assert (await payment_of(forged_edge, name))["settlement_status"] == "SETTLED"
    assert await balance_of(forged_edge, victim) == OPENED - 50_00


async def test_a_rotation_of_all_keys_under_load_loses_nothing(core, forged_edge, victim, name):
    countersign = Command(core.ports.offset)
    folder = core.credentials.folder
    rings = [ring for ring in key_files.rings_of(folder) if ring.name.startswith("mac-")]
    assert len(rings) == 9

    async def pay(number: int) -> int:
        return (await forged_edge.pay(victim, f"{name}-{number}", amount="1.00")).status_code

    before = await letters(countersign)
    paying = [asyncio.create_task(pay(number)) for number in range(8)]
    for ring in rings:
        key_files.add(ring, accept_only=False)
    assert set(await asyncio.gather(*paying)) == {200}
    for number in range(8):
        assert (await forged_edge.until(victim, f"{name}-{number}"))["status"] == "SUCCESS"
    for ring in rings:
        rotated = key_files.ring_of(folder, ring.name)
        assert rotated.ids[1:] == ring.ids
        key_files.retire(rotated, ring.ids[0], SystemClock().now(), at_once=True)
    assert await pay(8) == 200
    assert (await forged_edge.until(victim, f"{name}-8"))["settlement_status"] == "SETTLED"
    assert await letters(countersign) == before


async def letters(countersign: Command) -> int:
    """Return the number of dead letters."""
    _, found = await countersign.json("dlq", "list")
    return found["total"]


async def test_each_authenticated_message_is_refused_without_a_mac(core):
    acted_on = [event for event in BY_TYPE.values() if set(event.acting_readers) - {"gateway"}]
    await forge(core, *[event_of(event) for event in acted_on])


async def test_a_client_without_tls_cannot_reach_a_broker(core):
    host, _, port = core.kafka.rpartition(":")
    with pytest.raises(KafkaError):
        await create_conn(host, int(port), **replace(core.brokers, tls_ca="").security)


async def test_a_broker_with_a_certificate_of_another_authority_is_not_trusted(core, tmp_path):
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    refusal = await replace(core.brokers, tls_ca=str(tmp_path / "other.pem")).refusal()
    assert "TLS" in str(refusal)


async def test_a_broker_with_another_name_than_its_certificates_is_not_trusted(core):
    """Another address of this machine leads to the same broker."""
    host, _, port = core.kafka.rpartition(":")

    async def carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while chunk := await source.read(65536):
            sink.write(chunk)
        sink.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(host, int(port))
        await asyncio.gather(carry(reader, back), carry(there, writer))

    async with await asyncio.start_server(connected, "127.0.0.2", 0) as server:
        elsewhere = f"127.0.0.2:{server.sockets[0].getsockname()[1]}"
        refusal = await replace(core.brokers, servers=elsewhere).refusal()
    assert "TLS" in str(refusal)


async def test_redis_takes_tls_alone_and_the_gateway_counts_in_it(core, forged_edge, victim, name):
    assert core.description().redis_url.startswith("rediss://")
    assert (await forged_edge.pay(victim, name, to_account="payee-known")).status_code == 200
    log = await asyncio.to_thread((core.layout.logs / "gateway.log").read_text)
    assert "redis_away" not in log


async def test_services_call_one_another_by_tls_under_their_own_names(
    core, forged_edge, victim, name
):
    """The gateway reads from confirm and settlement; its secret alone reads nothing."""
    await forged_edge.pay(victim, name, to_account="payee-known")
    read = await forged_edge.http.get(f"/payment/{name}", headers=victim.headers)
    keys = await forged_edge.http.get("/.well-known/partner-jwks.json")
    assert (read.status_code, keys.status_code) == (200, 200)

    url = core.description().url("confirm")
    secret = core.credentials.read("internal-credential-gateway")
    path = f"{url}/payments/{name}?user_id={victim.user_id}"
    found = {}
    for process in ("gateway", "risk", "ops"):
        file = core.credentials.path(certificate_name(process))
        shown = Certificates(str(file), str(core.credentials.path(AUTHORITY)))
        async with httpx.AsyncClient(verify=shown.client) as http:
            answer = await http.get(path, headers={"Authorization": f"Bearer {secret}"})
        found[process] = answer.status_code
    assert url.startswith("https://")
    assert found == {"gateway": 200, "risk": 401, "ops": 401}
