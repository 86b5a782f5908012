"""The edge served on a port, with its streams and the feed of statuses, without Kafka."""

import asyncio
import json
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import httpx
import uvicorn
from gateway_edge import Edge
from websockets.asyncio.client import connect

from gateway.clients.reads import PaymentView
from gateway.clients.statuses import StatusFeed
from payment_schemas.events.confirmation import PaymentStatusChanged
from payment_schemas.ids import payment_id_of
from service_runtime.brokers import Brokers
from service_runtime.serving import Server
from service_runtime.websocket_connection import OPTIONS, WebSocketConnection
from testkit.events import event_of
from testkit.tokens import token

WITHIN_S = 5


def changed(sequence, status="SUCCESS", settlement_status="PENDING", **fields):
    """A change of tx-987 of usr-456, or of another payment."""
    about = {"user_id": "usr-456", "transaction_id": "tx-987", **fields}
    payment_id = payment_id_of(about["user_id"], about["transaction_id"])
    return event_of(
        PaymentStatusChanged,
        payment_id=payment_id,
        sequence=sequence,
        status=status,
        settlement_status=settlement_status,
        **about,
    )


@dataclass
class LiveEdge:
    """A gateway on a port; `tell` is what its feed reads from the topic."""

    edge: Edge
    url: str
    http: httpx.AsyncClient

    def __post_init__(self):
        self.feed = StatusFeed(Brokers("nowhere:1"), self.edge.streams)

    def store(self, event):
        """Let confirm know the payment in this state."""
        view = PaymentView(json.loads(_json(event)), event.sequence)
        self.edge.reads.payments[event.user_id, event.transaction_id] = view

    def publish(self, event):
        """Pass on a record of the topic, as the poll does."""
        if self.feed.wants(event.key.encode()):
            self.feed._changed(event)

    async def opened(self, count=1):
        async with asyncio.timeout(WITHIN_S):
            while True:
                if self.edge.streams.count == count:
                    return
                await asyncio.sleep(0.005)

    @asynccontextmanager
    async def stream(self, transaction_id="tx-987", user="usr-456", last=None, **claims):
        """The response and the events of a stream."""
        headers = {"Authorization": f"Bearer {token(sub=user, **claims)}"}
        if last is not None:
            headers["Last-Event-ID"] = str(last)
        path = f"/payment/{transaction_id}/events"
        async with self.http.stream("GET", path, headers=headers) as response:
            yield response, events_of(response)

    def socket(self, *protocols, **arguments):
        arguments = {"subprotocols": protocols or None, "proxy": None, **arguments}
        return connect(f"ws{self.url.removeprefix('http')}/ws", **arguments)


def _json(event):
    text = event.public_view()
    return json.dumps(text, default=lambda time: time.isoformat())


async def events_of(response):
    """Yield each event of a stream as its fields; comments under the empty name."""
    fields = {}
    async for line in response.aiter_lines():
        name, _, value = line.partition(": ")
        if line:
            fields[name] = value
        elif fields:
            yield fields
            fields = {}


async def next_status(events):
    """Return the next status as id and settlement status, or the name of another event."""
    async with asyncio.timeout(WITHIN_S):
        async for event in events:
            if event.get("event") == "status":
                body = json.loads(event["data"])
                return int(event["id"]), body["status"], body["settlement_status"]
            if "event" in event:
                return event["event"], event["data"]
    return None


@asynccontextmanager
async def served(edge):
    """Serve an edge on a port of this process."""
    options = {"lifespan": "off", "log_config": None, "ws": WebSocketConnection, **OPTIONS}
    config = uvicorn.Config(edge.app, port=0, **options)
    server, listener = Server(config), config.bind_socket()
    config.bind_socket = lambda: listener
    task = asyncio.create_task(server.serve())
    url = "http://{}:{}".format(*listener.getsockname())
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=WITHIN_S))
        while True:
            await asyncio.sleep(0.005)
            if server.started:
                break
        yield LiveEdge(edge, url, http)
    server.should_exit = True
    await task
