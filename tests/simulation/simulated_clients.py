"""Simulated clients: their requests, responses and behaviours."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from simulated_encryption import code_tag, encrypted, is_encrypted
from simulated_names import name_of
from simulated_outside import Outside
from simulated_services import OTP_KEY, STATE_TIMEOUT

from notification.domain import letters_and_digits
from payment_schemas.events.confirmation import ConfirmAnswered, ConfirmRequested
from payment_schemas.events.otp import VerificationRequested
from payment_schemas.ids import RequestId, payment_id_of
from service_runtime import tracing
from service_runtime.messages import Cause, Emit, ProducerRecord
from service_runtime.sealing import Sealer
from testkit.simulation.broker import SimulatedProducer
from testkit.simulation.life import Life, Story
from testkit.simulation.processes import Quiet, Simulation

DEADLINE_S = 10.0
"""Timeout of a request; its outcome is unknown afterwards."""
MOST_ROUNDS = 60
SMS_WITHIN_S = 15.0


@dataclass(frozen=True)
class Order:
    """The payment of a client."""

    user: str
    account: str
    transaction: str
    key: str
    payee: str
    amount: str

    @property
    def payment_id(self) -> UUID:
        return payment_id_of(self.user, self.transaction)


@dataclass
class Asked:
    """One request: whether the broker has it, and all its replies."""

    order: Order
    code: str | None
    expires_at: datetime
    """After this time confirm must ignore it."""
    is_acknowledged: bool = False
    answers: list[ConfirmAnswered] = field(default_factory=list)


class Edge:
    """Replaces the gateway: publishes commands, receives replies, and logs both."""

    def __init__(self, simulation: Simulation, outside: Outside) -> None:
        self.simulation = simulation
        self.outside = outside
        self.log: dict[RequestId, Asked] = {}
        self._waiting: dict[RequestId, asyncio.Future[ConfirmAnswered]] = {}
        story = Story(simulation.loop, Quiet())
        self._life = Life("gateway", 0, story, lambda _life, _crash: None)
        self._producer = SimulatedProducer(simulation.broker, self._life)
        self._sealer = Sealer(OTP_KEY)
        simulation.broker.watches[ConfirmAnswered.topic].append(self._hear)

    def _hear(self, record) -> None:
        answer = ConfirmAnswered.model_validate_json(record.value)
        self.simulation.story.note(f"{answer.request_id} {answer.status}")
        self.log[answer.request_id].answers.append(answer)
        waiting = self._waiting.pop(answer.request_id, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    async def post(self, order: Order, code: str | None = None) -> ConfirmAnswered | None:
        """Publish a command and wait; None without a reply in time."""
        request_id = RequestId(self.simulation.clock.new_id())
        expires_at = self.simulation.clock.now() + STATE_TIMEOUT
        self.log[request_id] = Asked(order, code, expires_at)
        waiting = self._waiting[request_id] = self.simulation.loop.create_future()
        try:
            async with asyncio.timeout(DEADLINE_S):
                with tracing.serving("POST /payment/confirm", {}, may_begin=True):
                    await self._send(self._command(request_id, order, code), request_id)
                    return await waiting
        except TimeoutError:
            return None

    def _command(self, request_id: RequestId, order: Order, code: str | None) -> ConfirmRequested:
        return ConfirmRequested(
            request_id=request_id,
            reply_partition=0,
            user_id=order.user,
            transaction_id=order.transaction,
            idempotency_key=order.key,
            expires_at=self.log[request_id].expires_at,
            **self._body(order, code),
        )

    def _body(self, order: Order, code: str | None) -> dict[str, str]:
        """Return the fields that the gateway fills in from a plain or an encrypted request."""
        body = {"amount": order.amount, "from_account": order.account, "to_account": order.payee}
        name = name_of(order.payee)
        if is_encrypted(order.payment_id):
            given = {"otp_code": code} if code else {}
            given |= {"to_name": name} if name else {}
            fields = {"transaction_id": order.transaction, **body, **given}
            return {"encrypted": encrypted(order.user, fields, self.simulation.clock)}
        if name is not None:
            body["sealed_to_name"] = self._sealer.seal(name, order.payment_id)
        if code is None:
            return body
        sealed = self._sealer.seal(code, order.payment_id)
        return {**body, "sealed_code": sealed, "code_tag": code_tag(order.payment_id, code)}

    async def _send(self, event, request_id: UUID) -> None:
        now, cause = self.simulation.clock.now(), Cause(request_id, tracing.current_trace())
        outgoing, span = tracing.sending(Emit(event, cause).outgoing("gateway", now))
        sent = await self._producer.send(outgoing)
        span.end()
        sent.add_done_callback(lambda _: self._acknowledge(request_id))

    def _acknowledge(self, request_id: UUID) -> None:
        if request_id in self.log:
            self.log[request_id].is_acknowledged = True

    async def guess(self, order: Order, challenge_id: UUID, code: str) -> None:
        """Publish a code directly to otp's topic, bypassing the gateway."""
        request_id = RequestId(self.simulation.clock.new_id())
        event = VerificationRequested(
            payment_id=order.payment_id,
            user_id=order.user,
            transaction_id=order.transaction,
            version=0,
            challenge_id=challenge_id,
            request_id=request_id,
            sealed_code=self._sealer.seal(code, order.payment_id),
            expires_at=self.simulation.clock.now() + STATE_TIMEOUT,
        )
        await self._send(event, request_id)

    async def poison(self, topic: str) -> None:
        """Publish a foreign record."""
        await self._producer.send(
            ProducerRecord(topic, b"poison", b"\xff\x00", (("ce_id", b"\xfe"),))
        )

    def code_of(self, order: Order) -> str | None:
        """Return the newest code for an order."""
        found, payee = None, letters_and_digits(order.payee)
        for message in self.outside.messenger.kept.values():
            text = message.text.reveal()
            if f"to {payee}." in text and re.match(r"\d{6} is your code", text):
                found = text[:6]
        return found


