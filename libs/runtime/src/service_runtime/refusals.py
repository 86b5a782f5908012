"""One log line for each kind of refusal of one caller; repeats are counted."""

import hashlib
import time
from collections import OrderedDict

from service_runtime.logs import Log

EVERY_S = 60.0
"""Interval of the lines about one refusal of one caller."""
MOST_LINES_A_SECOND = 20
MOST_CALLERS = 10_000
SUBJECT_CHARACTERS = 16

_log = Log("refusals")
Key = tuple[int, str, str | None]


class RefusalLog:
    """Logs refusals (400, 401, 403, 429), with a limit against flooding by a caller."""

    def __init__(self) -> None:
        self._seen: OrderedDict[Key, tuple[float, int]] = OrderedDict()
        """When the next line is due, and the refusals that were not logged."""
        self._second_s, self._lines = 0.0, 0

    def note(self, status: int, reason: str, address: str, user_id: str | None = None) -> None:
        """Log or count a refusal; `reason` is a constant text, never a caller's."""
        subject = hashed_subject(user_id) if user_id else None
        key, now_s = (status, address, subject), time.monotonic()
        due_s, left_out = self._seen.pop(key, (now_s, 0))
        if now_s < due_s or not self._has_room(now_s):
            self._seen[key] = (due_s, left_out + 1)
        else:
            self._seen[key] = (now_s + EVERY_S, 0)
            who = {"address": address} | ({"subject": subject} if subject else {})
            _log.warning("refused", status=status, reason=reason, count=left_out + 1, **who)
        if len(self._seen) > MOST_CALLERS:
            self._seen.popitem(last=False)

    def _has_room(self, now_s: float) -> bool:
        if now_s - self._second_s >= 1:
            self._second_s, self._lines = now_s, 0
        self._lines += 1
        return self._lines <= MOST_LINES_A_SECOND


def hashed_subject(user_id: str) -> str:
    """Return the pseudonym of a user in the log: the first digits of the SHA-256 of the user id."""
    return hashlib.sha256(user_id.encode("utf-8", "replace")).hexdigest()[:SUBJECT_CHARACTERS]
