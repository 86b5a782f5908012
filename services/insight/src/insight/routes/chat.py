"""Questions of users about their own payments, and about the documents for clients."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import Response

from insight.routes.api import Api
from insight.routes.bodies import REFUSALS, Answer, Question
from insight.store import Viewer
from service_runtime.edge import Caller
from service_runtime.web import JsonResponse


def add_chat(router: APIRouter, api: Api) -> None:
    """Add the route of smartpay.md."""
    Asker = Annotated[Caller, api.asker()]  # noqa: N806 - a type

    @router.post("/chat", response_model=Answer, responses=REFUSALS)
    async def chat(caller: Asker, fields: Question) -> Response:
        """Answer a question about own payments, or about what the documents say."""
        found = await api.answerer.answer(fields.question, Viewer(caller.user_id))
        return JsonResponse(asdict(found))
