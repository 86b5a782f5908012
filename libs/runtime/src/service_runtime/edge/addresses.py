"""Client addresses behind trusted proxies. Pure."""

import re
from collections.abc import Collection
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network
_HOST_AND_PORT = re.compile(
    r"^(?:\[(?P<v6>[^\]]+)\](?::[0-9]{1,5})?|(?P<host>[0-9.]+)(?::[0-9]{1,5})?|(?P<bare>[^\[\]]+))\Z"
)


def client_address(peer: str, forwarded: str, trusted: Collection[Network]) -> str:
    """Return the address of the client: the last one that no trusted proxy added.

    `forwarded` is the whole X-Forwarded-For. Each trusted proxy appends the address of its peer, so
    the list is read from the right; what stands left of the first untrusted address is forgeable.
    """
    address = _address(peer) or peer
    for claimed in reversed(forwarded.split(",")):
        found = _address(claimed)
        if found is None or not is_within(address, trusted):
            return address
        address = found
    return address


def is_within(address: str, networks: Collection[Network]) -> bool:
    """Return whether an address is in one of the networks."""
    found = _address(address) if networks else None
    return found is not None and any(ip_address(found) in network for network in networks)


@lru_cache(maxsize=4096)
def _address(text: str) -> str | None:
    """Return an address in its shortest form, without brackets, port or zone; None if invalid.

    An IPv4-mapped IPv6 address becomes the IPv4 address, so that both forms share limits and trust.
    """
    found = _HOST_AND_PORT.match(text.strip().strip('"'))
    if found is None:
        return None
    try:
        address = ip_address((found["v6"] or found["host"] or found["bare"]).partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)
