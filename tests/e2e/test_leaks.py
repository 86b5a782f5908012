"""Canaries: what must stay secret is planted, and then looked for wherever the system writes."""

import asyncio
import re

import httpx
import pytest
from aiokafka import AIOKafkaConsumer

from local_stack.stack import Stack
from testkit.edge import CODE, Customer, Edge

pytestmark = pytest.mark.stack

PHONE = "+15557318462"
MAIL = "canary.person.7318462"
WRONG_CODE = "731846"
READ_WITHIN_S = 20


def patterns(system: Stack, customer: Customer) -> dict[str, re.Pattern[bytes]]:
    """Return what is looked for; digits alone may stand in ids and times, codes never do."""
    credentials = system.description().credentials
    secrets = {
        name: re.compile(re.escape(credentials.read(name).encode()))
        for name in ("otp-sealing-key", "code-tag-key", "code-key", "internal-credential-ops")
    }
    return secrets | {
        "phone": re.compile(re.escape(PHONE.encode())),
        "mail": re.compile(re.escape(MAIL.encode())),
        "token": re.compile(re.escape(customer.token.encode())),
        "code": alone(CODE),
        "wrong code": alone(WRONG_CODE),
    }


def alone(digits: str) -> re.Pattern[bytes]:
    return re.compile(rb"(?<![0-9A-Za-z_.:-])" + digits.encode() + rb"(?![0-9A-Za-z_.-])")


async def records(system: Stack) -> dict[str, bytes]:
    """Return everything in every topic, keys and headers included."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=system.description().kafka, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        topics = sorted(name for name in await consumer.topics() if not name.startswith("__"))
        consumer.subscribe(topics)
        found = dict.fromkeys(topics, b"")
        async with asyncio.timeout(READ_WITHIN_S):
            while batch := await consumer.getmany(timeout_ms=3000):
                for partition, some in batch.items():
                    found[partition.topic] += b"\n".join(_bytes_of(one) for one in some)
    finally:
        await consumer.stop()
    return found


def _bytes_of(record) -> bytes:
    headers = b" ".join(name.encode() + b"=" + (value or b"") for name, value in record.headers)
    return b" ".join((record.key or b"", record.value or b"", headers))


async def metrics(system: Stack) -> dict[str, bytes]:
    found = {}
    async with httpx.AsyncClient(timeout=10) as http:
        for service, urls in system.description().urls.items():
            answer = await http.get(urls[0] + "/metrics")
            found[f"{service}/metrics"] = answer.content
    return found


async def test_no_secret_leaves_the_place_where_it_belongs(system: Stack, edge: Edge, name: str):
    [customer] = await edge.open_customers(name, 1, 10_000_00)
    await edge.reach(customer, PHONE, f"{MAIL}@example.com")
    large = {"amount": "5200", "to_account": "payee-xyz"}
    await edge.pay(customer, name, **large)
    wrong = await edge.pay(customer, name, **large, otp_code=WRONG_CODE)
    right = await edge.pay(customer, name, **large, otp_code=CODE)
    assert (wrong.status_code, right.status_code) == (401, 200)
    await edge.until(customer, name)
    told = await _told(system)

    places = await records(system) | await metrics(system)
    places |= {path.name: path.read_bytes() for path in system.layout.logs.glob("*")}

    # What was planted has reached the one place that needs it, and what may be seen is seen.
    assert alone(CODE).search(told.encode())
    assert name.encode() in places["payment.confirmed.v1"]
    assert b"payment_confirm_total" in places["confirm/metrics"]
    assert b"started" in places["gateway.log"]
    leaks = [
        (secret_name, place)
        for secret_name, pattern in patterns(system, customer).items()
        for place, content in places.items()
        if pattern.search(content)
    ]
    assert leaks == []


async def _told(system: Stack) -> str:
    """Wait for the SMS, and return its text."""
    async with httpx.AsyncClient(timeout=10) as http:
        for _ in range(200):
            answer = await http.get(
                system.description().url("twilio") + "/messages", params={"to": PHONE}
            )
            if messages := answer.json()["messages"]:
                text: str = messages[0]["body"]
                return text
            await asyncio.sleep(0.1)
    pytest.fail("the SMS was not sent within 20 s")
