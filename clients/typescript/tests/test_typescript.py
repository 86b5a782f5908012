"""The tests of the TypeScript client, which Node runs."""

import asyncio
import json
import os
import re
import socket
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import standardwebhooks

from testbed.typescript import NODE, run_node


async def test_the_tests_in_node_pass(typescript: Path):
    output = await run_node(
        typescript,
        "--test",
        "--test-reporter=dot",
        "--test-reporter=tap",
        "--test-reporter-destination=stderr",
        "--test-reporter-destination=stdout",
        "tests",
    )
    assert re.search(r"# pass [1-9]\d+", output), output


@pytest.mark.parametrize("name", ["typescript", "wallet"])
def test_the_lock_names_no_registry(name):
    """Each machine asks its own registry; what it gets is held by hashes."""
    lock = (Path(__file__).parents[2] / name / "package-lock.json").read_text()
    assert '"resolved"' not in lock
    assert lock.count('"integrity": "sha512-') == lock.count('"node_modules/')


TABLE = json.loads((Path(__file__).parents[2] / "webhook-cases.json").read_text())
SECRET = TABLE["cases"][0]["secret"]


def _signed(message_id, **data):
    """Return headers and body of a message, signed now by another implementation."""
    now = datetime.now(UTC).replace(microsecond=0)
    body = json.dumps({"type": "payment.settled", "timestamp": now.isoformat(), "data": data})
    headers = {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": standardwebhooks.Webhook(SECRET).sign(message_id, now, body),
    }
    return {"headers": headers, "content": body}


async def test_the_example_receives_each_message_once_and_the_newest_state(typescript: Path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        NODE,
        typescript / "examples/receive.js",
        str(port),
        env=os.environ | {"WEBHOOK_SECRET": SECRET},
        stdout=asyncio.subprocess.PIPE,
    )
    payment = {"payment_id": "1", "transaction_id": "tx-1", "status": "SUCCESS"}
    settled = _signed("m2", **payment, settlement_status="SETTLED", status_sequence=4)
    late = _signed("m1", **payment, settlement_status="SENT", status_sequence=3)
    altered = {**late, "content": late["content"].replace("SENT", "REJECTED")}
    transport = httpx.AsyncHTTPTransport(retries=6)  # until it listens
    url = f"http://127.0.0.1:{port}/"
    try:
        async with httpx.AsyncClient(transport=transport) as http:
            answers = [await http.post(url, **one) for one in (settled, settled, late, altered)]
    finally:
        process.terminate()
        output, _ = await process.communicate()
    assert [(one.status_code, one.text) for one in answers] == [(204, "")] * 3 + [(400, "no_match")]
    assert output.decode() == "payment.settled tx-1 SUCCESS SETTLED\n"
