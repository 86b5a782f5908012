"""What a question names: a payment, a user, a status, a period."""

import re
import unicodedata
from dataclasses import dataclass

DEFAULT_DAYS = 30
MOST_DAYS = 400
_PROCEDURE = re.compile(
    r"(?:(?:and|so|please|hi|hello|ok),?\s+)*(?:"
    r"how (?:do|can|should|to|does|is|are|long|often)\b"
    r"|what (?:does|do|should|to|happens|means)\b"
    r"|which (?:alert|runbook|error|reason|document|key)|who (?:may|can|should)\b"
    r"|(?:when|where) (?:do|does|is|are|can|should|will)\b|why "
    r"|what(?:'s| is) (?:an?|the (?:meaning|purpose|difference))\b|explain |describe )"
)
"""How something is done, or what it means: it may name passwords without asking for one."""
USER = re.compile(
    r"\b(?:usr|user|cs|cust|customer|client|tenant|merchant)[-_:#]\w(?:[\w.-]*\w)?", re.IGNORECASE
)
_UUID = r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"
_TRANSACTION = re.compile(
    rf"\b({_UUID})\b"
    r"|\b(txn?[-_:][a-z0-9._:-]*[a-z0-9]|(?:pay|order|inv)[-_:][a-z0-9._:-]*\d)\b"
    r"|\b(?:payment|transaction|transfer)\s+(?:id\s+|number\s+|no\.?\s+)?"
    r"((?=[a-z._:-]*\d)[a-z0-9._:-]{3,63}[a-z0-9])\b",
    re.IGNORECASE,
)
_NUMBERS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve"),
)
SPAN = re.compile(
    r"\b(?:last|past|previous|recent|in|within|over|during|for)(?:\s+the)?\s+(?:(?:last|past)\s+)?"
    rf"(\d{{1,4}}|{'|'.join(_NUMBERS)})\s+(day|week|month)s?\b"
)
_DAYS_OF = {"day": 1, "week": 7, "month": 30}
_PERIODS = {
    "today": (0, 0),
    "yesterday": (1, 1),
    "week": (6, 0),
    "month": (29, 0),
    "quarter": (89, 0),
    "year": (364, 0),
    "ever": (MOST_DAYS - 1, 0),
    "far": (MOST_DAYS - 1, 0),
}
DECLINED = (
    r"(?:declin\w+|refused|refusals?|reject(?:ed|ions?)|fail(?:ed|s|ing|ures?)?|denied"
    r"|turned down)\b"
)
_STATUSES = {
    "SUCCESS": re.compile(r"\b(?:succe\w+|confirmed|went through|completed|accepted)\b"),
    "DECLINED": re.compile(rf"\b{DECLINED}"),
    "OTP_REQUIRED": re.compile(r"\b(?:wait\w* for (?:a |the )?(?:one-time )?code|need\w* a code)"),
}


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a question names. Days are counted back from today, in UTC; both ends are included."""

    transaction: str | None = None
    user: str | None = None
    status: str | None = None
    from_days: int = DEFAULT_DAYS - 1
    to_days: int = 0


def plain(question: str) -> str:
    """Return a question in small letters, without accents, with plain quotes and single spaces."""
    text = unicodedata.normalize("NFKD", question).lower().replace("\u2019", "'")
    return " ".join("".join(one for one in text if not unicodedata.combining(one)).split())


def is_procedure(question: str) -> bool:
    """Return whether a question is about how something is done, or what something means."""
    return bool(_PROCEDURE.match(plain(question)))


def parameters_of(question: str) -> Parameters:
    """Return what a question names; an id as it was written."""
    text = plain(question)
    found = _TRANSACTION.search(question)
    transaction = next((one for one in found.groups() if one), None) if found else None
    user = USER.search(question)
    status = next((name for name, words in _STATUSES.items() if words.search(text)), None)
    return Parameters(transaction, user[0] if user else None, status, *_period(text))


def _period(text: str) -> tuple[int, int]:
    if found := SPAN.search(text):
        number = _NUMBERS.index(found[1]) if found[1] in _NUMBERS else int(found[1])
        days = number * _DAYS_OF[found[2]]
        return max(1, min(days, MOST_DAYS)) - 1, 0
    words = re.findall(r"[a-z]+", text)
    return next((span for word, span in _PERIODS.items() if word in words), (DEFAULT_DAYS - 1, 0))
