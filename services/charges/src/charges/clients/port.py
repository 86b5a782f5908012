"""The port of a payment provider, and what guards its calls."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol
from uuid import UUID

from charges.domain.cards import CardData
from charges.domain.charge import Charge
from charges.domain.disputes import DisputeNews
from charges.domain.refund import Refund
from charges.domain.replies import Kind, Reply
from service_runtime import metrics, tracing
from service_runtime.breaker import Breaker
from service_runtime.errors import Unavailable

_calls = metrics.counter("provider_calls", "Calls of payment providers, by kind of reply.")
_durations = metrics.histogram("provider.call.duration", "Calls of payment providers.")
_CHARGE, _REFUND = "chg-", "ref-"
_ID_HEX = 32


UNREADABLE = (AttributeError, KeyError, TypeError, ValueError)
"""What SDKs raise on a response that no provider sends, such as a proxy's 502: no answer."""


class BadWebhookError(Exception):
    """A webhook without a valid signature, or one that cannot be read."""


@dataclass(frozen=True, slots=True)
class DisputeReport:
    """What a webhook says of a dispute."""

    event_id: str
    news: DisputeNews


@dataclass(frozen=True, slots=True)
class Report:
    """What a webhook says of a charge's attempt, or of a refund."""

    event_id: str
    about: Literal["charge", "refund"]
    id: UUID
    attempt: int
    """Of the charge; 0 for a refund."""
    reply: Reply


def report_of(event_id: str, reference: str, reply: Reply) -> Report | None:
    """Return the report about a reference of ours; None where it is not ours."""
    stem, _, attempt = reference[4:].partition("-")
    try:
        row_id = UUID(hex=stem) if len(stem) == _ID_HEX else None
        number = int(attempt or 0)
    except ValueError:
        return None
    if row_id and reference.startswith(_CHARGE) and number:
        return Report(event_id, "charge", row_id, number, reply)
    if row_id and reference.startswith(_REFUND) and not attempt:
        return Report(event_id, "refund", row_id, 0, reply)
    return None


class Provider(Protocol):
    """One payment provider. No call raises: a failure is a reply, too.

    Each call has an idempotency key of our reference, so that a repeat has no second effect.
    """

    @property
    def is_open(self) -> bool:
        """Whether the provider is known to be down: its breaker is open."""
        ...

    async def store(self, reference: str, user_id: str, card: CardData) -> Reply:
        """Store a merchant's card; AUTHORIZED, with the provider's token as its reference."""
        ...

    async def forget(self, user_id: str, token: str) -> Reply:
        """Delete a merchant's stored card; CANCELLED, or NOT_FOUND where there is none any more."""
        ...

    async def authorize(self, charge: Charge) -> Reply:
        """Reserve the amount; a provider that can capture in one call does so for that goal."""
        ...

    async def capture(self, charge: Charge) -> Reply:
        """Capture what is reserved."""
        ...

    async def void(self, charge: Charge) -> Reply:
        """Release what is reserved."""
        ...

    async def refund(self, refund: Refund) -> Reply:
        """Refund an amount of a captured payment."""
        ...

    async def enquire(self, charge: Charge, *, may_execute: bool) -> Reply:
        """Return where a payment stands, by our reference.

        `may_execute`: a provider that replies to enquiries by the repeat of a request may do so.
        """
        ...

    async def enquire_refund(self, refund: Refund) -> Reply:
        """Return where a refund stands, by our reference."""
        ...

    def verify_webhook(
        self, body: bytes, headers: Mapping[str, str]
    ) -> Sequence[Report | DisputeReport]:
        """Return what a webhook says; raise BadWebhookError without a valid signature."""
        ...


class Guard:
    """Deadline, breaker, metrics and traces of one provider's calls."""

    def __init__(self, name: str, timeout_s: float, open_s: float) -> None:
        self._name = name
        self._timeout_s = timeout_s
        self._breaker = Breaker(open_s)
        metrics.gauge(
            f"breaker_state_{name}",
            "0 closed, 1 half open, 2 open.",
            lambda: float(self._breaker.shown(time.monotonic())),
        )

    @property
    def is_open(self) -> bool:
        """Whether a call would not be sent now."""
        return self._breaker.is_open(time.monotonic())

    async def run(self, what: str, call: Callable[[], Awaitable[Reply]]) -> Reply:
        """Return the reply of a call; NO_ANSWER past the deadline, NOT_SENT while it is open."""
        began_s = time.monotonic()
        if not self._breaker.admits(began_s):
            return Reply(Kind.NOT_SENT, "breaker_open")
        ok: bool | None = None
        try:
            with tracing.calling(f"{what} {self._name}", **{"server.name": self._name}):
                reply = await self._within(call)
            ok = reply.kind not in (Kind.NO_ANSWER, Kind.NOT_SENT)
        finally:
            self._breaker.ended(time.monotonic(), ok=ok)
        self._measure(what, reply, time.monotonic() - began_s)
        return reply

    async def _within(self, call: Callable[[], Awaitable[Reply]]) -> Reply:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await call()
        except TimeoutError:
            return Reply(Kind.NO_ANSWER, "timeout")
        except Unavailable:
            return Reply(Kind.NOT_SENT, "busy")

    def _measure(self, what: str, reply: Reply, took_s: float) -> None:
        _calls.add(1, {"provider": self._name, "call": what, "reply": reply.kind.value})
        _durations.record(took_s, {"provider": self._name, "call": what})
