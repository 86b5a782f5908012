"""Names of people and organisations, as clients write them."""

import unicodedata
from typing import Final

from payment_schemas.sealed import Personal

MOST_CHARACTERS: Final = 140
"""Source: ISO 20022, Max140Text of a party's name."""
_KINDS: Final = frozenset({"L", "M"})
_OTHERS: Final = frozenset(" .,'-&/()+\u2018\u2019\u02bc\u00b7\u2013")
"""What stands between the letters of a name, with typographic quotation marks, dot and dash."""


def person_name(text: str) -> Personal:
    """Return a name, composed (NFC); raise ValueError where it cannot be one.

    Allowed are letters and marks of every script, digits, a space and a few signs.
    """
    name = unicodedata.normalize("NFC", text)
    if not 1 <= len(name) <= MOST_CHARACTERS:
        raise ValueError(f"must be 1 to {MOST_CHARACTERS} characters")
    if not all(_is_allowed(character) for character in name):
        raise ValueError("must consist of letters, marks, digits, spaces and .,'-&/()+")
    if not any(unicodedata.category(character)[0] == "L" for character in name):
        raise ValueError("must have a letter")
    return Personal(name)


def _is_allowed(character: str) -> bool:
    kind = unicodedata.category(character)
    return kind[0] in _KINDS or kind == "Nd" or character in _OTHERS
