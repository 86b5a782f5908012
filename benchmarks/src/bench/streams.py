"""`make bench-streams`: memory and idle CPU of a gateway with COUNT=5000 open streams."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from resource import RLIMIT_NOFILE, getrlimit, setrlimit
from typing import TypeVar, cast

import orjson
import uvloop

from bench import processes
from bench.client import Client
from bench.customers import Customer, open_customers
from bench.errors import BenchmarkError
from bench.report import MIB
from bench.settings import number_of
from bench.system import System, Tell, started
from local_stack.status import resident_bytes
from local_stack.waiting import elapsed_since, now_s
from testbed.edge import CODE

GATEWAY = "gateway"
OF_USER = 10
"""The limit of a user."""
AT_ONCE = 50
IDLE_S = 30.0
REST_S = 5.0
WITHIN_S = 60.0
MOST_MIB = 200
MOST_CPU = 0.10
OK, ACCEPTED, CODE_REQUIRED = 200, 202, 403
T = TypeVar("T")
_CONFIRM = b"/payment/confirm"
_REQUEST = b"GET /payment/%s/events HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer %s\r\n\r\n"


@dataclass(slots=True)
class _Stream(asyncio.Protocol):
    """One open stream; it keeps nothing but the end of what it has received."""

    request: bytes
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    decided: asyncio.Event = field(default_factory=asyncio.Event)
    rest: bytes = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # TCP gives no other type, but uvloop's class does not derive from it.
        cast(asyncio.Transport, transport).write(self.request)

    def data_received(self, data: bytes) -> None:
        self.rest = (self.rest + data)[-1024:]
        if b"OTP_REQUIRED" in self.rest:
            self.opened.set()
        if b'"SUCCESS"' in self.rest:
            self.decided.set()


def streams(offset: int, tell: Tell) -> None:
    """Open the streams, leave them idle, then change a payment of each user.

    Raises BenchmarkError over 200 MiB or 10 % of a core.
    """
    count = number_of("COUNT", 5_000, 10_000)
    soft, hard = getrlimit(RLIMIT_NOFILE)
    setrlimit(RLIMIT_NOFILE, (max(soft, min(count + 1_000, hard)), hard))
    with started(offset, tell) as system:
        users = -(-count // OF_USER)
        uvloop.run(_measured(system, count, users))


async def _measured(system: System, count: int, users: int) -> None:
    customers = await open_customers(system, "streams", users)
    everyone = [customers.of(number) for number in range(users)]
    with closing(Client(system.found.url("gateway"))) as client:
        await _in_parts([partial(_pay, client, one) for one in everyone])
        await asyncio.sleep(REST_S)
        before = _resident(system)
        opened = await _opened(system, [everyone[number % users] for number in range(count)])
        await asyncio.sleep(REST_S)
        grown = (_resident(system) - before) / MIB
        cpu = await _idle_cpu(system)
        took_s = await _told(client, everyone, opened)
    system.tell(
        f"{count:,} streams: {grown:.0f} MiB ({grown * 1024 / count:.1f} KiB a stream), idle"
        f" {cpu:.1%} of a core; {users:,} payments decided, and all streams told, in {took_s:.1f} s"
    )
    if grown > MOST_MIB or cpu > MOST_CPU:
        raise BenchmarkError(f"more than {MOST_MIB} MiB or {MOST_CPU:.0%} of a core")


async def _in_parts(calls: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
    """Make calls, some at once; return their results in order."""
    found: list[T] = []
    for first in range(0, len(calls), AT_ONCE):
        found += await asyncio.gather(*(call() for call in calls[first : first + AT_ONCE]))
    return found


async def _pay(client: Client, customer: Customer, **more: str) -> None:
    """Make a payment that waits for its code; or give the code."""
    body = {
        "transaction_id": customer.account,
        "idempotency_key": customer.account,
        "amount": "5200.00",
        "from_account": customer.account,
        "to_account": f"new-{customer.account}",
        **more,
    }
    answer = await client.post(_CONFIRM, customer.token, orjson.dumps(body), WITHIN_S)
    # After a 202 the payment goes on, and its streams show it.
    if answer.status not in (OK if more else CODE_REQUIRED, ACCEPTED):
        raise BenchmarkError(f"{customer.account}: {answer.status} {answer.body.decode()}")


async def _opened(system: System, customers: Sequence[Customer]) -> list[_Stream]:
    """Open a stream for each customer named; wait until each shows the present status."""
    host, _, port = system.found.url("gateway").removeprefix("http://").partition(":")
    loop = asyncio.get_running_loop()

    async def opened(customer: Customer) -> _Stream:
        request = _REQUEST % (customer.account.encode(), customer.token)
        _, stream = await loop.create_connection(lambda: _Stream(request), host, int(port))
        async with asyncio.timeout(WITHIN_S):
            await stream.opened.wait()
        return stream

    return await _in_parts([partial(opened, one) for one in customers])


async def _idle_cpu(system: System) -> float:
    """Return the share of a core that the gateway uses while nothing happens: heartbeats."""
    root = {GATEWAY: system.roots[GATEWAY]}
    before, start_s = processes.cpu_s(root)[GATEWAY], now_s()
    await asyncio.sleep(IDLE_S)
    return (processes.cpu_s(root)[GATEWAY] - before) / elapsed_since(start_s)


async def _told(client: Client, everyone: Sequence[Customer], opened: Sequence[_Stream]) -> float:
    """Decide every payment; return the seconds until every stream has shown it."""
    start_s = now_s()
    await _in_parts([partial(_pay, client, one, otp_code=CODE) for one in everyone])
    async with asyncio.timeout(WITHIN_S):
        for stream in opened:
            await stream.decided.wait()
    return elapsed_since(start_s)


def _resident(system: System) -> int:
    return resident_bytes(system.roots[GATEWAY])
