"""What the routes of identity checks share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, Protocol

from fastapi import Depends, HTTPException, Request
from fastapi.responses import Response
from pydantic import AfterValidator, BaseModel, Field, StringConstraints

from compliance.domain.kyc import Level, Profile, Refusal, Validity, missing
from compliance.domain.mrz import Zone, disagreements
from compliance.routes.bodies import Body
from compliance.store.kyc import Document
from compliance.store.vault import Vault
from payment_schemas import answers
from payment_schemas.answers import RefusedError
from payment_schemas.ids import printable
from service_runtime.clock import Clock
from service_runtime.compute import Executor
from service_runtime.edge import Access, Admission
from service_runtime.http_unit import Act, HttpUnitOfWork, Reply
from service_runtime.keys import KeyRing
from service_runtime.ports import Database
from service_runtime.subject_keys import ErasedError

PATH = "/api/v1/kyc"
SCOPE = "kyc.write"
OLDEST = date(1900, 1, 1)
GONE = 410
NAME = r"^[^\W\d_](?:[^\W\d_]|[ .'\u2019\-])*$"
"""Letters of any script, with what stands between names."""


def _name(text: str) -> str:
    return printable(text)


Name = Annotated[
    str, StringConstraints(min_length=1, max_length=100, pattern=NAME), AfterValidator(_name)
]
Line = Annotated[str, StringConstraints(min_length=1, max_length=140), AfterValidator(printable)]
Alpha3 = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
"""ISO 3166-1 alpha-3, as travel documents have it."""


class Address(Body):
    """Where a person lives."""

    street: Line
    city: Line
    postcode: Annotated[
        str, StringConstraints(min_length=1, max_length=16), AfterValidator(printable)
    ]
    country: Alpha3


class InitiateBody(Body):
    """What a person states. Kept under the person's key alone."""

    level: Level = "BASIC"
    first_name: Name = Field(alias="firstName")
    last_name: Name = Field(alias="lastName")
    date_of_birth: date = Field(alias="dateOfBirth", ge=OLDEST)
    nationality: Alpha3
    address: Address

    def stated(self) -> dict[str, Any]:
        """Return what is kept."""
        return self.model_dump(mode="json", by_alias=True, exclude={"level"})


Zones = Annotated[
    dict[str, Annotated[str, StringConstraints(max_length=200)]], Field(max_length=10)
]


class VerifyBody(Body):
    """Machine-readable zones as they were typed or scanned, by document."""

    zones: Zones = Field(default_factory=dict)


class ShownStatus(BaseModel):
    """The state of a person's identity checks."""

    userId: str  # noqa: N815 - as printed
    status: str
    level: Level
    state: str
    verifiedLevel: Level | None  # noqa: N815 - as printed
    verifiedAt: datetime | None  # noqa: N815 - as printed
    expiresAt: datetime | None  # noqa: N815 - as printed
    missing: list[list[str]]
    """Kinds of documents that the level still needs, each as its choices."""


class Webhooks(Protocol):
    """Verifies the provider's webhooks."""

    def check_id_of(self, body: bytes, signature: str) -> str | None:
        """Return the check that a webhook is about; raise BadWebhookError."""
        ...


@dataclass(frozen=True, slots=True)
class KycApi:
    """What the routes need."""

    requests: HttpUnitOfWork
    database: Database
    admission: Admission
    vault: Vault
    pages: Executor | None
    """Draws uploads anew; None: this instance takes none."""
    webhooks: Webhooks
    lookup_keys: KeyRing
    clock: Clock
    validity: Validity
    wake: Callable[[], None]
    """Looks for due checks now."""
    writes_per_minute: int
    reads_per_minute: int

    def writer(self) -> Any:
        """Return the dependency that yields the caller of a write."""
        access = Access(SCOPE, self.writes_per_minute, limit="kyc")
        return Depends(self.admission.require(access))

    def reader(self) -> Any:
        """Return the dependency that yields the caller of a read."""
        return Depends(self.admission.require(Access(SCOPE, self.reads_per_minute, limit="read")))

    async def run(self, request: Request, caller: str, act: Act) -> Response:
        """Commit a change. Nothing of the request is kept: a hash would reveal a birth date."""
        with_erasure = _answering_erasure(act)
        response = await self.requests.run(request, caller, with_erasure, is_stored=False)
        self.wake()
        return response


def _answering_erasure(act: Act) -> Act:
    async def answered(tx: Any, cause: Any) -> Reply:
        try:
            return await act(tx, cause)
        except ErasedError:
            return Reply(ERASED, status=GONE)

    return answered


ERASED = {"error": "Erased", "details": "This user's personal data was erased."}


def status_shown(known: Profile, documents: Sequence[Document], now: datetime) -> dict[str, Any]:
    """Return a status as its owner sees it."""
    return {
        "userId": known.user_id,
        "status": known.status(now).upper(),
        "level": known.level,
        "state": known.state.value,
        "verifiedLevel": known.verified_level,
        "verifiedAt": known.verified_at,
        "expiresAt": known.verified_until,
        "missing": missing(known.level, [one.type for one in documents]),
    }


def refused(refusal: Refusal, details: Any = None) -> Reply:
    """Return 409 for an act that the state does not allow."""
    return Reply({"error": "Not possible now", "details": details or refusal.value}, status=409)


def own(user_id: str, caller: str) -> None:
    """Answer 404 for another person's data: nobody learns who has any."""
    if user_id != caller:
        raise HTTPException(404, "Not found")


def check_agreement(zone: Zone, stated: Mapping[str, Any], field: str, today: date) -> None:
    """Refuse a zone that does not agree with what the person states, or has expired."""
    birth = date.fromisoformat(stated["dateOfBirth"])
    wrong = list(disagreements(zone, stated["lastName"], stated["firstName"], birth))
    if wrong:
        details = f"does not agree with the profile: {', '.join(wrong)}"
        raise RefusedError(answers.invalid_field(field, details))
    if zone.expiry < today:
        raise RefusedError(answers.invalid_field(field, "the document has expired"))
