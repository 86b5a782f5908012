"""Kafka's address, and what a client authenticates with: SCRAM over plain text or TLS."""

import ssl
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from aiokafka.conn import create_conn
from aiokafka.errors import (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

MECHANISM = "SCRAM-SHA-512"
_REFUSED = (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)


@dataclass(frozen=True, slots=True)
class Brokers:
    """Broker addresses (host:port, comma separated) with the client's principal.

    Without a user the client does not authenticate; with `tls_ca`, a file of trusted certificates,
    it connects by TLS and verifies the broker's name.
    """

    servers: str
    user: str = ""
    password: str = field(default="", repr=False)
    tls_ca: str = ""

    def __str__(self) -> str:
        return self.servers

    @property
    def arguments(self) -> dict[str, Any]:
        """The connection arguments of every client of aiokafka."""
        return {"bootstrap_servers": self.servers, **self.security}

    @property
    def security(self) -> dict[str, Any]:
        """The arguments without the addresses."""
        protocol = "SSL" if self.tls_ca else "PLAINTEXT"
        context = {"ssl_context": _context(self.tls_ca)} if self.tls_ca else {}
        if not self.user:
            return {"security_protocol": protocol, **context}
        return {
            "security_protocol": f"SASL_{protocol}",
            "sasl_mechanism": MECHANISM,
            "sasl_plain_username": self.user,
            "sasl_plain_password": self.password,
            **context,
        }

    async def refusal(self) -> str | None:
        """Connect once; return why a broker refuses this client, None where it does not.

        aiokafka reports a refused login like a broker that is down.
        """
        for server in self.servers.split(","):
            host, _, port = server.strip().rpartition(":")
            try:
                connection = await create_conn(host, int(port), **self.security)
            except _REFUSED:
                return f"the broker refuses the login of principal {self.user or 'ANONYMOUS'}"
            except ssl.SSLError as error:
                return f"TLS with {server} failed: {error.reason or type(error).__qualname__}"
            except (OSError, KafkaError, TimeoutError):
                continue
            try:
                await connection.send(MetadataRequest([]))
            except KafkaError:
                return f"{server} closes the connection: it expects a login, or another protocol"
            finally:
                connection.close()
            return None
        return None


@cache
def _context(ca_file: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_file)
