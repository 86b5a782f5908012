"""What logins and rights cost a request, in the broker's CPU.

The same requests about one topic go through the listener with logins and rights and through the
open one, in turn: a difference of some microseconds, which no window of payments can show.
"""

import asyncio
from dataclasses import dataclass
from statistics import median

import uvloop
from aiokafka.conn import AIOKafkaConnection, create_conn
from aiokafka.protocol.metadata import MetadataRequest

from bench.processes import cpu_s
from bench.system import System
from payment_schemas.events.confirmation import ConfirmRequested
from service_runtime.brokers import Brokers

PRINCIPAL = "gateway"
REQUESTS, AT_ONCE, PAIRS = 20_000, 50, 12


@dataclass(frozen=True, slots=True)
class RequestCost:
    """CPU µs of the broker that a request costs more than without a login and rights."""

    median_us: float
    least_us: float
    greatest_us: float


def request_cost(system: System) -> RequestCost:
    """Measure it by pairs; the first pair only warms the broker."""
    found = uvloop.run(_pairs(system))[1:]
    return RequestCost(median(found), min(found), max(found))


async def _pairs(system: System) -> list[float]:
    stack = system.stack
    open_listener = Brokers(f"127.0.0.1:{stack.ports.kafka_link}")
    doors = (stack.description().brokers_as(PRINCIPAL), open_listener)
    guarded, free = [await _connected(door) for door in doors]
    found = [await _used_us(guarded, system) - await _used_us(free, system) for _ in range(PAIRS)]
    guarded.close()
    free.close()
    return found


async def _connected(brokers: Brokers) -> AIOKafkaConnection:
    host, _, port = brokers.servers.partition(":")
    return await create_conn(host, int(port), **brokers.security)


async def _used_us(connection: AIOKafkaConnection, system: System) -> float:
    """Return the CPU µs of the broker a request."""
    broker = {"kafka": system.roots["kafka"]}
    before = cpu_s(broker)["kafka"]
    for _ in range(REQUESTS // AT_ONCE):
        asked = (connection.send(MetadataRequest([ConfirmRequested.topic])) for _ in range(AT_ONCE))
        await asyncio.gather(*asked)
    return (cpu_s(broker)["kafka"] - before) / REQUESTS * 1e6
