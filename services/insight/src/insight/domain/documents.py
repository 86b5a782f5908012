"""Documents as passages: one a section, found by the words of its document, heading and text."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

Audience = Literal["all", "operators"]
MOST_CHARACTERS = 1800
"""Of a passage; a longer section is cut at a line."""
LEAST_COVERAGE = 0.5
"""Of what a question asks for, the share that a passage must have: rare words count more."""
_HEADING = re.compile(r"^#{1,3} +(.+)$", re.MULTILINE)
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_ASKING = {
    *("alert", "alerts", "describe", "exactly", "explain", "fire", "fires", "follow", "handle"),
    *("happen", "happens", "know", "like", "look", "mean", "meaning", "means", "need", "please"),
    *("raise", "raised", "react", "runbook", "runbooks", "want", "wonder"),
}
_FENCE = re.compile(r"^```.*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Passage:
    """A section of a document."""

    source: str
    audience: Audience
    title: str
    body: str


def passages_of(source: str, audience: Audience, text: str) -> Iterator[Passage]:
    """Yield the sections of a Markdown document."""
    parts = _HEADING.split(text)
    name = parts[1] if len(parts) > 1 else source
    for heading, body in zip(parts[1::2], parts[2::2], strict=False):
        title = name if heading == name else f"{name}: {heading}"
        # A name such as WorkParked is found by its words, too.
        spaced = _CAMEL.sub(" ", name)
        title += f" ({spaced})" if spaced != name else ""
        for part in _cut(_FENCE.sub("", body).strip()):
            yield Passage(source, audience, title, part)


def subject_of(question: str) -> str:
    """Return a question without the words that only ask; all of it where nothing else is left."""
    words = question.split()
    kept = [word for word in words if word.strip(".,;:?!'\"").lower() not in _ASKING]
    return " ".join(kept) or question


def digest_of(passages: Iterable[Passage]) -> str:
    """Return the hash of all passages."""
    digest = hashlib.sha256()
    for one in passages:
        digest.update(f"{one.source}\0{one.audience}\0{one.title}\0{one.body}\0".encode())
    return digest.hexdigest()


def _cut(body: str) -> Iterator[str]:
    part = ""
    for line in body.splitlines():
        if part and len(part) + len(line) > MOST_CHARACTERS:
            yield part
            part = ""
        part += line + "\n"
    if part.strip():
        yield part
