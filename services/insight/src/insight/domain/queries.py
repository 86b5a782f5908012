"""The prepared queries: what each is about, which questions it answers, and how its rows read."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from insight.domain.questions import DECLINED, Parameters, is_procedure, plain
from insight.domain.vocabulary import is_understood

Row = Mapping[str, Any]
_STRONG = re.compile(
    r"\b(?:how many|number of|count|total|sum|average|largest|biggest|highest|greatest|latest"
    r"|newest|most (?:recent|common|often|frequent)|history|per day|each day|by day"
    r"|daily|busiest|list|show|spread"
    r"|volume|share)\b|\bhow much (?!time|longer)"
    r"|\bhow often (?:was|were|did|have|am|are) (?:i|we|my)\b"
)
"""Words that ask for a figure, whatever the question begins with."""
_ABOUT = re.compile(
    r"\b(?:pay\w*|paid|spen[dt]\w*|bought|purchases?|totals?|money|sen[dt]|costs?|pending|unsettled|transact\w*|transfers?|declin\w*|risk\w*|scores?|factors?|settl\w*|explain\w*|explanations?|customers?|users?|volume)\b"
)
_ASKS = re.compile(
    r"\b(?:what|how|why|which|whose|who|where|when|means?|meaning|explain|describe|is|are|does|do|can"
    r"|should|may)\b"
)
"""Words without which a text is no question about documents."""
_WHY_DECLINED = re.compile(
    r"\bwhy (?:were|are|was|have|did|do)\b.*\b(?:payments?|transactions|transfers|purchases)\b"
    rf".*\b{DECLINED}"
)
_RISK = re.compile(r"\b(?:risk\w*|scor\w*|factors?|level|explain\w*|explanation|flagged)\b")


@dataclass(frozen=True, slots=True)
class Query:
    """A prepared query; `store.figures` has its SQL."""

    about: str
    words: re.Pattern[str]
    """A question that has them is answered by it; the first of the list that matches."""
    say: Callable[[Row], str]
    """The words of one row."""
    is_of_period: bool = True
    takes_id: bool = False
    is_for_operators: bool = False


def _query(about: str, words: str, say: str, **more: Any) -> Query:
    return Query(about, re.compile(words), say.format_map, **more)


QUERIES: Mapping[str, Query] = {
    "risk": _query(
        "score, level, factors and explanation of the payment that the question names",
        r"(?!)",
        "{transaction_id}: score {score} of 100, level {level}. {summary}",
        is_of_period=False, takes_id=True,
    ),
    "payment": _query(
        "status, amount, settlement and reason of the payment that the question names",
        r"(?!)",
        "{transaction_id}: {amount} {currency}, status {status}, settlement {settlement_status},"
        " reason {reason}, made {created_at}",
        is_of_period=False, takes_id=True,
    ),
    "users": _query(
        "users with the most payments",
        r"\b(?:which|what|top|who|most active)\b.*\b(?:users?|customers?)\b|\busers?\b.*\bmost\b",
        "{user_id}: {count} payments",
        is_for_operators=True,
    ),
    "sources": _query(
        "how many explanations are by the model and by the template, and why",
        r"\b(?:explanations?|templates?|explained)\b",
        "{source} ({reason}): {count} explanations",
        is_for_operators=True,
    ),
    "factors": _query(
        "the factors of risk that occurred most often",
        r"\bfactors\b|\bmost\b.*\bfactor\b|\bfactor\b.*\bmost\b", "{name}: {count} payments",
    ),
    "levels": _query(
        "how many payments have each level of risk",
        r"\brisk levels?\b|\blevels? of risk\b|\bby level\b|\b(?:high|critical|medium|low)[- ]risk"
        r"|\brisk(?:y|iest)\b|\bcritical\b|\bscores?\b",
        "{level}: {count} payments, average score {average}",
    ),
    "reasons": _query(
        "why payments were declined, and how often",
        rf"\b(?:why|reasons?)\b.*\b{DECLINED}|\b{DECLINED}.*\b(?:why|reasons?)\b",
        "{reason}: {count} payments",
    ),
    "average": _query(
        "the average amount of successful payments by currency",
        r"\b(?:average|mean amount|typical)\b", "{amount} {currency}, over {count} payments",
    ),
    "largest": _query(
        "the largest payment of each currency",
        r"\b(?:largest|biggest|highest|greatest|most expensive|maximum)\b"
        r"|\bmost (?:that )?(?:i|we)\b.*\b(?:paid|pay|spen[dt])\b",
        "{transaction_id}: {amount} {currency}, status {status}",
    ),
    "by_day": _query(
        "the number of payments of each day",
        r"\b(?:per day|each day|every day|daily|by day|busiest|which days?|what days?)\b",
        "{day}: {count} payments",
    ),
    "open": _query(
        "payments that are not final: pending, waiting for a code, or not settled",
        r"\b(?:pending|waiting|wait|unsettled|not (?:yet )?settled|in flight|unfinished|outstanding"
        r"|open|not final|in progress|under way|await\w*|yet to)\b"
        r"|\b(?:not|haven't|hasn't) (?:yet |been )*(?:gone through|completed?|finished)\b",
        "{status}, settlement {settlement_status}: {count} payments, the oldest made {oldest}",
    ),
    "settlement": _query(
        "how many payments have each state of settlement",
        r"\bsettl\w*\b", "settlement {settlement_status}: {count} payments",
    ),
    "totals": _query(
        "the total amount of successful payments by currency",
        r"\b(?:how much|totals?|sum|volume|turnover|spen[dt]\w*|in all|altogether|costs?"
        r"|(?:add|sum) up)\b",
        "{amount} {currency}, in {count} payments",
    ),
    "latest": _query(
        "the latest payments",
        r"\b(?:latest|last|recent|newest|list|show|see|view|display)\b"
        r"(?!\s+\d*\s*(?:days?|weeks?|months?)).*\b(?:payments?|transactions?|transfers?|purchases?)\b"
        r"|\bhistory\b|\bwhat (?:have|did) (?:i|we) (?:buy|bought|pay|paid)\b"
        r"|\b(?:paid|bought|spent) (?:most )?(?:recently|lately|last)\b",
        "{transaction_id}: {amount} {currency}, status {status}, made {created_at}",
    ),
    "counts": _query(
        "how many payments have each status",
        r"\b(?:how many|number of|count|share|how often|status(?:es)?)\b",
        "{status}: {count} payments",
    ),
}  # fmt: skip
DOCUMENTS, NONE = "documents", "none"
_BY_CURRENCY = {"totals", "average", "largest"}


def offered(*, to_operator: bool) -> dict[str, str]:
    """Return the queries that a viewer may use, name → what it is about."""
    return {
        name: one.about for name, one in QUERIES.items() if to_operator or not one.is_for_operators
    }


def matching(question: str, parameters: Parameters, *, to_operator: bool) -> str:
    """Return the query that answers a question by its words, DOCUMENTS or NONE.

    A figure is for a question of which each word is understood.
    """
    name = _matching(question, parameters, to_operator=to_operator)
    if name == DOCUMENTS:
        return name if _ASKS.search(plain(question)) else NONE
    understood = is_understood(
        question, parameters, by_currency=name in _BY_CURRENCY, to_operator=to_operator
    )
    return name if understood else NONE


def _matching(question: str, parameters: Parameters, *, to_operator: bool) -> str:
    text = plain(question)
    if parameters.transaction:
        return "risk" if _RISK.search(text) else "payment"
    if not _ABOUT.search(text) or (is_procedure(question) and not _STRONG.search(text)):
        return DOCUMENTS if not _is_plural_reason(text) else "reasons"
    names = offered(to_operator=to_operator)
    return next((name for name in names if QUERIES[name].words.search(text)), DOCUMENTS)


def usable(choice: str, parameters: Parameters, *, to_operator: bool) -> bool:
    """Return whether a choice is one that may be run, and fits these parameters.

    A question that names a payment is about that payment, whatever a model chooses.
    """
    if choice in (DOCUMENTS, NONE):
        return True
    query = QUERIES.get(choice)
    if query is None or (query.is_for_operators and not to_operator):
        return False
    return query.takes_id is (parameters.transaction is not None)


def words_of(name: str, rows: Sequence[Row], parameters: Parameters) -> str:
    """Return the answer: each line cites its query and row."""
    query = QUERIES[name]
    if not rows:
        return "I know of no such payment." if query.takes_id else "There are none."
    lines = [f"{query.say(row)} [{name}, row {number}]" for number, row in enumerate(rows, 1)]
    return "\n".join([_head(query, parameters), *lines])


def _head(query: Query, parameters: Parameters) -> str:
    about = query.about[0].upper() + query.about[1:]
    of = f", of {parameters.user}" if parameters.user else ""
    if not query.is_of_period:
        return f"{about}:"
    return f"{about}{of}, {_period(parameters)}:"


def _period(parameters: Parameters) -> str:
    match parameters.from_days, parameters.to_days:
        case 0, 0:
            return "today (UTC)"
        case 1, 1:
            return "yesterday (UTC)"
        case days, _:
            return f"in the last {days + 1} days (UTC)"


def _is_plural_reason(text: str) -> bool:
    """Return whether all declines are asked about: `why were payments declined`."""
    return bool(_WHY_DECLINED.search(text))
