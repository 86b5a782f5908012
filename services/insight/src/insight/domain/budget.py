"""What a language model may use in a day, in tokens and in money. Money is in nano-dollars."""

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

NANO = 10**9
A_MILLION = 10**6


@dataclass(frozen=True, slots=True)
class Usage:
    """What a call used, or may use."""

    tokens: int
    nano_usd: int

    def less(self, other: "Usage") -> "Usage":
        """Return what is left of it, or minus what it was exceeded by."""
        return Usage(self.tokens - other.tokens, self.nano_usd - other.nano_usd)


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that a day may use."""

    tokens: int
    nano_usd: int

    @classmethod
    def of(cls, tokens: int, usd: Decimal) -> "Limits":
        """Return the limits; dollars are rounded down."""
        return cls(tokens, int(usd * NANO))

    def admit(self, usage: Usage) -> bool:
        """Return whether a usage is within the limits."""
        return usage.tokens <= self.tokens and usage.nano_usd <= self.nano_usd


@dataclass(frozen=True, slots=True)
class Prices:
    """Nano-dollars a token."""

    input: Decimal
    output: Decimal

    @classmethod
    def of(cls, input_usd: Decimal, output_usd: Decimal) -> "Prices":
        """Return the prices, from dollars for a million tokens."""
        return cls(input_usd * NANO / A_MILLION, output_usd * NANO / A_MILLION)

    def usage(self, input_tokens: int, output_tokens: int) -> Usage:
        """Return what a call uses; a fraction of a nano-dollar counts as a whole one."""
        exact = input_tokens * self.input + output_tokens * self.output
        nano_usd = int(exact.to_integral_value(ROUND_CEILING))
        return Usage(input_tokens + output_tokens, nano_usd)
