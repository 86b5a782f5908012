"""The words of which a question must consist, so that a figure answers it.

A question is matched to a prepared query by few of its words. The others must not change what it
asks: "my payments above 500", "payments not made by me" or "payments of the bank" would be answered
beside the point. So each word must be known here, or the question gets no figure. It is a list of
what is understood, and not of what is forbidden: nothing that is new passes it.
"""

import re

from insight.domain.questions import SPAN, Parameters, plain

_STRIPPED = ".,;:!?\"'()"
_FUNCTION = (
    "a about again all am an and any are as at be been being by can could did do does done each"
    " ever every far for from had has have hello hey hi i i've if in into is it its kindly let me"
    " mine my of ok on once one or our ours please see so some still tell than thank thanks that"
    " the them there these they this those to until us want was we were what what's when where"
    " which who whose why will with within would yet you know like need give get got much many"
    " more most often i'd i'm how that's there's everything whether news also"
    " just only anything something actually already exactly really since given gave keep kept"
    " getting become during over"
)
_ASKING = (
    "amount amounts average averaged biggest break breakdown broken busiest common commonest count"
    " counted counts day days daily down entire exact expensive figure figures find frequent"
    " frequently go gone greatest group grouped happen happened happens highest large largest"
    " last late latest level levels list look main maximum mean newest number numbers occur"
    " occurred occurs overview per recent recently share show single size spread sum summary"
    " summarise summarize through total totals typical typically usual usually value volume"
    " turnover altogether together info information detail details outcome outcomes result results"
    " bought buy lately awaiting await check view"
    " display history sort kind kinds happening combined between"
)
_TIME = (
    "today yesterday week weeks weekly month months monthly quarter year years now past previous"
    " current currently period time times date"
)
_PAYMENTS = (
    "pay paid paying payment payments spend spending spends spent money transact transacted"
    " transaction transactions transfer transfers transferred make made makes making send sent"
    " status statuses state states confirmed confirm success successful successfully succeed"
    " succeeded complete completed accepted went decline declined declines refused fail failed"
    " turned reason reasons cause causes pending open waiting wait waits code codes final finished"
    " confirmation confirmations cost costs purchase purchases refusal refusals rejection"
    " rejections failure failures denied"
    " unfinished flight progress outstanding way under settle settled settlement settlements"
    " settling unsettled currency currencies reject rejected"
)
_RISK = (
    "risk risks risky riskiest score scores scored scoring factor factors explain explained"
    " explanation explanations template templates model high medium low critical add added"
    " contributed contribute assessed behind came flagged raise raised raises caused push"
    " pushed drive drove driven influence influenced"
)
_OPERATORS = "user users customer customers active operators source sources top"
_WORDS = frozenset(f"{_FUNCTION} {_ASKING} {_TIME} {_PAYMENTS} {_RISK} {_OPERATORS}".split())
_PHRASES = re.compile(
    r"\b(?:left )?my (?:own )?account\b|\bhow big\b|\b(?:sum|add|shows?|comes?|came) up\b"
)
CURRENCIES = frozenset(["usd", "eur", "gbp", "dollars", "euros", "pounds"])
"""Understood where a query counts by currency."""
_OF_ALL = frozenset(
    {
        *("across", "bank", "come", "everybody", "everyone", "overall", "people", "person"),
        *("platform", "system", "whole"),
    }
)
"""Whose payments an operator sees."""
MOST_UNKNOWN = 2
_OTHER_SUBJECTS = {
    *("payee", "payer", "owner", "recipient", "receiver", "sender", "merchant", "buyer"),
    *("received", "receive", "true", "false"),
}
_NUMBERED = re.compile(
    r"\b(?:last|latest|newest|recent) (?:[1-5]|two|three|four|five) (?=payments|trans|purchases)"
)
"""No more of the latest payments than the query shows."""
_NOT = re.compile(
    r"\b(?:not|haven't|hasn't|aren't|isn't|weren't) (?:yet |been |gone )*"
    r"(?:settled|final|finished|completed?|confirmed|through)\b"
)
"""What is not final is asked of one query; any other `not` turns a question round."""


def unknown_words(question: str, parameters: Parameters) -> set[str]:
    """Return the words of a question that are not understood; without its ids and its period."""
    text = _PHRASES.sub(" ", plain(question))
    text = _NUMBERED.sub(" ", SPAN.sub(" ", _NOT.sub(" pending ", text)))
    named = {one.lower() for one in (parameters.transaction, parameters.user) if one}
    words = {one.strip(_STRIPPED).removesuffix("'s") for one in text.split()}
    return words - named - _WORDS - {""}


def is_understood(
    question: str, parameters: Parameters, *, by_currency: bool, to_operator: bool
) -> bool:
    """Return whether a figure would answer what is asked.

    Of a payment that a question names, all that is known is shown: two other words may be there.
    """
    unknown = unknown_words(question, parameters) - (CURRENCIES if by_currency else set())
    unknown -= _OF_ALL if to_operator else set()
    if parameters.transaction:
        is_plain = all(map(str.isalpha, unknown)) and not unknown & _OTHER_SUBJECTS
        return is_plain and len(unknown) <= MOST_UNKNOWN
    return not unknown
