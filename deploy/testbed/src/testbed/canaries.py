"""Canaries: planted secrets, and the search for them in all outputs of the system."""

import asyncio
import re
from collections.abc import Mapping
from typing import Any

import httpx
from aiokafka import AIOKafkaConsumer

from local_stack.discovery import RunningStack
from testbed.edge import CODE, Customer, Edge

PHONE = "+15557318462"
MAIL = "canary.person.7318462"
WRONG_CODE = "731846"
READ_WITHIN_S = 60
SMS_WITHIN_S = 60


async def plant(stack: RunningStack, edge: Edge, name: str) -> Customer:
    """Make a payment with a wrong and a correct code by a customer with planted data; follow it."""
    [customer] = await edge.open_customers(name, 1, 10_000_00, (PHONE, f"{MAIL}@example.com"))
    large = {"amount": "5200", "to_account": "payee-xyz"}
    await edge.pay(customer, name, **large)
    # The code must reach the customer before it is entered; afterwards it is not sent.
    assert alone(CODE).search((await _await_sms(stack)).encode())
    wrong = await edge.pay(customer, name, **large, otp_code=WRONG_CODE)
    right = await edge.pay(customer, name, **large, otp_code=CODE)
    assert (wrong.status_code, right.status_code) == (401, 200)
    await edge.until(customer, name)
    return customer


def leaks(stack: RunningStack, customer: Customer, places: Mapping[str, bytes]) -> set[str]:
    """Return each leaked secret with its place."""
    return {
        f"{secret} in {place}"
        for secret, pattern in patterns(stack, customer).items()
        for place, content in places.items()
        if pattern.search(content)
    }


def patterns(stack: RunningStack, customer: Customer) -> dict[str, re.Pattern[bytes]]:
    """Return the patterns of the secrets; digits inside an id or a time do not match."""
    credentials = stack.credentials
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
    """Return a pattern for digits that are not part of an id or a time."""
    return re.compile(rb"(?<![0-9A-Za-z_.:-])" + digits.encode() + rb"(?![0-9A-Za-z_.-])")


async def records(stack: RunningStack) -> dict[str, bytes]:
    """Return the content of all topics, with keys and headers."""
    consumer = AIOKafkaConsumer(**stack.brokers.arguments, auto_offset_reset="earliest")
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


def _bytes_of(record: Any) -> bytes:
    headers = b" ".join(name.encode() + b"=" + (value or b"") for name, value in record.headers)
    return b" ".join((record.key or b"", record.value or b"", headers))


async def metrics(stack: RunningStack) -> dict[str, bytes]:
    """Return the `/metrics` of each service."""
    found = {}
    async with httpx.AsyncClient(timeout=10) as http:
        for service, urls in stack.urls.items():
            answer = await http.get(urls[0] + "/metrics")
            found[f"{service}/metrics"] = answer.content
    return found


async def _await_sms(stack: RunningStack) -> str:
    """Wait for the SMS, and return its text."""
    url = stack.url("twilio") + "/messages"
    async with httpx.AsyncClient(timeout=10) as http, asyncio.timeout(SMS_WITHIN_S):
        while True:
            answer = await http.get(url, params={"to": PHONE})
            if messages := answer.json()["messages"]:
                return str(messages[0]["body"])
            await asyncio.sleep(0.1)
