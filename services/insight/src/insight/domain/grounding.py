"""Whether a text about a shape says only what the shape has. What is not certain is refused.

A refused text costs a template; an accepted one that invents a figure costs trust. So the lists
below are wide, and a word that a factor of the shape has in its name is always allowed.
"""

import re
from collections.abc import Iterator

from insight.domain.shape import Shape

SCALE = 100


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_CHARACTERS = re.compile(r"[A-Za-z0-9 _.,;:()+'\"\u2018\u2019\u201c\u201d\u2013\u2014/-]*\Z")
"""No other script, digit, currency, percent sign, address, mark-up or line break."""
_ADDRESS = re.compile(
    r"https?:|www\.|//|\b[a-z0-9-]+\.(?:com|net|org|io|example|dev)\b", re.IGNORECASE
)
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_WORD = re.compile(r"[A-Za-z]+")
_NAME = re.compile(r"\b[A-Za-z]+(?:_[A-Za-z0-9]+)+\b")
_SENTENCE = re.compile(r"[.;](?:\s+|\Z)")
_NUMBER_WORDS = _set(
    "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
    " seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred"
    " hundreds thousand thousands million millions billion dozen dozens half quarter third double"
    " triple twice thrice several percent"
)
_LEVELS = frozenset({"low", "medium", "high", "critical"})
_STATES = frozenset({"verified", "pending", "expired"})
_CONCEPTS = {
    "payee recipient beneficiary": ("new_payee",),
    "country countries abroad foreign travel location geography": ("new_country",),
    "velocity frequency frequent rapid burst many repeated": ("velocity",),
    "amount large sum value usd dollar dollars": ("amount_",),
    "rule rules": ("rule_",),
    "model": ("model_",),
}
"""Words → the beginnings of factors one of which the shape must have."""
_FORBIDDEN = _set(
    "account address age app approve approved approves approval behavior behaviour block blocked"
    " blocks bot browser cancel card cards chargeback chargebacks confirmed crypto decline declined"
    " declines device devices disregard email fingerprint fraud fraudulent fraudster gambling"
    " gender guarantee guaranteed hack hacked history ignore instruction instructions ip laundering"
    " legitimate malware merchant mule name nationality night password permit permitted phishing"
    " phone previous profile prompt proxy race refund religion safe scam secret sex sim spoofed"
    " stolen suspicious system terminal terrorism terrorist token trusted vpn weekend allow allowed"
    " reject release released overrule override"
)
"""Concepts that no factor has, decisions that risk does not make, and words of instructions."""


def fault_of(text: str, shape: Shape) -> str | None:
    """Return what a text says beyond the shape, in short; None where it is grounded."""
    return next(_faults(text, shape), None)


def numbers_of(shape: Shape) -> frozenset[int]:
    """Return every number of a shape."""
    return frozenset({shape.score, SCALE}).union(*(one.numbers for one in shape.factors))


def _faults(text: str, shape: Shape) -> Iterator[str]:
    if not _CHARACTERS.match(text) or _ADDRESS.search(text):
        yield "a character or an address"
    known = set(_names(shape))
    yield from (f"the factor {name}" for name in _NAME.findall(text) if name not in known)
    for sentence in _SENTENCE.split(text):
        yield from _numbers(sentence, shape)
    # Names of factors have been compared; what is left are words.
    yield from _words(_NAME.sub(" ", text), shape)


def _names(shape: Shape) -> Iterator[str]:
    """Yield the names of factors, and of the rules that are factors."""
    for name in shape.names:
        rule = name.removeprefix("rule_")
        yield from (name, rule, rule.removesuffix("_unevaluated"))


def _numbers(sentence: str, shape: Shape) -> Iterator[str]:
    """Yield numbers that the shape does not have, or not for the factors of the sentence."""
    named = [one for one in shape.factors if one.name in sentence]
    allowed = numbers_of(shape)
    if named:
        allowed = frozenset({shape.score, SCALE}).union(*(one.numbers for one in named))
    for found in _NUMBER.findall(_NAME.sub(" ", sentence)):
        if not found.isdigit() or int(found) not in allowed:
            yield f"the number {found}"


def _words(text: str, shape: Shape) -> Iterator[str]:
    own = {part for name in shape.names for part in _WORD.findall(name.lower())}
    own |= set(shape.demands)
    for word in (found.lower() for found in _WORD.findall(text)):
        if word in own:
            continue
        if word in _FORBIDDEN or word in _NUMBER_WORDS:
            yield f"the word {word}"
        if (word in _LEVELS and word != shape.level) or (word in _STATES and word != shape.kyc):
            yield f"the state {word}"
        if word in ("hit", "hits", "match", "matches", "rejected"):
            yield from _states(word, shape)
        yield from _concepts(word, shape)


def _states(word: str, shape: Shape) -> Iterator[str]:
    is_true = shape.kyc == "rejected" if word == "rejected" else shape.sanctions == "hit"
    if not is_true:
        yield f"the state {word}"


def _concepts(word: str, shape: Shape) -> Iterator[str]:
    for words, beginnings in _CONCEPTS.items():
        if word in words.split() and not any(n.startswith(beginnings) for n in shape.names):
            is_demand = word.startswith("rule") and shape.demands
            if not is_demand:
                yield f"the word {word}"