def is_final(answer: ConfirmAnswered) -> bool:
    """Say whether a response is the final one of its key."""
    if answer.status not in (200, 403):
        return False
    return json.loads(answer.body).get("status") in ("SUCCESS", "DECLINED")


def asks_for_code(answer: ConfirmAnswered) -> bool:
    return answer.status == 403 and "OTP_REQUIRED" in answer.body


class Client:
    """A client with one order, who repeats requests."""

    def __init__(self, edge: Edge, order: Order) -> None:
        self.edge = edge
        self.order = order
        self.clock = edge.simulation.clock

    async def insist(self, code: str | None = None, order: Order | None = None):
        """Post until a response is final; None without one."""
        for _ in range(MOST_ROUNDS):
            answer = await self.edge.post(order or self.order, code)
            if answer is not None and answer.status not in (409, 429):
                return answer
            await asyncio.sleep(1.0 + self.clock.jitter())
        return None

    async def read_code(self) -> str | None:
        """Wait for the text message."""
        for _ in range(int(SMS_WITHIN_S / 0.5)):
            if (code := self.edge.code_of(self.order)) is not None:
                return code
            await asyncio.sleep(0.5)
        return None

    async def pay(self, wrong: int = 0) -> ConfirmAnswered | None:
        """Complete the payment, with some wrong codes first."""
        for _ in range(MOST_ROUNDS):
            answer = await self.insist()
            if answer is None or is_final(answer) or not asks_for_code(answer):
                return answer
            code = await self.read_code()
            if code is None:
                continue
            if wrong > 0:
                wrong -= 1
                code = other_than(code)
            answer = await self.insist(code)
            if answer is not None and is_final(answer):
                return answer
            await asyncio.sleep(1.0 + self.clock.jitter())
        return None


def other_than(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06}"


Script = Callable[[Client], Awaitable[object]]


async def plain(client: Client) -> None:
    """Pay, then repeat the request."""
    await client.pay()
    await client.insist()


async def mistaken(client: Client) -> None:
    await client.pay(wrong=2)


async def guessing(client: Client) -> None:
    """Send wrong codes until no more are accepted."""
    await client.pay(wrong=20)


async def impatient(client: Client) -> None:
    """Post several times concurrently."""
    await asyncio.gather(*[client.edge.post(client.order) for _ in range(3)])
    await client.pay()


async def greedy(client: Client) -> None:
    """Pay; meanwhile request a larger amount with the same key and the correct code."""
    more = replace(client.order, amount="9999.00")
    answer = await client.insist()
    if answer is not None and asks_for_code(answer):
        code = await client.read_code()
        await client.insist(code, more)
    await client.pay()
    await client.insist(None, more)


async def reusing(client: Client) -> None:
    """Use one key for two transactions, and two keys for one transaction."""
    await client.pay()
    await asyncio.sleep(client.clock.jitter() * 20)
    other = replace(client.order, transaction=client.order.transaction + "-b")
    await client.edge.post(other)
    await client.edge.post(replace(client.order, key=client.order.key + "-b"))
    await client.insist()


async def besieged(client: Client) -> None:
    """An attacker sends guesses to otp while the client pays."""
    answer = await client.insist()
    if answer is not None and asks_for_code(answer):
        code = await client.read_code()
        challenge = client.edge.simulation.storages["otp"].tables.own["challenge"]
        mine = [
            one for one in challenge.values() if one.payment.payment_id == client.order.payment_id
        ]
        if code is not None and mine:
            for _ in range(12):
                await client.edge.guess(client.order, mine[-1].id, other_than(code))
    await client.pay()


async def unreached(client: Client) -> None:
    """Start without a contact; continue once there is one."""
    outside = client.edge.outside
    outside.unreachable.add(client.order.user)
    await client.insist()
    outside.unreachable.discard(client.order.user)
    await client.pay()


async def leaving(client: Client) -> None:
    """Post once, without reading the reply."""
    await client.edge.post(client.order)


SCRIPTS: dict[str, Script] = {
    script.__name__: script
    for script in (
        plain, mistaken, guessing, impatient, greedy, reusing, besieged, unreached, leaving,
    )
}  # fmt: skip
