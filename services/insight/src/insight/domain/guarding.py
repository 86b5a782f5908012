"""Which questions are refused before anything is read.

Nothing that a question says is ever run: it selects a prepared query, and gives values for its
parameters. The rules below refuse what asks for more, so that nobody is answered beside the point.
They are wide: a refused question can be asked in other words.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator

from insight.domain.disguises import disguised
from insight.domain.questions import USER, is_procedure, plain
from payment_schemas.card_numbers import holds_card_number

MOST_CHARACTERS = 500


def _words(text: str) -> str:
    """Return the pattern of any of these words or phrases; `_` is a space within one."""
    return rf"\b(?:{'|'.join(text.split())})\b".replace("_", r"\s+")


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns))


_SQL = _any(
    _words("drop alter truncate create grant revoke")
    + ".{0,20}"
    + _words("table database role schema user policy index function view column select all"),
    r"\b(?:insert\s+into|delete\s+from|copy\s+\S+\s+(?:to|from)|update\s+\S+\s+set|set\s+role)\b",
    r"\bunion\b.{0,10}\bselect\b|\bselect\s+\S+\s*\(|\d\s*=\s*\d",
    r"\b(\w+)\s*(?:=|is|equals|<>|like)\s*\1\b",
    r"\bselect\b.{0,200}\bfrom\b",
    r"--|/\*|\*/|;\s*\S+\s*;|'\s*(?:or|and)\b|\b(?:or|and)\s+['\d]+\s*=",
    r"information_schema|\bpg_|set_config|current_setting|row[- ](?:level )?security",
    _words("sql psql ddl schema query_the"),
    _words("raw all every the") + r"\s+" + _words("tables? rows? records? columns?"),
)
_INJECTION = _any(
    _words(
        "ignore disregard forget override overrule bypass circumvent pretend jailbreak roleplay"
        " role-play simulate unrestricted uncensored sudo prompt verbatim act_as from_now_on"
        " on_behalf_of base64 rot13 hex hexadecimal encoded? decoded? encodes decodes you_are"
        " you_must you_will_now you_have_to you_shall import_os eval exec env curl were_you are_you"
        " make_up made_up guess(?:es)? invent imagine suppose hypothetical predict forecast"
    ),
    _words("no without lift remove drop")
    + r"\s+(?:any |all |the |your )?"
    + _words("restrictions? limits? rules filters? guards? checks security"),
    _words(
        "system hidden initial internal original previous prior above earlier following these new"
        " my"
    )
    + r"\s+"
    + _words("prompts? messages? instructions? rules orders role persona"),
    # The chat has nothing to say about itself.
    r"\byour\s+(?!(?:apis?|clients?|librar\w+|sdks?|services?|webhooks?|documents?|partners?)\b)",
    _words("developer debug god maintenance admin root test") + r"\s+mode\b",
    _words("i_am i'm this_is as")
    + r"\s+(?:an?|the|your)?\s*"
    + _words(
        "admin administrator root superuser operator developer ceo cfo auditor engineer support"
        " police owner_of"
    ),
    r"\bdo (?:as|what)\b.{0,60}\bsays?\b|\b(?:obey|treat|carry)\b.{0,60}\b(?:command|out)s?\b",
    r"\bas (?:if|though) ",
    r"\brepeat\s+" + _words("everything after the your what"),
    r"<[a-z/!]|\{\{|\$\{|```|~~~|\[/?(?:inst|system|user|assistant)",
    r"\b(?:system|assistant|user|human)\s*:",
    r"https?:|www\.|://|\S@\S|\betc/|\.\./|\w\.[a-z]{2,}[/?]\w",
    r"\b(?:file|data|javascript|vbscript|mailto|tel|ftp):",
    r"&#?\w+;|%[0-9a-f]{2}",
)
_EVASION = _any(
    r"\b(?:launder|evad|evasion|circumvent|bypass|outwit|smuggl|undetect)\w*",
    r"\b(?:get|gets|getting|slip|sneak|go|work)\b.{0,40}\b(?:around|past)\s+"
    + _words("the an? your our any all risk sanctions checks? screening reviews? rules codes?")
    + r"(?!\s+(?:last |past )?\d|\s+(?:days?|weeks?|months?|quarter|year))",
    r"\b(?:avoid|escape|dodge|trick|fool|cheat|deceive|defeat)\w*\b.{0,40}"
    + _words("codes? checks? screening sanctions reviews? reports? reporting detection fraud risk"),
    r"\bwithout\s+(?:being|getting|anyone|anybody)\b|\b(?:no one|so that no\w*)\b",
)
_SECRETS = _any(
    _words(
        "passwords? passphrases? secrets? api[-_]?keys? keys? credentials? tokens? cvv cvc pins?"
        " otps? card_numbers? ibans? account_numbers? account_ids? account_holders? balances?"
        " phones? mobiles? telephones? e-?mails? address(?:es)? birth(?:day|date)?s? ssn passports?"
        " names? identity_documents? ips? devices? fingerprints? environment_variables?"
        " connection_strings? dsn logs? source_code config(?:uration)?"
    ),
    r"\bacc(?:oun)?t?[-_]\w+",
    r"\b(?:what(?:'s| is)|show|give|tell|read|reveal)\b.*\b(?:the|my|its?) "
    r"(?:otp |one-time |verification |current )?codes?\b",
)
_PEOPLE = _words(
    "users? customers? clients? persons? people accounts? tenants? owners? merchants? members?"
)
_OTHERS = _any(
    _words("other another different some any all every each most these those which what top")
    + r"(?:'?s)?\s+(?:of\s+)?(?:the\s+|our\s+|your\s+)?(?:other\s+)?"
    + _PEOPLE,
    r"\b(?:the|our|your|his|her|their|a)\s+" + _PEOPLE,
    _words(
        "whoever whomever someone somebody anyone anybody everyone everybody whose who_else nobody"
        " neighbou?r wife"
        " husband boss colleague friend others his her their system-?wide globally overall across"
        " platform-?wide not_mine not_just_mine by_user per_user tenants?"
    ),
    _words("whole entire") + r"\s+" + _words("system platform bank company database"),
    r"\bhow many\s+" + _PEOPLE + r"|\b(?:user|customer|client)\s+\d",
    r"\bwho\s+" + _words("paid made sent has have is are was did owns spent"),
)
_DATA = _words("payments? transactions? transfers? totals? scores? amounts? history figures")
_DATA_OF_OTHERS = _any(
    _PEOPLE + r"'?s?'?\s+" + _DATA,
    _DATA + r"\s+(?:of|by|from)\s+(?:an?|another|others?|every|each|any|all|the)?\s*" + _PEOPLE,
)
"""A question how to see the data of others is refused, too."""
_CAPITAL = re.compile(r"\b(?:of|by|from|for|did|does)\s+([A-Z][a-z]+)\b")
_TIMES = {
    *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
    *("October", "November", "December", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday"),
    *("Saturday", "Sunday"),
}
_POSSESSIVE = re.compile(
    r"\b(?!today|yesterday|week|month|year|day|bank|payee|payment|what|that|it|let|here|there|who"
    r"|when|where|how)[a-z]+'s\b"
)
_ACT = re.compile(
    r"(?:"
    + _words(
        "please now just kindly then also and first next finally hey hi ok okay so but quickly"
        " silently i_(?:want|need|order|command)_you_to you_(?:should|can|may) can_you could_you"
        " would_you will_you go_ahead_and let's lets"
    )
    + r"[, ]+)*"
    + _words(
        "delete drop update set change modify edit approve confirm decline reject cancel transfer"
        " send refund release unlock lock disable enable grant execute run insert alter"
        " truncate mark settle close resolve remove reset redrive suspend credit debit raise lower"
        " increase reduce reopen create add move block unblock whitelist skip turn reverse hack"
        " log_?in sign dump export download upload leak email mail post publish forward copy write"
        " print reveal expose erase wipe purge shut restart stop start kill deploy install connect"
        " pay withdraw deposit buy waive fake forge hide replace rename revoke impersonate switch"
        " become translate output"
    )
    + r"|(?:please |and |then )*give\b(?!\s+me\s+(?:the|my|a)\s+"
    r"(?:number|count|total|average|list|summary|overview|breakdown)\b)"
)
_MARKUP = frozenset("{}[]<>|\\^~`$=*")
"""Of languages of machines; no question in words needs them."""
_SENTENCE = re.compile(r"[.;!?]+\s+")
_CLAUSE = re.compile(r"[.;,!?:]+\s+|\s+(?:and|then|but|also|or)\s+|\s+[-\u2013\u2014]\s+")
_BLOB = re.compile(r"\b(?![0-9a-f-]{36}\b)[A-Za-z0-9+/]{28,}={0,2}")


def refusal_of(question: str, own_id: str | None) -> str | None:
    """Return why a question is refused, a word; None where it may be answered.

    `own_id`: the user who asks, to whom only own payments are shown; None: an operator.
    """
    if not question.strip() or len(question) > MOST_CHARACTERS:
        return "length"
    if any(_is_strange(one) for one in question) or _BLOB.search(question):
        return "characters"
    if holds_card_number(question):
        return "personal_data"
    if own_id is not None and set(_CAPITAL.findall(question)) - _TIMES:
        return "others"
    if found := next(_refusals(plain(question), own_id), None):
        return found
    return "instructions" if any(map(_is_forbidden, disguised(question))) else None


def _is_strange(one: str) -> bool:
    """Return whether a character is hidden, mark-up, or of a script that is not read."""
    kind = unicodedata.category(one)
    if kind[0] == "C":
        return True
    if one in _MARKUP:
        return True
    return ord(one) > 0x7F and not (
        kind[0] in "PZ" or unicodedata.name(one, "").startswith("LATIN")
    )


def _is_forbidden(text: str) -> bool:
    return any(rule.search(text) for rule in (_SQL, _INJECTION, _EVASION, _SECRETS))


def _refusals(text: str, own_id: str | None) -> Iterator[str]:
    if _SQL.search(text):
        yield "sql"
    if _INJECTION.search(text):
        yield "instructions"
    if _EVASION.search(text):
        yield "evasion"
    about_how = is_procedure(text)
    if _SECRETS.search(text) and not about_how:
        yield "personal_data"
    # "How do I suspend a bank and settle its cases" asks for no act.
    if _asks_for_an_act((_SENTENCE if about_how else _CLAUSE).split(text)):
        yield "action"
    if own_id is None:
        return
    if any(found != own_id.lower() for found in USER.findall(text)):
        yield "others"
    if _DATA_OF_OTHERS.search(text):
        yield "others"
    if not about_how and (_OTHERS.search(text) or _POSSESSIVE.search(text)):
        yield "others"


def _asks_for_an_act(parts: Iterable[str]) -> bool:
    return any(_ACT.match(part) for part in parts)
