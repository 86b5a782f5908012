"""Whether every number of an answer is in what it cites."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

_NUMBER = re.compile(r"\d+(?:[.:-]\d+)*")
_CITATION = re.compile(r" \[[a-z_]+, row \d+\]$", re.MULTILINE)


def numbers_in(text: str) -> set[str]:
    """Return the numbers of a text, as they are written."""
    return set(_NUMBER.findall(text))


def untraced(answer: str, evidence: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the numbers of an answer, without its citations, that no piece of evidence has."""
    known = {number for one in evidence for value in one.values() for number in _of(value)}
    return numbers_in(_CITATION.sub("", answer)) - known


def _of(value: Any) -> set[str]:
    return numbers_in(str(value))
