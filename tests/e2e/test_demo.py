"""`make demo`'s second half: the demonstration, twice, on a system that has state."""

import asyncio
import os
import sys

import pytest

from local_stack.stack import Stack
from testkit.edge import Edge

pytestmark = [pytest.mark.stack, pytest.mark.timeout(180)]

WITHIN_S = 80
SHOWN = (
    "OTP_REQUIRED",
    "Invalid OTP",
    "Idempotent-Replayed: true",
    "not_permitted",
    "Unknown account",
    "insufficient_funds",
    "REJECTED",
    "SETTLED",
    "789012 is your code",
    "Payment returned",
    "clearing:first-bank:USD",
    "SETTLEMENT_SETTLED",
    "Everything was as expected",
)


async def play(system: Stack) -> tuple[int, str]:
    environment = {**os.environ, "COUNTERSIGN_OFFSET": str(system.ports.offset)}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "ops.demo",
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await asyncio.wait_for(process.communicate(), WITHIN_S)
    assert process.returncode is not None
    return process.returncode, out.decode()


@pytest.mark.parametrize("run", ["first", "second"])
async def test_the_demonstration_shows_everything_and_is_as_expected(system: Stack, run):
    status, shown = await play(system)
    assert [text for text in SHOWN if text not in shown] == []
    assert (status, "NOT AS EXPECTED" in shown) == (0, False)


async def test_what_is_not_as_expected_makes_it_fail(system: Stack, edge: Edge):
    url = system.description().url("kyc")
    # Everybody's identity check fails for now: nothing can be confirmed.
    await edge.http.put(f"{url}/faults", json={"kind": "error", "rate": 1.0})
    try:
        status, shown = await play(system)
    finally:
        await edge.http.delete(f"{url}/faults")
    assert status == 1
    assert "NOT AS EXPECTED" in shown
