"""Where a delivery may go: which URLs an owner may name, and which addresses may be connected to.

The owner chooses the host, so that every name may lead into our own network. The address is judged
as it is connected to, after the name was resolved.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

MOST_URL_CHARACTERS = 2048
MOST_NAME, MOST_LABEL = 253, 63
"""Characters. Source: RFC 1035, section 2.3.4."""
LEAST_PORT = 1024
WEB_PORTS = {"https": 443, "http": 80}
Address = IPv4Address | IPv6Address
_GLOBAL_UNICAST = IPv6Network("2000::/3")
"""Source: IANA IPv6 address space. All else is local, mapped, translated or reserved."""
_REFUSED = (
    IPv4Network("100.64.0.0/10"),  # shared by a provider's customers (RFC 6598)
    IPv4Network("192.0.0.0/24"),  # protocols (RFC 6890); the metadata of one cloud is in it
    IPv4Network("192.88.99.0/24"),  # 6to4 relays (RFC 7526)
    IPv6Network("2001::/32"),  # Teredo: holds an IPv4 address
    IPv6Network("2002::/16"),  # 6to4: holds an IPv4 address
    IPv6Network("3fff::/20"),  # documentation (RFC 9637)
)


class BadUrlError(ValueError):
    """The owner may not name this URL; the text is the broken rule."""


@dataclass(frozen=True, slots=True)
class Target:
    """A checked URL, in the parts that a connection needs."""

    scheme: str
    host: str
    port: int
    path: str
    """With the query."""

    @property
    def authority(self) -> str:
        """The `Host` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == WEB_PORTS[self.scheme] else f"{host}:{self.port}"


def is_allowed(address: Address, *, local: bool) -> bool:
    """Return whether a delivery may go to an address; `local`: also to this machine."""
    if local and address.is_loopback:
        return True
    if address.is_multicast or not address.is_global:
        return False
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    return not any(address in network for network in _REFUSED)


def target_of(url: str, *, local: bool) -> Target:
    """Return the parts of a URL; raise BadUrlError. `local`: also http and this machine."""
    if len(url) > MOST_URL_CHARACTERS:
        raise BadUrlError(f"must have at most {MOST_URL_CHARACTERS} characters")
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise BadUrlError("must be printable ASCII; encode other characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise BadUrlError("must be a URL") from None
    if parts.scheme not in (WEB_PORTS if local else ("https",)):
        raise BadUrlError("must begin with https://")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise BadUrlError("must have no user, password or fragment")
    target = Target(
        parts.scheme,
        _host(parts.hostname or "", local=local),
        WEB_PORTS[parts.scheme] if port is None else port,
        (parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
    )
    if target.port not in WEB_PORTS.values() and target.port < LEAST_PORT:
        raise BadUrlError("port: must be 443, 80 or at least 1024")
    return target


def _host(host: str, *, local: bool) -> str:
    address = address_of(host)
    if address is not None and not is_allowed(address, local=local):
        raise BadUrlError("must have a public address")
    name = host.rstrip(".")
    labels = name.split(".")
    if address is None and not (len(name) <= MOST_NAME and all(map(_is_label, labels))):
        raise BadUrlError("must have a host")
    return host


def _is_label(text: str) -> bool:
    return 0 < len(text) <= MOST_LABEL


def address_of(host: str) -> Address | None:
    """Return the address that a host is, None for a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None
