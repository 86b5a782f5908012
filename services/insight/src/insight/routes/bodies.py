"""Bodies of requests and responses."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from insight.domain.guarding import MOST_CHARACTERS
from service_runtime.responses import refusals

Text = Annotated[str, StringConstraints(min_length=1, max_length=MOST_CHARACTERS)]


class Question(BaseModel):
    """A question in plain words."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    question: Annotated[Text, Field(examples=["How many of my payments were declined this month?"])]


class FigureSource(BaseModel):
    """A prepared query, its parameters and its rows: what the figures of an answer are from."""

    query: str
    parameters: dict[str, Any]
    rows: list[dict[str, Any]]


class DocumentSource(BaseModel):
    """A passage of a document."""

    source: str
    title: str
    text: str


class Answer(BaseModel):
    """An answer and what it rests on, or why there is none."""

    outcome: Literal["answered", "refused"]
    answer: str
    reason: str | None
    chosen_by: Literal["model", "matching"]
    """Who chose the query. The words are never a model's."""
    figures: list[FigureSource]
    documents: list[DocumentSource]


class RiskFactor(BaseModel):
    """A factor of the score."""

    name: str
    points: int


class ExplanationData(BaseModel):
    """A payment's risk in words. Source of the fields: gateway-proxy.md, RiskAssessment."""

    transactionId: str  # noqa: N815 - the document's name
    riskScore: Annotated[float, Field(ge=0, le=1)]  # noqa: N815
    riskLevel: Literal["LOW", "MEDIUM", "HIGH", "CRITICAL"]  # noqa: N815
    factors: list[RiskFactor]
    explanation: str | None
    """Null: not yet; read again."""
    recommendations: list[str]
    source: Literal["model", "template"] | None
    explainedAt: datetime | None  # noqa: N815


class ExplanationReply(BaseModel):
    """The envelope of gateway-proxy.md."""

    success: Literal[True]
    data: ExplanationData


REFUSALS = refusals(
    {
        400: "A field is missing, invalid or unknown.",
        401: "No token or an invalid one.",
        403: "The token lacks the scope payment.confirm.",
        404: "Unknown, or another user's.",
        429: "Over the limit of requests.",
        503: "The service cannot be reached.",
    }
)
