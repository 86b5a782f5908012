"""Due explanations: the cache, then the model, then the template. Whatever fails, words remain."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from insight.clients import Answers, Model, ModelError
from insight.domain.explanation import Explanation, UngroundedError, by_template, from_reply
from insight.domain.prompts import VERSION, to_explain
from insight.domain.shape import Shape
from insight.handlers.assessing import NO_MODEL, explained
from insight.store import Assessed, Explanations
from service_runtime.logs import Log
from service_runtime.messages import Batch, Due, Events

_log = Log("explaining")


async def needs_nothing(_due: Sequence[Due[Any]], _store: Any) -> Mapping[UUID, Any]:
    """Read nothing with the claim: the row has the shape."""
    return {}


@dataclass(frozen=True, slots=True)
class Explainer:
    """Explains one due payment, outside of any transaction. Never raises for the model."""

    model: Model | None
    """None: none is configured any more, and rows were due before."""
    answers: Answers
    name: str
    """The model's, part of the key of cached answers."""

    async def __call__(self, due: Due[Assessed], _loaded: Any = None) -> Explanation:
        """Return the explanation of the row's shape."""
        return await self.explain(due.row.shape)

    async def explain(self, shape: Shape) -> Explanation:
        """Return a grounded explanation: cached, by the model, or by the template."""
        if self.model is None:
            return by_template(shape, NO_MODEL)
        key = f"{VERSION}/{self.name}/{shape.key}"
        if (cached := await self.answers.get(key)) is not None and (kept := _read(cached, shape)):
            return kept
        try:
            completion = await self.model.ask(to_explain(shape))
            found = from_reply(completion.text, shape)
        except ModelError as error:
            return by_template(shape, error.reason)
        except UngroundedError as error:
            # The reason names a word of ours or of the model's list, never the reply.
            _log.warning("explanation_refused", reason=error.reason)
            return by_template(shape, error.reason)
        await self.answers.put(key, completion.text)
        return found


def _read(text: str, shape: Shape) -> Explanation | None:
    """Return a cached reply, checked again; None where it is not grounded any more."""
    try:
        return from_reply(text, shape)
    except UngroundedError:
        return None


async def on_explained(batch: Batch[Due[Assessed], Explanation], store: Explanations) -> Events:
    """Save the explanations; each is published with its row."""
    found = [(item, batch.lookups[item.cause.id]) for item in batch]
    await store.finish([(item.row.id, explanation) for item, explanation in found])
    return [explained(item.row, explanation, item.cause) for item, explanation in found]
