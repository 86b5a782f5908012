"""TLS of HTTP between processes: the certificate of this one, replaced while requests run."""

import ssl
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from service_runtime.keys import CHECK_EVERY_S, FileState, state_of
from service_runtime.logs import Log

CLIENT_NAMES = "client_names"
"""In the extension `tls` of a request's scope: the names in the client's certificate."""
_log = Log("tls")


class _Contexts(NamedTuple):
    server: ssl.SSLContext
    client: ssl.SSLContext


class ClientContext(Protocol):
    """What the certificates of a called server are verified with."""

    @property
    def client(self) -> ssl.SSLContext:
        """Verifies the server's certificate with its name."""
        ...


class Authority:
    """An authority whose servers are called without a certificate of this process."""

    def __init__(self, file: str) -> None:
        """Raises OSError or ssl.SSLError where the file holds no certificate."""
        self.client = ssl.create_default_context(cafile=file)


class Certificates:
    """A process' key and certificate, and the authority of its peers, as the files are now.

    Each new connection uses them; those that are open end as they began. Files that do not fit
    together, as in the middle of a replacement, change nothing.
    """

    def __init__(self, certificate: str, authority: str) -> None:
        """`certificate`: the file of the key, the certificate and its chain. Raises ValueError."""
        self._files = Path(certificate), Path(authority)
        self._state = self._look()
        self._contexts = self._read()
        self._checked_s = time.monotonic()

    @property
    def server(self) -> ssl.SSLContext:
        """Accepts clients; a certificate that a client shows must be of the authority."""
        return self._current().server

    @property
    def client(self) -> ssl.SSLContext:
        """Shows this process' certificate, and verifies the server's with its name."""
        return self._current().client

    def _current(self) -> _Contexts:
        if time.monotonic() - self._checked_s >= CHECK_EVERY_S:
            self._checked_s = time.monotonic()
            self._refresh()
        return self._contexts

    def _refresh(self) -> None:
        state = self._look()
        if state == self._state:
            return
        try:
            self._contexts = self._read()
        except ValueError as error:
            _log.error("certificate_not_read", reason=str(error))
        else:
            self._state = state
            _log.info("certificate_read", field=self._files[0].name)

    def _look(self) -> tuple[FileState | None, ...]:
        return tuple(state_of(file) for file in self._files)

    def _read(self) -> _Contexts:
        contexts = _Contexts(
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        )
        certificate, authority = self._files
        for context in contexts:
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            try:
                context.load_cert_chain(certificate)
                context.load_verify_locations(authority)
            except (OSError, ValueError) as error:
                raise ValueError(f"{certificate}, {authority}: {error}") from None
        # Health checks and operators show no certificate; internal routes demand one.
        contexts.server.verify_mode = ssl.CERT_OPTIONAL
        return contexts


def names_of(certificate: Mapping[str, Any] | None) -> frozenset[str]:
    """Return the host names in a verified certificate; none where the peer has shown none."""
    names = (certificate or {}).get("subjectAltName", ())
    return frozenset(name for kind, name in names if kind == "DNS")


def client_names(scope: Mapping[str, Any]) -> Collection[str] | None:
    """Return the names in the certificate of a request's client; None without TLS."""
    found: Collection[str] | None = scope.get("extensions", {}).get("tls", {}).get(CLIENT_NAMES)
    return found
