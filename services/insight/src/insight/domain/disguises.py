"""What a question says under a disguise: digits for letters, letters apart, encoded words.

Hidden characters and other scripts are refused as such, and `plain` folds accents and wide letters.
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterator

from insight.domain.questions import plain

_LEET = str.maketrans("0134578", "oieastb")
_APART = re.compile(r"(?<!\w)(?:\w[ .\-_]{1,3}){3,}\w(?!\w)")
_BETWEEN = re.compile(r"[ .\-_]+")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{12,}")
_URL_SAFE = str.maketrans("+/", "-_")
_HEX = re.compile(r"\b(?:[0-9a-f]{2}){6,}\b", re.IGNORECASE)


def disguised(question: str) -> Iterator[str]:
    """Yield what else a question may say, in small letters; nothing for one as it is written."""
    text = plain(question)
    read = text.translate(_LEET), _APART.sub(lambda one: _BETWEEN.sub("", one[0]), text)
    yield from (form for form in read if form != text)
    for word in _BASE64.findall(question):
        yield from _decoded(base64.urlsafe_b64decode, word.translate(_URL_SAFE) + "==")
    for word in _HEX.findall(question):
        yield from _decoded(bytes.fromhex, word)


def _decoded(decode: Callable[[str], bytes], word: str) -> Iterator[str]:
    try:
        found = decode(word).decode("ascii")
    except (binascii.Error, ValueError):
        return
    if found.isprintable():
        yield plain(found)
