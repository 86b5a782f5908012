"""Each client that connects by TLS says nothing to a server without the right certificate."""

import asyncio
import contextlib
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
import trustme
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

from service_runtime.brokers import Brokers
from service_runtime.edge.limits import SharedLimits

PASSWORD = "s3cret-password"  # pragma: allowlist secret
SSL_REQUEST = 8
"""Bytes by which a client of PostgreSQL asks for TLS."""
HANDSHAKE = 0x16
"""The first byte of a TLS record before the encryption."""


@dataclass
class Server:
    """Accepts connections, and keeps what a client says after the handshake."""

    context: ssl.SSLContext | None
    asks_first: bool
    said: bytearray = field(default_factory=bytearray)

    async def __aenter__(self):
        context = None if self.asks_first else self.context
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_error):
        self._server.close()
        await self._server.wait_closed()

    async def _connected(self, reader, writer):
        plain = writer.transport
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            if self.asks_first:
                await reader.readexactly(SSL_REQUEST)
                writer.write(b"S" if self.context else b"N")
                if self.context:
                    await writer.start_tls(self.context)
            self.said += await reader.read(1000)
        writer.close()
        plain.abort()


async def kafka(port, ca):
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1):
            await Brokers(f"127.0.0.1:{port}", "confirm", PASSWORD, ca).refusal()


async def postgres(port, ca):
    link = f"host=127.0.0.1 port={port} user=confirm password={PASSWORD} connect_timeout=2"
    with contextlib.suppress(psycopg.OperationalError):
        await psycopg.AsyncConnection.connect(f"{link} sslmode=verify-full sslrootcert={ca}")


async def redis(port, ca):
    async with SharedLimits(f"rediss://gateway@127.0.0.1:{port}/0", PASSWORD, ca) as limits:
        assert await limits.admit("user", "usr-1", 1) is None
        # Without Redis the limit is this process' own.
        assert await limits.admit("user", "usr-1", 1) is not None


async def collector(port, ca):
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", ca)
        exporter = OTLPSpanExporter(f"127.0.0.1:{port}", insecure=False, timeout=1)
        await asyncio.to_thread(exporter.export, [])
        await asyncio.to_thread(exporter.shutdown)


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def client(request, authority, tmp_path):
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return lambda port: request.param(port, str(tmp_path / "ca.pem"))


@pytest.fixture
def server(request, client, authority):
    """A server with a certificate of that kind, for the client of the test."""

    def made(kind):
        yesterday = datetime.now(UTC) - timedelta(days=1)
        leaf = {
            "right": lambda: authority.issue_cert("127.0.0.1"),
            "of another authority": lambda: trustme.CA().issue_cert("127.0.0.1"),
            "expired": lambda: authority.issue_cert("127.0.0.1", not_after=yesterday),
            "of another name": lambda: authority.issue_cert("elsewhere.example"),
        }
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.set_alpn_protocols(["h2"])
        if kind in leaf:
            leaf[kind]().configure_cert(context)
        asks_first = request.node.callspec.params["client"] is postgres
        return Server(context if kind in leaf else None, asks_first)

    return made


clients = pytest.mark.parametrize(
    "client", [kafka, postgres, redis, collector], indirect=True, ids=lambda one: one.__name__
)


@clients
async def test_a_client_speaks_to_a_server_with_the_right_certificate(client, server):
    async with server("right") as right:
        await client(right.port)
        assert right.said


@clients
@pytest.mark.parametrize("kind", ["of another authority", "expired", "of another name"])
async def test_a_client_says_nothing_to_a_server_with_a_wrong_certificate(client, server, kind):
    async with server(kind) as wrong:
        await client(wrong.port)
        assert not wrong.said


@clients
async def test_a_client_says_nothing_in_plain_text(client, server):
    async with server("plain text") as plain:
        await client(plain.port)
        assert not plain.said or plain.said[0] == HANDSHAKE
        assert PASSWORD.encode() not in plain.said
