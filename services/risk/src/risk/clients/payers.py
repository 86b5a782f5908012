"""The payers' names, which compliance knows from identity checks, sealed for screening."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from payment_schemas.sealed import Sealed
from risk.clients.calls import Reply, consistent, in_chunks, parsed, post, valid
from service_runtime.http_client import HttpClient

NAMES_DEADLINE_S = 1.5
"""Of the names of a batch: their screening comes afterwards, within the same lease."""
PAYERS_DEADLINE_S = 8.0
"""Of the names and their screening together: as long as the look-ups beside them may take."""


class PayerNames(Protocol):
    """The port to the payers' names."""

    async def names(self, payers: Mapping[str, str]) -> Mapping[str, Sealed | None]:
        """Return the names of payers, given by user, by payment.

        None: no name is known. A payment without a valid result is left out.
        """
        ...


class _Named(Reply):
    payment_id: str
    sealed_name: Sealed | None
    """Always there: a reply that lacks it says nothing of the name."""


class _NamedMany(Reply):
    results: list[Any]


class Payers:
    """The names at the service compliance."""

    def __init__(self, client: HttpClient) -> None:
        self._client = client

    async def names(self, payers: Mapping[str, str]) -> Mapping[str, Sealed | None]:
        async def query(payments: Sequence[str]) -> dict[str, Sealed | None]:
            asked = [{"payment_id": one, "user_id": payers[one]} for one in payments]
            body = await post(self._client, "/names:batch", {"payments": asked})
            named = valid(_Named, parsed(_NamedMany, body).results)
            return consistent(payments, [(one.payment_id, one.sealed_name) for one in named])

        return await in_chunks(query, payers, NAMES_DEADLINE_S)


@dataclass
class MemoryPayers:
    """The memory twin: `known` names by user, sealed; of `silent` users no result."""

    known: dict[str, Sealed] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)

    async def names(self, payers: Mapping[str, str]) -> Mapping[str, Sealed | None]:
        return {
            payment: self.known.get(user)
            for payment, user in payers.items()
            if user not in self.silent
        }
