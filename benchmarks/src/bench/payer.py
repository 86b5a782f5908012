"""The customers' flows: pay, pay with a code, repeat."""

import asyncio
import hashlib
from typing import Any

import orjson

from bench.client import Client
from bench.customers import Customers
from bench.names import name_of
from bench.operations import (
    CODE_REQUIRED,
    NO_RESPONSE,
    SUCCESS,
    Operation,
    Outcome,
    outcome_of,
)
from bench.scenarios import Scenario
from testbed.edge import CODE

GIVE_UP_AFTER_S = 15.0
"""Longer than the gateway's deadline of 10 s, so that its 202 arrives."""
REPEAT_EVERY = 10
_PATH = b"/payment/confirm"


class Payer:
    """Executes and logs operations."""

    def __init__(self, client: Client, customers: Customers, scenario: Scenario) -> None:
        self._client = client
        self._customers = customers
        self._run = scenario.run
        self._payees = scenario.payees
        self._names = scenario.new_names
        self.log: list[Operation] = []

    async def pay(self, number: int, intended_s: float) -> None:
        """Make one payment without a code."""
        payee = self._payees[number % len(self._payees)]
        fields = {} if self._names is None else {"to_name": name_of(self._run, number, self._names)}
        body = self._body(number, amount="50.00", to_account=payee, **fields)
        await self._call(number, intended_s, body)

    async def pay_with_code(self, number: int, intended_s: float) -> None:
        """Make one payment in two calls; the second follows the first response at once."""
        fields: dict[str, Any] = {"amount": "5200.00", "to_account": f"new-{self._run}-{number}"}
        first = await self._call(
            number, intended_s, self._body(number, **fields), expected=CODE_REQUIRED
        )
        if first.outcome is Outcome.OK:
            body = self._body(number, **fields, otp_code=CODE)
            await self._call(number, first.ended_s, body, step="code")

    async def pay_or_repeat(self, number: int, intended_s: float) -> None:
        """Make one payment; every tenth repeats an earlier one, still in flight or finished."""
        if number % REPEAT_EVERY != REPEAT_EVERY - 1 or number < 10 * REPEAT_EVERY:
            await self.pay(number, intended_s)
            return
        back = 1 if number // REPEAT_EVERY % 2 else 9 * REPEAT_EVERY + 1
        await self.pay(number - back, intended_s)

    def _body(self, number: int, **fields: Any) -> bytes:
        transaction_id = self._transaction_id(number)
        return orjson.dumps(
            {
                "transaction_id": transaction_id,
                "idempotency_key": hashlib.sha256(transaction_id.encode()).hexdigest(),
                "from_account": self._customers.of(number).account,
                **fields,
            }
        )

    def _transaction_id(self, number: int) -> str:
        return f"{self._run}-{number}"

    async def _call(
        self,
        number: int,
        intended_s: float,
        body: bytes,
        *,
        step: str = "order",
        expected: int = SUCCESS,
    ) -> Operation:
        loop = asyncio.get_running_loop()
        left_s = intended_s + GIVE_UP_AFTER_S - loop.time()
        status, latencies_by, outcome = NO_RESPONSE, b"", Outcome.UNKNOWN
        if left_s <= 0:
            # The timeout passed before it could be sent.
            outcome = Outcome.FAIL
        else:
            try:
                token = self._customers.of(number).token
                answer = await self._client.post(_PATH, token, body, left_s)
            except (TimeoutError, OSError):
                pass
            else:
                status, latencies_by = answer.status, answer.body
                outcome = outcome_of(status, expected)
        done = Operation(
            self._transaction_id(number),
            intended_s,
            loop.time(),
            outcome,
            status,
            latencies_by,
            step,
        )
        self.log.append(done)
        return done
