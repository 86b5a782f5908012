"""Work on a broker by the admin client, tried again until the broker is ready."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from kafka_access.errors import AccessError
from local_stack.errors import StackError
from local_stack.waiting import Deadline
from service_runtime.brokers import Brokers

_REQUEST_TIMEOUT_MS = 5_000
_PAUSE_S = 0.2
_REFUSED_FOR_S = 10
"""A broker that starts may refuse a login at first."""
T = TypeVar("T")
Work = Callable[[AIOKafkaAdminClient], Awaitable[T]]


def run_admin_now(brokers: Brokers, work: Work[T], *, within_s: float = 60) -> T:
    """Run `run_admin` in its own thread, so that a caller may have an event loop."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(asyncio.run, run_admin(brokers, work, within_s=within_s)).result()


async def run_admin(brokers: Brokers, work: Work[T], *, within_s: float = 60) -> T:
    """Carry out repeatable work; begin again while the broker fails, until the deadline.

    Raises StackError with the last failure, and at once where the broker refuses the login.
    """
    deadline, refused = Deadline(within_s), Deadline(min(within_s, _REFUSED_FOR_S))
    while True:
        try:
            async with asyncio.timeout(deadline.left_s):
                return await _once(brokers, work)
        except AccessError as error:
            raise StackError(
                f"{error}: see `make logs S=kafka`, or remove all with `make reset`"
            ) from None
        except (KafkaError, TimeoutError) as error:
            if refused.passed and (reason := await brokers.refusal()):
                raise StackError(_REMEDY.format(brokers, reason)) from None
            if deadline.passed:
                raise StackError(f"Kafka at {brokers} is not ready: {error!r}") from error
            await asyncio.sleep(_PAUSE_S)


_REMEDY = (
    "Kafka at {}: {}: its data was made with other secrets. Bring their folder back, or remove both"
    " with `make reset`"
)


async def _once(brokers: Brokers, work: Work[T]) -> T:
    admin = AIOKafkaAdminClient(**brokers.arguments, request_timeout_ms=_REQUEST_TIMEOUT_MS)
    try:
        await admin.start()
        return await work(admin)
    finally:
        await admin.close()
