"""Webhooks of providers: sent until they are accepted, and disturbed by the mock's faults."""

import asyncio
from collections.abc import Mapping
from typing import Any

from mocks.edge import Mock
from mocks.settings import WebhookSettings
from service_runtime.errors import Unavailable
from service_runtime.http_client import HttpClient

MOST_WEBHOOKS = 10_000
WEBHOOK_TRIES, RETRY_S = 600, 1.0
"""Ten minutes; providers go on for days, so that no restart of a receiver outlasts them."""
BEFORE_REPLY_S = 3.0
"""How long the reply waits for a webhook that is sent before it."""
REFUSED = 300
Message = tuple[Any, Mapping[str, str]]
"""A webhook's body, and its headers."""


class Webhooks:
    """Sends webhooks until they are accepted; faults delay, lose, repeat or hasten them."""

    def __init__(self, mock: Mock, settings: WebhookSettings) -> None:
        self._faults = mock.faults
        self._late_s = settings.webhook_late_s
        self._tasks: set[asyncio.Task[None]] = set()
        self._client: HttpClient | None = None
        if settings.provider_webhook_url:
            client = HttpClient(f"{mock.name}-webhooks", settings.provider_webhook_url)
            self._client = mock.use(client)
        mock.run(self._until)

    async def _until(self, stopping: asyncio.Event) -> None:
        await stopping.wait()
        for task in self._tasks:
            task.cancel()

    async def send(self, message: Message) -> None:
        """Send a webhook, before the reply of the request where that fault is on."""
        if self._client is None or len(self._tasks) >= MOST_WEBHOOKS:
            return
        if self._faults.is_on("webhook_lost"):
            return
        tasks = [
            asyncio.create_task(self._deliver(message))
            for _ in range(1 + self._faults.is_on("webhook_twice"))
        ]
        self._tasks.update(tasks)
        for task in tasks:
            task.add_done_callback(self._tasks.discard)
        if self._faults.is_on("webhook_before_reply"):
            # A client that disconnects ends this request, and not the delivery.
            await asyncio.wait(tasks, timeout=BEFORE_REPLY_S)

    async def _deliver(self, message: Message) -> None:
        if self._faults.is_on("webhook_late"):
            await asyncio.sleep(self._late_s)
        for _ in range(WEBHOOK_TRIES):
            if await self._try(message):
                return
            await asyncio.sleep(RETRY_S)

    async def _try(self, message: Message) -> bool:
        assert self._client is not None  # noqa: S101 - checked by `send`
        body, headers = message
        try:
            return (await self._client.post("", body, headers)).status < REFUSED
        except Unavailable:
            return False
