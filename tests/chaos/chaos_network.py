"""The connections between services and infrastructure, each through a proxy."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from chaos_arena import OURS, Arena
from chaos_links import Link

from local_stack.inventory import load_inventory
from local_stack.ports import Ports

BESIDE = 50
"""The port offset of a proxy to its target."""
SLOW_S = 8.0
HALF_OPEN_S = 9.0
"""Longer than the group's session of 6 s."""
RESETS = 3


def links(offset: int) -> dict[str, Link]:
    """Return a proxy, not yet listening, for each infrastructure process and the banks."""
    ports = Ports(load_inventory(), offset)
    targets = {"kafka": ports.kafka_link, "postgres": ports.postgres, "redis": ports.redis}
    targets["partner_bank"] = ports.of("partner_bank")
    return {name: Link(name, port + BESIDE, port) for name, port in targets.items()}


def detours(between: Mapping[str, Link]) -> dict[str, dict[str, str]]:
    """Return the settings that connect each service through the proxies."""
    inventory = load_inventory()

    def of(service: str) -> dict[str, str]:
        every = {
            "kafka": ("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:{port}"),
            "postgres": ("DATABASE_URL", f"postgresql://{service}@127.0.0.1:{{port}}/countersign"),
            "redis": ("REDIS_URL", f"redis://{service}@127.0.0.1:{{port}}/0"),
            "partner_bank": ("PARTNER_BANK_URL", "http://127.0.0.1:{port}"),
        }
        needs = inventory.service(service).needs
        if service == "settlement":
            needs = (*needs, "partner_bank")
        return {every[one][0]: every[one][1].format(port=between[one].port) for one in needs}

    return {service: of(service) for service in OURS}


async def slow(arena: Arena, count: int) -> str:
    """Delay every chunk on one connection after the other."""

    async def strike(link: Link) -> None:
        link.become("slow")
        await asyncio.sleep(SLOW_S)
        link.become("open")

    return await _each(arena, count, "slow link", strike)


async def half_open(arena: Arena, count: int) -> str:
    """Drop all data silently, then reset."""

    async def strike(link: Link) -> None:
        link.become("half-open")
        await asyncio.sleep(HALF_OPEN_S)
        link.reset()
        link.become("open")

    return await _each(arena, count, "half-open link", strike)


async def reset(arena: Arena, count: int) -> str:
    """Reset all connections of a link repeatedly."""

    async def strike(link: Link) -> None:
        for _ in range(RESETS):
            link.reset()
            await asyncio.sleep(arena.chance.uniform(0.2, 1.5))

    return await _each(arena, count, "reset link", strike)


async def _each(
    arena: Arena, count: int, kind: str, strike: Callable[[Link], Awaitable[None]]
) -> str:
    for _ in range(count):
        for name, link in arena.links.items():
            arena.log.fault(kind, service=name)
            await strike(link)
            await arena.all_back()
    return f"{', '.join(arena.links)} in turn"
