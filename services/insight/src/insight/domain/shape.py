"""The shape of a risk: all that an explanation may be about. No person, account, amount or text."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from payment_schemas.events.risk import RiskAssessed

OTHER = "other"
"""Of a factor whose name is not one of ours to show: a name is a word, never a text."""
MOST_FACTORS = 20
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}\Z")
_NUMBER = re.compile(r"\d+")
_RULE = "rule_"


@dataclass(frozen=True, slots=True)
class Contribution:
    """A factor and its points."""

    name: str
    points: int

    @property
    def numbers(self) -> frozenset[int]:
        """The numbers that may be said of it: its points, and those in its name."""
        return frozenset({self.points, *map(int, _NUMBER.findall(self.name))})


@dataclass(frozen=True)
class Shape:
    """A risk without whom it is about. Payments of one shape have one explanation."""

    score: int
    level: str
    factors: tuple[Contribution, ...]
    sanctions: str
    kyc: str
    demands: tuple[str, ...] = ()

    @cached_property
    def key(self) -> str:
        """The hash of the shape."""
        text = json.dumps(self.as_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def names(self) -> frozenset[str]:
        """The names of its factors."""
        return frozenset(one.name for one in self.factors)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it; `shape_from` reads it."""
        return {
            "score": self.score,
            "level": self.level,
            "factors": [{"name": one.name, "points": one.points} for one in self.factors],
            "sanctions": self.sanctions,
            "kyc": self.kyc,
            "demands": list(self.demands),
        }


def shape_of(event: RiskAssessed) -> Shape:
    """Return the shape of an assessed payment."""
    return Shape(
        score=event.score,
        level=event.level,
        factors=tuple(_contributions(event)),
        sanctions=event.sanctions,
        kyc=event.kyc,
        demands=tuple(event.rules),
    )


def shape_from(fields: Mapping[str, Any]) -> Shape:
    """Return the shape that `as_dict` made. Raises KeyError or TypeError for anything else."""
    factors = tuple(Contribution(**one) for one in fields["factors"])
    demands = tuple(fields["demands"])
    rest = {name: fields[name] for name in ("score", "level", "sanctions", "kyc")}
    return Shape(factors=factors, demands=demands, **rest)


def is_rule(name: str) -> bool:
    """Return whether a factor is a rule of compliance that fired."""
    return name.startswith(_RULE)


def _contributions(event: RiskAssessed) -> Iterator[Contribution]:
    for factor in event.factors[:MOST_FACTORS]:
        name = factor.name if _NAME.match(factor.name) else OTHER
        yield Contribution(name, factor.points)
