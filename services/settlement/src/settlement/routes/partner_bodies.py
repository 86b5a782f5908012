"""Bodies of the operator routes of partner banks on Kafka."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from partner_messages.formats import format_of
from partner_messages.keys import Keys
from payment_schemas.ids import IDENTIFIER_PATTERN
from settlement.domain.partners import KafkaPartner, MessageFormat

MOST_PREFIXES = 100
DAY_S = 86_400

Prefix = Annotated[str, StringConstraints(pattern=IDENTIFIER_PATTERN)]


def _distinct(items: list[str]) -> list[str]:
    if len(set(items)) < len(items):
        raise ValueError("must not repeat an entry")
    return items


def _available(name: MessageFormat) -> MessageFormat:
    try:
        format_of(name)
    except (ImportError, RuntimeError) as error:
        raise ValueError(f"is not installed: {error}") from None
    return name


KeySet = Annotated[dict[str, Any], AfterValidator(lambda jwks: Keys.of_jwks(jwks).jwks())]
"""The bank's public keys, a JSON Web Key Set. A private part is refused."""


class NewPartner(BaseModel):
    """The profile of a new partner bank."""

    model_config = ConfigDict(extra="forbid")

    partner: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{3,32}$")]
    format: Annotated[MessageFormat, AfterValidator(_available)]
    partitions: int = Field(ge=1, le=64)
    account_prefixes: Annotated[
        list[Prefix], Field(max_length=MOST_PREFIXES), AfterValidator(_distinct)
    ]
    answer_within_s: int = Field(ge=1, le=30 * DAY_S)
    enquire_after_s: int = Field(ge=1, le=30 * DAY_S)
    keys: KeySet

    def profile(self) -> KafkaPartner:
        """Return the profile to store."""
        return KafkaPartner(
            partner=self.partner,
            format=self.format,
            partitions=self.partitions,
            account_prefixes=tuple(self.account_prefixes),
            answer_within_s=self.answer_within_s,
            enquire_after_s=self.enquire_after_s,
            keys=self.keys,
        )


class NewKeys(BaseModel):
    """The bank's keys from now on, instead of the present ones."""

    model_config = ConfigDict(extra="forbid")

    keys: KeySet


class ReplayRequest(BaseModel):
    """What is published again: everything since a time, or one transfer."""

    model_config = ConfigDict(extra="forbid")

    since: AwareDatetime | None = None
    uetr: UUID | None = None
