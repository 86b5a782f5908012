"""A runbook's text in parts: headings, paragraphs, items and commands. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

_FENCE = "```"
_ALONE = re.compile(r"^(## .*|(?=[*-] ))", re.MULTILINE)
"""Where a part begins without an empty line before it: a heading, which is one line, or an item."""
_BETWEEN = re.compile(r"\n\s*\n")
_MARKS = {"## ": "heading", "* ": "item", "- ": "item"}


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a runbook."""

    kind: Literal["heading", "text", "item", "code"]
    text: str

    @property
    def spans(self) -> list[tuple[bool, str]]:
        """The text in pieces, each with whether it is code: what stood between backticks."""
        pieces = enumerate(self.text.split("`"))
        return [(number % 2 == 1, piece) for number, piece in pieces if piece]


def parts_of(text: str) -> list[Part]:
    """Return the parts of a text; the lines of a paragraph are one part."""
    pieces = enumerate(text.split(_FENCE))
    return [part for number, piece in pieces for part in (_code, _prose)[number % 2 == 0](piece)]


def _code(piece: str) -> Iterator[Part]:
    """Yield the commands; the first line names their language."""
    yield Part("code", piece.partition("\n")[2].rstrip())


def _prose(piece: str) -> Iterator[Part]:
    for block in _BETWEEN.split(_ALONE.sub(r"\n\n\1\n", piece)):
        if block.lstrip().startswith("|"):
            yield Part("code", block.strip())  # a table keeps its lines
            continue
        words = " ".join(block.split())
        mark = words[: words.find(" ") + 1]
        match _MARKS.get(mark):
            case "heading":
                yield Part("heading", words.removeprefix(mark))
            case "item":
                yield Part("item", words.removeprefix(mark))
            case _ if words:
                yield Part("text", words)
