"""HTTP between processes by TLS: each side is known by its certificate, which may be replaced."""

import asyncio
import hashlib
import json
import os
import socket
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from fastapi import Depends

from service_runtime import tls
from service_runtime.clock import SystemClock
from service_runtime.connection import ConnectionLimits
from service_runtime.credentials import Credentials
from service_runtime.errors import Unavailable
from service_runtime.http_client import HttpClient
from service_runtime.tls import Authority, Certificates
from service_runtime.web import create_app
from testbed.server import serving

SECRET = "secret"
YESTERDAY = datetime.now(UTC) - timedelta(days=1)


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def certificates(tmp_path, authority):
    """Write the certificate of a process; return it with the authority that it trusts."""

    def written(name, *hosts, by=authority, trusts=authority, not_after=None):
        leaf = by.issue_cert(name, *hosts, not_after=not_after)
        trusts.cert_pem.write_to_path(tmp_path / f"{name}-ca.pem")
        draft = tmp_path / f"{name}.draft"
        leaf.private_key_and_cert_chain_pem.write_to_path(draft)
        draft.rename(tmp_path / f"{name}.pem")
        return Certificates(str(tmp_path / f"{name}.pem"), str(tmp_path / f"{name}-ca.pem"))

    return written


def app():
    """Confirm's internal route, for the gateway alone."""
    digest = hashlib.sha256(SECRET.encode()).hexdigest()
    known = Credentials(json.dumps({"gateway": {"sha256": digest, "scopes": ["payment.read"]}}))
    made = create_app("confirm", {}, SystemClock())

    @made.get("/payments", dependencies=[Depends(known.require("payment.read"))])
    async def payments() -> dict[str, str]:
        return {"status": "found"}

    return made


@pytest.fixture
def confirm(certificates):
    with serving(app(), tls=certificates("confirm", "127.0.0.1")) as ((_, port), _):
        yield f"https://127.0.0.1:{port}"


async def status(url, shown, path="/payments"):
    async with HttpClient("confirm-tls", url, 2.0, lambda: SECRET, shown) as client:
        return (await client.get(path)).status


async def test_a_caller_is_known_by_its_secret_and_its_certificate(confirm, certificates):
    assert await status(confirm, certificates("gateway")) == 200


async def test_a_stolen_secret_is_refused_with_another_processs_certificate(confirm, certificates):
    assert await status(confirm, certificates("risk")) == 401


async def test_without_a_certificate_health_responds_and_internal_routes_refuse(
    confirm, tmp_path, authority
):
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    anybody = Authority(str(tmp_path / "ca.pem"))
    async with HttpClient("confirm-tls", confirm, 2.0, lambda: SECRET, anybody) as client:
        found = [(await client.get(path)).status for path in ("/health", "/payments")]
    assert found == [200, 401]


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(lambda: {"by": trustme.CA()}, id="another authority"),
        pytest.param(lambda: {"not_after": YESTERDAY}, id="expired"),
    ],
)
async def test_a_wrong_client_certificate_gets_no_response(confirm, certificates, wrong):
    with pytest.raises(Unavailable):
        await status(confirm, certificates("gateway", **wrong()), "/health")


@pytest.mark.parametrize(
    ("hosts", "wrong"),
    [
        pytest.param(["127.0.0.1"], lambda: {"by": trustme.CA()}, id="another authority"),
        pytest.param(["127.0.0.1"], lambda: {"not_after": YESTERDAY}, id="expired"),
        pytest.param([], dict, id="another name"),
    ],
)
async def test_a_server_with_a_wrong_certificate_is_not_asked(certificates, hosts, wrong):
    seen = []

    async def record(scope, receive, send):
        seen.append(scope["path"])

    made = certificates("confirm", *hosts, **wrong())
    with serving(record, tls=made) as ((_, port), _), pytest.raises(Unavailable):
        await status(f"https://127.0.0.1:{port}", certificates("gateway"))
    assert seen == []


def test_plain_text_gets_no_response(confirm):
    address = ("127.0.0.1", int(confirm.rpartition(":")[2]))
    with socket.create_connection(address, timeout=5) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"HTTP" not in connection.recv(1000)


async def test_a_client_without_a_handshake_delays_no_other(confirm, certificates):
    address = ("127.0.0.1", int(confirm.rpartition(":")[2]))
    silent = [socket.create_connection(address) for _ in range(50)]
    assert await status(confirm, certificates("gateway")) == 200
    for connection in silent:
        connection.close()


async def test_certificates_of_both_sides_are_replaced_under_load_without_a_lost_request(
    confirm, certificates, tmp_path, monkeypatch
):
    monkeypatch.setattr(tls, "CHECK_EVERY_S", 0.0)
    shown, stop, statuses = certificates("gateway"), asyncio.Event(), []

    async def load(client):
        while not stop.is_set():
            statuses.append((await client.get("/payments")).status)

    async with HttpClient("confirm-tls", confirm, 2.0, lambda: SECRET, shown) as client:
        tasks = [asyncio.create_task(load(client)) for _ in range(4)]
        before = await serial(confirm, shown)
        for _ in range(3):
            await asyncio.sleep(0.1)
            certificates("confirm", "127.0.0.1")
            certificates("gateway")
        (tmp_path / "gateway.pem").write_text("half of a certif")
        await asyncio.sleep(0.1)
        stop.set()
        await asyncio.gather(*tasks)
        after = await serial(confirm, shown)

    assert set(statuses) == {200}
    assert len(statuses) > 20
    assert before != after


async def serial(url, shown):
    port = int(url.rpartition(":")[2])
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=shown.client)
    number = writer.get_extra_info("peercert")["serialNumber"]
    writer.close()
    return number


def test_a_full_server_closes_a_connection_by_tls(certificates):
    full = ConnectionLimits(connections=0)
    with (
        serving(app(), full, certificates("confirm", "127.0.0.1")) as (address, _),
        socket.create_connection(address, timeout=5) as connection,
    ):
        assert connection.recv(1000) == b""


@pytest.mark.parametrize("name", ["confirm.pem", "confirm-ca.pem"])
def test_files_that_are_no_certificates_are_named(certificates, tmp_path, name):
    certificates("confirm")
    (tmp_path / name).write_bytes(os.urandom(20))
    with pytest.raises(ValueError, match=name):
        Certificates(str(tmp_path / "confirm.pem"), str(tmp_path / "confirm-ca.pem"))
