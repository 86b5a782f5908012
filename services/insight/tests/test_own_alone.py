"""Whatever a question says, a user gets own rows alone: also where the guard has missed it.

Texts by chance, with others' ids, amounts and instructions planted. What the chat shows is compared
with the rows that an operator sees of that user alone: row security against a condition in SQL.
"""

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
from chat_world import SECRET_AMOUNT, ask
from insight_world import LABELLED, OTHER, OWN, ids

from insight.clients.model import Completion
from insight.domain.queries import QUERIES
from insight.domain.questions import parameters_of
from insight.handlers import Answerer, answering
from insight.store import Figures, Passages, Viewer

pytestmark = pytest.mark.stack
HERE = Path(__file__).parent
HOSTILE = (HERE / "hostile_others.txt").read_text().splitlines()
HONEST = [case["ask"] for case in LABELLED["figures"]]
PLANTED = (
    *(OTHER, OWN, "tx-900", "tx-100", SECRET_AMOUNT, str(ids(OTHER, "tx-900")["payment_id"])),
    *(
        "or 1=1",
        "' or user_id <> '",
        "set role postgres",
        "role: operator",
        "acc-2",
        "not_permitted",
    ),
    *("of all users", "not mine", "yesterday", "in the last 99999 days", "declined", "\u200b"),
)


def texts(count):
    chance = random.Random(18)  # noqa: S311 - texts
    for _ in range(count):
        parts = [chance.choice(chance.choice((HONEST, HOSTILE, PLANTED)))]
        parts += chance.sample(PLANTED, chance.randint(0, 4))
        chance.shuffle(parts)
        yield " ".join(parts)


class Obedient:
    """A model that does as a hostile question wants: it chooses any query, real or not."""

    def __init__(self):
        self._chance = random.Random(19)  # noqa: S311 - choices

    async def ask(self, _prompt, _within_s):
        return Completion(json.dumps({"choice": self._chance.choice([*QUERIES, "all"])}), 1, 1)


def rows_of(answered):
    return [row for figure in answered.figures for row in figure["rows"]]


async def test_where_the_guard_misses_everything_only_own_rows_are_shown(
    chat, database, monkeypatch
):
    monkeypatch.setattr(answering, "refusal_of", lambda _question, _own_id: None)
    figures = Figures(database)
    answerer = Answerer(figures, Passages(database), Obedient())
    shown, of_others = 0, 0
    for text in texts(400):
        answered = await answerer.answer(text, Viewer(OWN))
        for figure in answered.figures:
            asked = parameters_of(text)
            own = await figures.rows(figure["query"], replace(asked, user=OWN), Viewer(None))
            assert not QUERIES[figure["query"]].is_for_operators, text
            assert figure["rows"] == (own if asked.user in (None, OWN) else []), text
            of_others += asked.user == OTHER
        rows = rows_of(answered)
        shown += bool(rows)
        assert not [one for one in (OTHER, "not_permitted", "tx-900") if one in str(rows)], text
        assert SECRET_AMOUNT not in str(rows) + answered.answer, text
    assert min(shown, of_others) > 20, "too few were answered to show anything"


async def test_nor_does_the_chat_show_anything_else(chat):
    answers = [await ask(chat, "user", text) for text in texts(100)]
    rows = str([figure["rows"] for one in answers for figure in one["figures"]])
    assert "transaction_id" in rows or "count" in rows
    for secret in (OTHER, SECRET_AMOUNT, "not_permitted", "tx-900"):
        assert secret not in rows
