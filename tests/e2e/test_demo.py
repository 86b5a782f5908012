"""The demonstration of `make demo`, on a system with state."""

import asyncio
import os
import sys

import pytest

from local_stack.stack import Stack

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


NOWHERE = 39_999
"""An offset at which no stack is ever started."""


async def play(system: Stack | None, **more: str) -> tuple[int, str]:
    offset = system.ports.offset if system else NOWHERE
    environment = {**os.environ, "COUNTERSIGN_OFFSET": str(offset), **more}
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


async def test_the_demonstration_shows_all_parts_with_the_expected_results(system: Stack):
    status, shown = await play(system)
    assert [text for text in SHOWN if text not in shown] == []
    assert (status, "NOT AS EXPECTED" in shown) == (0, False)


async def test_an_unexpected_result_makes_the_demonstration_fail(system: Stack):
    # The issuer confirms no payments.
    status, shown = await play(system, GATEWAY_URL=system.description().url("issuer"))
    assert status == 1
    assert "NOT AS EXPECTED" in shown
    assert "Everything was as expected" not in shown


async def test_without_a_system_the_demonstration_names_the_next_command():
    status, shown = await play(None)
    assert status == 2
    assert "make up" in shown
