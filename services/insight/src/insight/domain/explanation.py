"""An explanation: by a template, or read from a model's reply and checked."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from insight.domain.glossary import RECOMMENDATIONS, meaning_of, recommended
from insight.domain.grounding import fault_of
from insight.domain.shape import Shape

Source = Literal["model", "template"]
MOST_REPLY = 8_000
"""Characters of a reply that are looked at; more is malformed."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Words about a shape; `reason` says why a template explains."""

    summary: str
    recommendations: tuple[str, ...]
    source: Source
    reason: str | None = None


class _Reply(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    summary: Annotated[str, Field(min_length=20, max_length=600)]
    factors: Annotated[list[str], Field(max_length=20)]
    recommendations: Annotated[list[str], Field(min_length=1, max_length=8)]


class UngroundedError(Exception):
    """A reply that is malformed, or says what its input does not; `reason` names which."""

    def __init__(self, reason: str, details: str) -> None:
        super().__init__(f"{reason}: {details}")
        self.reason = reason


def by_template(shape: Shape, reason: str) -> Explanation:
    """Return the explanation that needs no model. Equal shapes have equal words."""
    factors = "; ".join(
        f"{one.name} ({one.points:+d}): {meaning_of(one.name)}" for one in shape.factors
    )
    parts = [
        f"The score is {shape.score} of 100, the level {shape.level}.",
        f"What adds to it: {factors}." if factors else "No factor adds to it.",
        f"Sanctions screening: {shape.sanctions}. Identity: {shape.kyc}.",
    ]
    if shape.demands:
        parts.append(f"The rules of compliance demand: {', '.join(shape.demands)}.")
    texts = tuple(RECOMMENDATIONS[code] for code in recommended(shape))
    return Explanation(" ".join(parts), texts, "template", reason)


def from_reply(text: str, shape: Shape) -> Explanation:
    """Return a model's explanation; raise UngroundedError where anything is not in the shape."""
    if len(text) > MOST_REPLY:
        raise UngroundedError("malformed", "too long")
    try:
        reply = _Reply.model_validate_json(text)
    except ValidationError as error:
        raise UngroundedError("malformed", str(error.error_count())) from None
    if invented := set(reply.factors) - shape.names:
        raise UngroundedError("ungrounded", f"factors {sorted(invented)}")
    if invented := set(reply.recommendations) - set(recommended(shape)):
        raise UngroundedError("ungrounded", f"recommendations {sorted(invented)}")
    if fault := fault_of(reply.summary, shape):
        raise UngroundedError("ungrounded", fault)
    codes = dict.fromkeys(reply.recommendations)
    return Explanation(reply.summary, tuple(RECOMMENDATIONS[code] for code in codes), "model")
