"""The day's budget of the model: reserved before a call, settled after it.

A process that dies between the two leaves its reservation: a day may end early, never late.
"""

from dataclasses import dataclass
from datetime import date
from typing import Protocol

from insight.domain.budget import Limits, Prices, Usage
from insight.domain.prompts import Prompt
from service_runtime import metrics
from service_runtime.clock import Clock
from service_runtime.ports import Database

_tokens = metrics.counter("model_tokens", "Tokens that the language model used, by kind.")
_nano_usd = metrics.counter("model_cost_nano_usd", "Nano-dollars that the language model cost.")


class Used(Protocol):
    """The tokens of a reply."""

    @property
    def input_tokens(self) -> int: ...
    @property
    def output_tokens(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Reserved:
    """What a call may use, of the day on which it began."""

    day: date
    most: Usage


class Budget:
    """Reservations in `model_day`; days are in UTC."""

    def __init__(self, database: Database, limits: Limits, prices: Prices, clock: Clock) -> None:
        self._database = database
        self._limits = limits
        self._prices = prices
        self._clock = clock

    async def reserve(self, prompt: Prompt, most_tokens: int) -> Reserved | None:
        """Reserve what a call may use at most; return None where the day does not admit it."""
        most, day = self._prices.usage(prompt.size, most_tokens), self._clock.now().date()
        if not self._limits.admit(most):
            return None
        async with self._database.transaction() as tx:
            rows = await tx.rows(
                """insert into model_day as day (day, tokens, nano_usd, calls)
                   values (%(day)s, %(tokens)s, %(nano_usd)s, 1)
                   on conflict (day) do update set calls = day.calls + 1,
                       tokens = day.tokens + excluded.tokens,
                       nano_usd = day.nano_usd + excluded.nano_usd
                   where day.tokens + excluded.tokens <= %(most_tokens)s
                     and day.nano_usd + excluded.nano_usd <= %(most_nano_usd)s
                   returning day""",
                day=day,
                tokens=most.tokens,
                nano_usd=most.nano_usd,
                most_tokens=self._limits.tokens,
                most_nano_usd=self._limits.nano_usd,
            )
        return Reserved(day, most) if rows else None

    async def settle(self, reserved: Reserved, completion: Used | None) -> None:
        """Replace a reservation by what was used; None: nothing was."""
        used = Usage(0, 0)
        if completion:
            used = self._prices.usage(completion.input_tokens, completion.output_tokens)
            _tokens.add(completion.input_tokens, {"kind": "input"})
            _tokens.add(completion.output_tokens, {"kind": "output"})
            _nano_usd.add(used.nano_usd)
        unused = reserved.most.less(used)
        async with self._database.transaction() as tx:
            await tx.run(
                """update model_day set tokens = greatest(0, tokens - %(tokens)s),
                       nano_usd = greatest(0, nano_usd - %(nano_usd)s) where day = %(day)s""",
                day=reserved.day,
                tokens=unused.tokens,
                nano_usd=unused.nano_usd,
            )

    async def used(self) -> Usage:
        """Return what today has used."""
        async with self._database.transaction() as tx:
            rows = await tx.rows(
                "select tokens, nano_usd from model_day where day = %(day)s",
                day=self._clock.now().date(),
            )
        return Usage(rows[0]["tokens"], rows[0]["nano_usd"]) if rows else Usage(0, 0)
