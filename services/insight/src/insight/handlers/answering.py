"""A question becomes an answer: refused, by a prepared query, or by documents.

A model only chooses the query. It sees neither rows nor whom they are about, and no word of its
reply is part of an answer.
"""

from dataclasses import asdict, dataclass

import orjson

from insight.clients import Model, ModelError
from insight.domain import queries
from insight.domain.answers import Answered
from insight.domain.documents import LEAST_COVERAGE
from insight.domain.guarding import refusal_of
from insight.domain.prompts import to_choose
from insight.domain.questions import Parameters, parameters_of
from insight.domain.traces import untraced
from insight.store import Figures, Passages, Viewer
from service_runtime import metrics

CHOICE_WITHIN_S = 2.0
"""The gateway waits 3.5 s for the whole answer."""
MOST_QUOTED = 600
"""Characters of a passage that an answer quotes."""
_REFUSALS = {
    "no_match": "I answer questions about payments, and about what the documents say. I have found"
    " nothing on this one.",
    "length": "A question has 1 to 500 characters.",
    "characters": "I read questions in plain Latin text.",
    "personal_data": "I show no personal data and no secrets.",
    "others": "I show you your own payments alone.",
    "evasion": "I do not help to get around checks.",
    "action": "I change nothing: I answer questions.",
}
_FORBIDDEN = "I do not follow instructions in questions, and run prepared queries alone."
_questions = metrics.counter("chat_questions", "Questions to the chat, by outcome.")


@dataclass(frozen=True, slots=True)
class Answerer:
    """Answers questions of one viewer at a time."""

    figures: Figures
    passages: Passages
    model: Model | None

    async def answer(self, question: str, viewer: Viewer) -> Answered:
        """Return the answer; nothing is read for a refused question."""
        found = await self._answer(question, viewer)
        _questions.add(1, {"outcome": found.outcome, "reason": found.reason or "none"})
        return found

    async def _answer(self, question: str, viewer: Viewer) -> Answered:
        if reason := refusal_of(question, viewer.user_id):
            return refused(reason)
        parameters = parameters_of(question)
        choice, by = await self._choice(question, parameters, viewer)
        if choice == queries.NONE:
            return refused("no_match")
        if choice == queries.DOCUMENTS:
            return await self._from_documents(question, viewer, by)
        return await self._from_rows(choice, parameters, viewer, by)

    async def _choice(
        self, question: str, parameters: Parameters, viewer: Viewer
    ) -> tuple[str, str]:
        """Return the query, and who chose it; where a model's choice is unusable, words decide."""
        if self.model is not None:
            offered = queries.offered(to_operator=viewer.is_operator)
            try:
                reply = await self.model.ask(to_choose(question, offered), CHOICE_WITHIN_S)
            except ModelError:
                choice = ""
            else:
                choice = chosen(reply.text)
            if queries.usable(choice, parameters, to_operator=viewer.is_operator):
                return choice, "model"
        found = queries.matching(question, parameters, to_operator=viewer.is_operator)
        return found, "matching"

    async def _from_rows(
        self, name: str, parameters: Parameters, viewer: Viewer, by: str
    ) -> Answered:
        rows = await self.figures.rows(name, parameters, viewer)
        text = queries.words_of(name, rows, parameters)
        asked = {key: value for key, value in asdict(parameters).items() if value is not None}
        evidence = [*rows, asked, {"days": parameters.from_days + 1, "scale": 100}]
        if untraced(text, evidence):
            return refused("no_match")
        figure = {"query": name, "parameters": asked, "rows": rows}
        return Answered("answered", text, chosen_by=by, figures=[figure])

    async def _from_documents(self, question: str, viewer: Viewer, by: str) -> Answered:
        found = await self.passages.search(question, viewer)
        if max((one.coverage for one in found), default=0) < LEAST_COVERAGE:
            return refused("no_match")
        best = max(found, key=lambda one: (one.coverage >= LEAST_COVERAGE, one.score))
        quoted = best.body[:MOST_QUOTED].rstrip()
        text = f"{best.title}\n{quoted}\n[{best.source}]"
        documents = [
            {"source": one.source, "title": one.title, "text": one.body[:MOST_QUOTED]}
            for one in [best, *(one for one in found if one is not best)]
        ]
        return Answered("answered", text, chosen_by=by, documents=documents)


def refused(reason: str) -> Answered:
    """Return a refusal."""
    return Answered("refused", _REFUSALS.get(reason, _FORBIDDEN), reason)


def chosen(text: str) -> str:
    """Return the choice of a model's reply; empty where it has none."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return ""
    choice = found.get("choice") if isinstance(found, dict) else None
    return choice if isinstance(choice, str) else ""
