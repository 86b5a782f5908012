"""Names of endpoints: resolved within a bound, and judged by every address that they have."""

import socket
from collections.abc import Awaitable, Callable
from ipaddress import ip_address

from service_runtime.compute import Executor
from webhooks.domain.addresses import Address, Target, address_of, is_allowed

Resolver = Callable[[str, int], Awaitable[list[Address]]]
"""Returns the addresses of a name; raises OSError."""


class ForbiddenAddressError(Exception):
    """The name leads to an address that no delivery may go to."""


def system_resolver(executor: Executor) -> Resolver:
    """Return the resolver of this machine; a name server that hangs occupies its threads alone."""

    async def resolve(host: str, port: int) -> list[Address]:
        found = await executor.run(_look_up, host, port)
        return [ip_address(one) for one in found]

    return resolve


def _look_up(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(str(error)) from None
    # A link-local address has its interface behind it.
    return [str(one[4][0]).partition("%")[0] for one in found]


async def checked_address(target: Target, resolve: Resolver, *, local: bool) -> Address:
    """Return the address to connect to; raise OSError, or ForbiddenAddressError.

    One forbidden address among several refuses the name: whoever owns it chooses their order.
    """
    literal = address_of(target.host)
    found = [literal] if literal else await resolve(target.host, target.port)
    if not found:
        raise OSError("no address")
    if not all(is_allowed(one, local=local) for one in found):
        raise ForbiddenAddressError
    return found[0]
