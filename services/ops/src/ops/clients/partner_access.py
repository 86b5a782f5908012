"""A partner bank's side of Kafka: topics, rights, quotas and password, by the administrator."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from aiokafka.admin import AIOKafkaAdminClient

from kafka_access import partners
from kafka_access.errors import AccessError
from ops.clients.topics import admin_of, run_query
from ops.domain.errors import UnavailableError
from service_runtime.brokers import Brokers

WITHIN_S = 60.0
T = TypeVar("T")


class PartnerAccess:
    """What partners have at a broker. Methods raise UnavailableError; each can be repeated."""

    def __init__(self, administrator: Brokers) -> None:
        self._brokers = administrator

    def has_password(self, partner: str) -> bool:
        """Return whether the partner can log in."""

        async def ask(admin: AIOKafkaAdminClient) -> bool:
            return partner in await partners.partners_of(admin)

        return self._run(ask)

    def apply(self, partner: str, partitions: int) -> None:
        """Make the partner's topics, rights and quotas, as far as they are missing."""
        self._run(lambda admin: partners.apply_partner(admin, partner, partitions))

    def set_password(self, partner: str, password: str) -> None:
        """Let the partner log in with this password from now on."""
        self._run(lambda admin: partners.set_password(admin, partner, password))

    def _run(self, work: Callable[[AIOKafkaAdminClient], Awaitable[T]]) -> T:
        async def with_admin() -> T:
            async with admin_of(self._brokers) as admin:
                return await work(admin)

        try:
            return run_query(with_admin(), self._brokers, WITHIN_S)
        except AccessError as error:
            raise UnavailableError(str(error), "make logs S=kafka") from None
