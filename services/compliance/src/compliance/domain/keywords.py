"""SQL-like keywords of conditions as operators of CEL.

Source: credit-platform.md writes `AND` and `IN`. Each operator is padded to the length of its
keyword, so that the position of an error is that of the condition as it was written.
"""

import re

OPERATORS = {"AND": "&& ", "OR": "||", "NOT": "!  ", "IN": "in"}
_TRIPLE = r"\"\"\"{}\"\"\"|'''{}'''"
_RAW = rf"[bB]?[rR][bB]?(?:{_TRIPLE.format('.*?', '.*?')}|\"[^\"\n]*\"|'[^'\n]*')"
_ESCAPED = r"(?:\\.|[^\\])*?"
_PLAIN = (
    rf"[bB]?(?:{_TRIPLE.format(_ESCAPED, _ESCAPED)}|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*')"
)
_SKIPPED = rf"{_RAW}|{_PLAIN}|`[^`\n]*`|//[^\n]*"
"""Strings (language definition of CEL, lexical syntax), quoted field names and comments."""
_TOKEN = re.compile(rf"(?P<skipped>{_SKIPPED})|(?P<word>(?:\.\s*)?[A-Za-z_]\w*)", re.DOTALL)


def in_cel(condition: str) -> str:
    """Return a condition with `AND`, `OR`, `NOT` and `IN` as operators, outside strings.

    Only words in capitals are keywords, and none behind a dot, which is a field's name.
    """
    return _TOKEN.sub(_translated, condition)


def _translated(found: "re.Match[str]") -> str:
    text = found.group()
    return text if found["skipped"] else OPERATORS.get(text, text)
