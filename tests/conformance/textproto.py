"""The text format of protocol buffers, as far as the CEL conformance files use it."""

import re
from collections.abc import Iterator
from typing import Any

_TOKEN = re.compile(
    r"""\s+|\#[^\n]*|(?P<string>(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'))"""
    r"""|(?P<mark>[{}\[\]:,;<>])|(?P<word>[^\s{}\[\]:,;<>"'\#]+)"""
)
_PLAIN = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
Message = dict[str, list[Any]]


def parsed(text: str) -> Message:
    """Return the fields of a message by name; each has a list of its values."""
    return _message(_tokens(text))


def _tokens(text: str) -> Iterator[str]:
    place = 0
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            raise ValueError(f"not text format at character {place}")
        place = found.end()
        if found.lastgroup:
            yield found.group()


def _message(tokens: Iterator[str], end: str = "") -> Message:
    fields: Message = {}
    name = next(tokens, "")
    while name != end:
        if name in {",", ";"}:
            name = next(tokens, "")
            continue
        if name == "[":
            # The type of an Any: `[type.googleapis.com/x] { … }`.
            name = next(tokens)
            next(tokens)
        value, name_after = _value(tokens)
        fields.setdefault(name, []).append(value)
        name = name_after
    return fields


def _value(tokens: Iterator[str]) -> tuple[Any, str]:
    token = next(tokens)
    if token == ":":
        token = next(tokens)
    if token == "{":
        return _message(tokens, "}"), next(tokens, "")
    if token[0] not in "\"'":
        return token, next(tokens, "")
    text = _literal(token)
    while (token := next(tokens, ""))[:1] in {'"', "'"}:
        text += _literal(token)
    return text, token


def _literal(token: str) -> bytes:
    """Return a string's bytes: escapes are those of C, text is UTF-8."""
    quoted = token[1:-1].encode()
    return re.sub(
        rb"\\([0-7]{1,3}|x[0-9A-Fa-f]{1,2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)", _escaped, quoted
    )


def _escaped(found: "re.Match[bytes]") -> bytes:
    code = found[1].decode()
    if code[0] in "01234567":
        return bytes([int(code, 8)])
    if code[0] == "x":
        return bytes([int(code[1:], 16)])
    if code[0] in "uU" and len(code) > 1:
        return chr(int(code[1:], 16)).encode()
    return _PLAIN.get(code, code).encode()
