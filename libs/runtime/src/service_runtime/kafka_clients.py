"""Start and stop of Kafka clients, and what the log says where the broker refuses one."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, KafkaError

from service_runtime.brokers import Brokers
from service_runtime.logs import Log

START_WITHIN_S = 60
START_RETRY_S = 0.5
STOP_WITHIN_S = 2

_log = Log("kafka")


async def ended(work: Coroutine[Any, Any, None]) -> None:
    """Run a step of the stop in a task of its own, with a timeout.

    aiokafka cancels its own tasks and awaits them. Without a broker its `stop` raises their
    CancelledError, as if the caller were cancelled.
    """
    task = asyncio.create_task(work)
    await asyncio.wait({task}, timeout=STOP_WITHIN_S)
    if not task.done():
        task.cancel()
        return
    error = None if task.cancelled() else task.exception()
    if error is not None and not isinstance(error, TimeoutError | KafkaError):
        raise error


async def _explained(brokers: Brokers) -> bool:
    """Log why the broker refuses the login, if it does; return whether it was logged."""
    reason = await brokers.refusal()
    if reason is not None:
        _log.error(
            "broker_refuses",
            principal=brokers.user,
            operation="AUTHENTICATE",
            reason=reason,
            remedy="compare KAFKA_USER, KAFKA_PASSWORD_FILE and KAFKA_TLS_CA with the broker's",
        )
    return reason is not None


def log_unauthorized(brokers: Brokers, operation: str, error: BaseException) -> None:
    """Log what the broker's rules do not allow: principal, operation, topic or group."""
    _log.error(
        "broker_refuses",
        principal=brokers.user,
        operation=operation,
        topic=_names_in(error),
        error_class=type(error).__qualname__,
        remedy="compare reads and emits of service.toml with docs/rights.md, then `make up`",
    )


def _names_in(error: BaseException) -> str:
    """Return the topics or the group that aiokafka passes with the error: a name or a set."""
    named = error.args[0] if error.args else ""
    return named if isinstance(named, str) else ", ".join(sorted(named))


async def start_within(client: AIOKafkaConsumer | AIOKafkaProducer, brokers: Brokers) -> None:
    """Start a client; wait, with a timeout, for a broker that is still starting."""
    is_explained = False
    async with asyncio.timeout(START_WITHIN_S):
        while True:
            try:
                await client.start()
            except KafkaConnectionError:
                _log.warning("broker_awaited", delay_s=START_RETRY_S)
                is_explained = is_explained or await _explained(brokers)
                await asyncio.sleep(START_RETRY_S)
            else:
                return
