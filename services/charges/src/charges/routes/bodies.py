"""Bodies of requests. Amounts are integers in the currency's minor unit."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from payment_schemas.ids import printable, without_card_number
from payment_schemas.money import Currency
from service_runtime.responses import refusals

MOST_METADATA = 20
Amount = Annotated[int, Field(strict=True, gt=0, lt=10**12)]
"""In the currency's minor unit."""
Source = Annotated[
    str,
    StringConstraints(pattern=r"^(tok|pm)_[A-Za-z0-9_-]{1,60}$"),
    AfterValidator(without_card_number),
]
"""A token of a card. Card numbers are refused."""
Email = Annotated[
    str,
    StringConstraints(max_length=254, pattern=r"^[^\s@]{1,64}@[^\s@]+\.[^\s@]+$"),
    AfterValidator(printable),
]
Text = Annotated[
    str,
    StringConstraints(max_length=200),
    AfterValidator(printable),
    AfterValidator(without_card_number),
]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class Usage(_Body):
    """A payment, as gateway-proxy.md prints it."""

    amount: Annotated[Amount, Field(examples=[1000])]
    currency: Annotated[Currency, Field(examples=["USD"])]
    source: Annotated[Source, Field(examples=["tok_test"])]
    email: Annotated[Email, Field(examples=["donor@example.com"])]
    metadata: Annotated[dict[Text, Text], Field(max_length=MOST_METADATA)] = {}


class Pay(Usage):
    """A payment with its options."""

    capture: bool = True
    """false: authorize alone; captured later, by `…/capture`."""
    retry: bool = True
    """Whether the customer consents to one try at another provider after a soft decline."""


class Route(_Body):
    """A payment to choose a provider for; nothing is sent."""

    amount: Annotated[Amount, Field(examples=[1000])]
    currency: Annotated[Currency, Field(examples=["USD"])]


class NewRefund(_Body):
    """A refund; without an amount, of all that is left."""

    amount: Annotated[Amount | None, Field(examples=[300])] = None


class Review(_Body):
    """A person's decision."""

    approve: bool
    note: Text


class Answer(BaseModel):
    """The response to a payment, as printed."""

    transactionId: str  # noqa: N815 - the printed name
    provider: str | None
    status: str
    """success, authorized, review, processing, declined, failed or cancelled."""
    riskScore: float | None  # noqa: N815 - the printed name
    """0 to 1; null without a score."""
    explanation: str


class Envelope(BaseModel):
    """The envelope of reads and of changes."""

    success: bool
    data: dict[str, Any]


REFUSALS = refusals(
    {
        400: "A field is missing, invalid or unknown.",
        401: "No token or an invalid one.",
        403: "The token lacks the scope charges.write.",
        404: "Unknown, or another user's.",
        409: "In progress, or not in this state.",
        410: "The card was deleted by its owner.",
        422: "The Idempotency-Key was used for another request.",
        429: "Over the limit of requests.",
        503: "Nothing was accepted.",
    }
)
