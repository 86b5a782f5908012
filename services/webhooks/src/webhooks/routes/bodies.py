"""Bodies of requests and responses."""

from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from service_runtime.paging import START, Keyset
from webhooks.domain.addresses import MOST_URL_CHARACTERS
from webhooks.domain.events import EVENT_TYPES, EventType
from webhooks.domain.signatures import Scheme

MOST_A_PAGE = 100
DAY_S, WEEK_S = 86_400, 604_800
NEWEST = (datetime(9999, 1, 1, tzinfo=UTC), UUID(int=2**128 - 1))
"""Before all rows of a listing whose newest row is the first."""
BY_ID = Keyset(["id"], [START], MOST_A_PAGE)
BY_AGE = Keyset(["created_at", "id"], NEWEST, MOST_A_PAGE)
DeliveryStatus = Literal["PENDING", "DELIVERED", "FAILED"]
Url = Annotated[str, StringConstraints(max_length=MOST_URL_CHARACTERS)]
Description = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
EventTypes = Annotated[
    list[EventType],
    BeforeValidator(lambda given: sorted(set(given)) if _are_texts(given) else given),
    Field(min_length=1, max_length=20),
]


def _are_texts(given: object) -> bool:
    return isinstance(given, list) and all(isinstance(one, str) for one in given)


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class NewEndpoint(_Body):
    """An endpoint to add."""

    url: Url
    """https, and a public address."""
    event_types: EventTypes = list(EVENT_TYPES)
    description: Description = ""
    scheme: Scheme = "hmac-sha256"


class Changes(_Body):
    """What changes of an endpoint; fields that are left out stay."""

    url: Url | None = None
    event_types: EventTypes | None = None
    description: Description | None = None
    is_on: bool | None = None
    """false switches it off; true resumes it, and sends what it has missed."""


class Rotation(_Body):
    """How long the old secret stays in force beside the new one."""

    overlap_s: Annotated[int, Field(ge=0, le=WEEK_S)] = DAY_S


class ShownEndpoint(_Body):
    """An endpoint as its owner sees it."""

    id: UUID
    url: str
    description: str
    event_types: list[str]
    scheme: Scheme
    version: int
    is_on: bool
    off_reason: Literal["gone", "failing", "owner"] | None
    failures: int
    """Failed calls since the last success."""
    failing_since: datetime | None
    paused_until: datetime | None
    last_error: str | None
    created_at: datetime
    updated_at: datetime
    failed_deliveries: int
    """Given up; 1000 means that many or more."""
    public_key: str | None = None
    """whpk_…, of the scheme ed25519."""


class EndpointWithSecret(ShownEndpoint):
    """A new endpoint, with its secret, which no other response has."""

    secret: str | None = None
    """whsec_…, of the scheme hmac-sha256."""


class NewSecret(_Body):
    """The secret from now on."""

    id: UUID
    old_secret_until: datetime | None
    secret: str | None = None
    public_key: str | None = None


class EndpointPage(_Body):
    """Endpoints by id; `next` is the cursor behind them."""

    endpoints: list[ShownEndpoint]
    next: str | None


class ShownDelivery(_Body):
    """A message and what came of it."""

    id: UUID
    webhook_id: str
    type: str
    payment_id: UUID | None
    sequence: int | None
    status: DeliveryStatus
    tries: int
    last_status: int | None
    last_reason: str | None
    last_ms: int | None
    due_at: datetime | None
    created_at: datetime
    updated_at: datetime


class DeliveryPage(_Body):
    """Deliveries, the newest first; `next` is the cursor behind them."""

    deliveries: list[ShownDelivery]
    next: str | None


class Accepted(_Body):
    """A message that is sent now."""

    delivery_id: UUID
    webhook_id: str
