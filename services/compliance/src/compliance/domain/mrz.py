"""The machine-readable zone of travel documents: read, and compared with what a person states.

Source: ICAO Doc 9303, parts 3 to 6 (check digits: part 3, 4.9; transliteration: part 3, 6). Pure.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date

_WEIGHTS = (7, 3, 1)
_LINE = re.compile(r"[A-Z0-9<]+\Z")
_DIGITS = re.compile(r"\d{6}\Z")
_SHAPES = {(2, 44): "TD3", (2, 36): "TD2", (3, 30): "TD1"}
_TWO_LETTERS = str.maketrans(
    {"Ä": "AE", "Å": "AA", "Æ": "AE", "Ö": "OE", "Ø": "OE", "Ü": "UE", "ß": "SS", "Þ": "TH",
     "Ĳ": "IJ", "Œ": "OE", "Ñ": "N", "Đ": "D", "Ð": "D", "Ħ": "H", "Ł": "L", "Ŧ": "T",
     "\u0131": "I", "ẞ": "SS"}
)  # fmt: skip
_ONE_LETTER = str.maketrans(
    {"Æ": "A", "Ø": "O", "Œ": "O", "ß": "SS", "ẞ": "SS", "Þ": "TH", "Đ": "D", "Ð": "D", "Ħ": "H",
     "Ł": "L", "Ŧ": "T", "\u0131": "I", "Ĳ": "IJ"}
)  # fmt: skip


class MrzError(ValueError):
    """The zone cannot be read, or does not agree; the text names what, and no value."""


@dataclass(frozen=True, slots=True)
class Zone:
    """What a zone says; its check digits are right."""

    document_code: str
    issuer: str
    number: str = field(repr=False)
    nationality: str
    surname: str = field(repr=False)
    given_names: str = field(repr=False)
    birth: date = field(repr=False)
    expiry: date
    is_cut: bool
    """The names fill their field: the last one may be cut off."""


@dataclass(frozen=True, slots=True)
class _Parts:
    code: str
    issuer: str
    number: str
    number_digit: str
    nationality: str
    birth: str
    expiry: str
    names: str
    composite: str
    composite_digit: str


def zone_of(text: str, today: date) -> Zone:
    """Return what a zone says; raise MrzError with the first part that is wrong.

    Spaces are left out and letters are read in capitals, as people type them.
    """
    lines = [re.sub(r"\s", "", line).upper() for line in text.strip().splitlines()]
    shape = _SHAPES.get((len(lines), len(lines[0]) if lines else 0))
    if shape is None or len({len(line) for line in lines}) != 1:
        raise MrzError("must be two lines of 44 or 36 characters, or three of 30")
    if not all(_LINE.match(line) for line in lines):
        raise MrzError("may hold A to Z, 0 to 9 and < alone")
    parts = _of_cards(lines) if shape == "TD1" else _of_two_lines(lines)
    _check("document number", parts.number, parts.number_digit)
    for name, value in (("date of birth", parts.birth), ("date of expiry", parts.expiry)):
        _check(name, value[:6], value[6])
    _check("whole", parts.composite, parts.composite_digit)
    surname, _, given = parts.names.partition("<<")
    if not surname.strip("<"):
        raise MrzError("name: is missing")
    return Zone(
        document_code=parts.code.rstrip("<"),
        issuer=parts.issuer.rstrip("<"),
        number=parts.number.rstrip("<"),
        nationality=parts.nationality.rstrip("<"),
        surname=_words(surname),
        given_names=_words(given),
        birth=_date("date of birth", parts.birth, today, is_past=True),
        expiry=_date("date of expiry", parts.expiry, today),
        is_cut=not parts.names.endswith("<"),
    )


def check_digit(text: str) -> str:
    """Return the check digit of a text of A to Z, 0 to 9 and <."""
    return str(sum(_value(one) * _WEIGHTS[i % 3] for i, one in enumerate(text)) % 10)


def disagreements(zone: Zone, surname: str, given_names: str, birth: date) -> Iterator[str]:
    """Yield the names of what a person states otherwise than the zone.

    A zone has Latin capitals alone, perhaps further given names, and cuts long names off: each name
    that is stated must be in it, in either transliteration that countries use.
    """
    if not _agrees(surname, zone.surname, is_cut=zone.is_cut and not zone.given_names):
        yield "surname"
    if not _agrees(given_names, zone.given_names, is_cut=zone.is_cut, may_have_more=True):
        yield "given names"
    if zone.birth != birth:
        yield "date of birth"


def _of_two_lines(lines: list[str]) -> _Parts:
    first, second = lines
    end = len(second) - 1
    return _Parts(
        code=first[:2],
        issuer=first[2:5],
        number=second[:9],
        number_digit=second[9],
        nationality=second[10:13],
        birth=second[13:20],
        expiry=second[21:28],
        names=first[5:],
        composite=second[:10] + second[13:20] + second[21:end],
        composite_digit=second[end],
    )


def _of_cards(lines: list[str]) -> _Parts:
    first, second, third = lines
    number, digit, further = first[5:14], first[14], first[15:].rstrip("<")
    if digit == "<" and further:
        # A longer number goes on in the optional field, and ends with its check digit.
        number, digit = number + further[:-1], further[-1]
    return _Parts(
        code=first[:2],
        issuer=first[2:5],
        number=number,
        number_digit=digit,
        nationality=second[15:18],
        birth=second[:7],
        expiry=second[8:15],
        names=third,
        composite=first[5:] + second[:7] + second[8:15] + second[18:29],
        composite_digit=second[29],
    )


def _check(name: str, text: str, digit: str) -> None:
    if check_digit(text) != digit:
        raise MrzError(f"{name}: the check digit is wrong")


def _value(one: str) -> int:
    return 0 if one == "<" else int(one, 36)


def _date(name: str, text: str, today: date, *, is_past: bool = False) -> date:
    """Return a date of two digits a year: documents end in this century, births are no future."""
    if not _DIGITS.match(text[:6]):
        raise MrzError(f"{name}: must be known to the day")
    year, month, day = 2000 + int(text[:2]), int(text[2:4]), int(text[4:6])
    try:
        found = date(year, month, day)
        return found.replace(year=year - 100) if is_past and found > today else found
    except ValueError:
        raise MrzError(f"{name}: is no date") from None


def _agrees(stated: str, zone: str, *, is_cut: bool, may_have_more: bool = False) -> bool:
    return any(
        _contains(zone.split(), words.split(), is_cut=is_cut, may_have_more=may_have_more)
        for words in (_letters(stated, _TWO_LETTERS), _letters(stated, _ONE_LETTER))
    )


def _contains(zone: list[str], stated: list[str], *, is_cut: bool, may_have_more: bool) -> bool:
    """Return whether the words are those of the zone, in order."""
    left = iter(zone)
    for number, word in enumerate(stated):
        found = next((one for one in left if one == word or not may_have_more), None)
        if found == word:
            continue
        last = zone[-1] if zone else ""
        return is_cut and number >= len(zone) - 1 and word.startswith(last)
    return bool(stated) == bool(zone) and (may_have_more or next(left, None) is None)


def _words(field_text: str) -> str:
    return " ".join(field_text.replace("<", " ").split())


def _letters(name: str, table: dict[int, str]) -> str:
    """Return a name as a zone would have it."""
    capitals = unicodedata.normalize("NFC", name).upper().translate(table)
    plain = unicodedata.normalize("NFKD", capitals)
    kept = (one for one in plain if not unicodedata.combining(one))
    # An apostrophe is left out, a hyphen is a filler (part 3, 4.6).
    return " ".join(re.sub(r"[^A-Z]+", " ", re.sub(r"['\u2019.]", "", "".join(kept))).split())
