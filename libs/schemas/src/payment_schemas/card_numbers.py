"""Card numbers: refused in every id, because ids go to topics and logs and are kept for years."""

import re

SHORTEST = 13
"""Digits of the shortest card number."""

_RUN = re.compile(r"[0-9](?:[ .-]*[0-9])*", re.ASCII)
_SEPARATORS = re.compile(r"[ .-]")
_NUMBER = re.compile(r"[0-9]{13,19}", re.ASCII)
_HEX_ID = re.compile(
    r"(?<![0-9A-Za-z])(?:"
    r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}"
    r"|(?=[0-9]*[A-Fa-f])[0-9A-Fa-f]+"
    r")(?![0-9A-Za-z])"
)
"""A UUID, or a word of hexadecimal digits with a letter among them."""
_NEVER_ISSUED = ("0", "1", "7", "20", "21")
"""No card network issues numbers with these prefixes; counters, years and Unix times have them."""


def holds_card_number(text: str) -> bool:
    """Return whether a text is a card number or contains one.

    A card number has 13 to 19 digits that pass Luhn; spaces, dots and hyphens may stand between any
    two of them. A text that is only such a number is refused whatever its first digits are. Within
    a longer text, only a whole run of digits and separators can be a card number, and not one that
    begins with 0, 1, 7, 20 or 21 (a counter, a year, a Unix time). UUIDs and words of hexadecimal
    digits with a letter are skipped: one UUID in 8,000 would be refused by chance.
    Source: ISO/IEC 7812-1; contract.md, additions.
    """
    if len(text) < SHORTEST:
        return False
    if _is_number(_SEPARATORS.sub("", text)):
        return True
    runs = (_SEPARATORS.sub("", run) for run in _RUN.findall(_HEX_ID.sub("_", text)))
    return any(_is_number(run) and not run.startswith(_NEVER_ISSUED) for run in runs)


def _is_number(digits: str) -> bool:
    return _NUMBER.fullmatch(digits) is not None and passes_luhn(digits)


def passes_luhn(digits: str) -> bool:
    """Return whether the check digit is right. Source: ISO/IEC 7812-1, annex B."""
    doubled = [int(digit) * (1 + index % 2) for index, digit in enumerate(reversed(digits))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0
