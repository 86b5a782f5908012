"""Identity checks on real servers, with the provider's mock as a process of its own."""

import asyncio
import contextlib
import io
import os
import random
import socket
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import httpx
import psycopg
import uvicorn
from PIL import Image

from compliance.app import build
from compliance.domain.mrz import check_digit
from payment_schemas.sealed import Sealed
from service_runtime.sealing import Sealer
from testbed.service import SECRET, running
from testkit.operators import approval_of, signed_in
from testkit.tokens import token

KYC = "/api/v1/kyc"
WITHIN_S = 40
ALICE, BOB = (
    signed_in("subjects.erase", "compliance.write", "ops.read", name=name)
    for name in ("ann", "ben")
)
REVIEWER = signed_in("compliance.write", "ops.read", name="reviewer")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def stated(last_name="Eriksson", **fields):
    return {
        "firstName": "Anna Maria",
        "lastName": last_name,
        "dateOfBirth": "1974-08-12",
        "nationality": "UTO",
        "address": {"street": "Main St 1", "city": "Zenith", "postcode": "1000", "country": "UTO"},
    } | fields


def picture(kind="JPEG", side=160):
    """Return a picture that no compression makes small: the provider demands 2 KiB."""
    noise = random.Random(side).randbytes(side * side * 3)  # noqa: S311 - a picture
    written = io.BytesIO()
    Image.frombytes("RGB", (side, side), noise).save(written, kind)
    return written.getvalue()


def zone(last_name="ERIKSSON", number="L898902C3", ends="301231"):
    parts = [number + check_digit(number), "740812" + check_digit("740812")]
    parts.append(ends + check_digit(ends))
    second = f"{parts[0]}UTO{parts[1]}F{parts[2]}" + "<" * 14 + "0"
    composite = check_digit("".join(parts) + "<" * 14 + "0")
    return f"P<UTO{last_name}<<ANNA<MARIA".ljust(44, "<") + "\n" + second + composite


class Mock:
    """The provider's mock as a process."""

    def __init__(self, environment, webhook_url):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        own = {
            "PORT": str(self.port),
            "PROFILE": "dev",
            "PROVIDER_WEBHOOK_URL": webhook_url,
            "WEBHOOK_LATE_S": "0.5",
            "CHECK_TAKES_S": "0.2",
            "CHECK_SLOW_S": "1.0",
        }
        command = [sys.executable, "-m", "mocks.onfido"]
        self._process = subprocess.Popen(command, env=os.environ | environment | own)  # noqa: S603 - ours
        end_s = time.monotonic() + 60
        while True:
            assert self._process.poll() is None, "the mock ended while it started"
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/ready").status_code == 200:
                    return
            assert time.monotonic() < end_s, "the mock is not ready"
            time.sleep(0.05)

    def switch(self, kind, rate=1.0):
        httpx.put(f"{self.url}/faults", json={"kind": kind, "rate": rate}).raise_for_status()

    def heal(self):
        httpx.delete(f"{self.url}/faults").raise_for_status()

    def kill(self):
        self._process.kill()
        self._process.wait()


class World:
    """A running service as its customers and operators use it."""

    def __init__(self, http, settings):
        self.http, self.settings, self.brokers = http, settings, None

    def of(self, user_id):
        return {"Authorization": f"Bearer {token(sub=user_id, scope='kyc.write')}"}

    async def initiate(self, user_id, last_name="Eriksson", **fields):
        body = stated(last_name, **fields)
        return await self.http.post(f"{KYC}/initiate", json=body, headers=self.of(user_id))

    async def upload(self, user_id, content=None, kind="passport"):
        path = f"{KYC}/upload-document?type={kind}"
        return await self.http.post(
            path, content=content or picture(), headers=self.of(user_id), timeout=30
        )

    async def verify(self, user_id, zones=None):
        body = {"zones": zones or {}}
        return await self.http.post(f"{KYC}/verify", json=body, headers=self.of(user_id))

    async def status(self, user_id):
        reply = await self.http.get(f"{KYC}/{user_id}/status", headers=self.of(user_id))
        assert reply.status_code == 200, reply.text
        return reply.json()

    async def profile(self, user_id):
        return await self.http.get(f"{KYC}/{user_id}/profile", headers=self.of(user_id))

    async def names(self, *user_ids, secret=SECRET):
        """Return the names of payers as risk gets them, opened as screening does; and the reply."""
        payments = {str(uuid4()): user_id for user_id in user_ids}
        asked = [{"payment_id": one, "user_id": name} for one, name in payments.items()]
        headers = {"Authorization": f"Bearer {secret}"}
        reply = await self.http.post("/names:batch", json={"payments": asked}, headers=headers)
        sealer, found = Sealer(self.settings.screening_sealing_keys), {}
        for one in reply.json().get("results", ()):
            sealed, payment = one["sealed_name"], one["payment_id"]
            opened = sealed and sealer.open(Sealed(sealed), UUID(payment)).reveal()
            found[payments[payment]] = opened
        return found, reply

    async def ends(self, user_id, *states):
        async def there():
            found = await self.status(user_id)
            return found if found["state"] in states else None

        return await until(there)

    async def checked(self, user_id, last_name="Eriksson"):
        """Take a user through a round, up to the provider."""
        for reply in (
            await self.initiate(user_id, last_name),
            await self.upload(user_id),
            await self.verify(user_id),
        ):
            assert reply.status_code in (201, 202), reply.text

    async def subject(self, method, path, by=ALICE, **content):
        return await self.http.request(method, f"/admin/subjects/{path}", headers=by, **content)

    async def erase(self, user_id):
        """Erase a subject by two people, and wait until its key is gone."""
        proposed = await self.subject("POST", f"{user_id}/erase")
        assert proposed.status_code == 202, proposed.text
        approved = await self.http.post(**approval_of(proposed.json()), headers=BOB)
        assert approved.status_code == 200, approved.text

        async def gone():
            return (await self.subject("GET", user_id)).json()["destroyed_at"]

        return await until(gone)


@asynccontextmanager
async def world_of(settings, port):
    """Serve on a port: webhooks come by HTTP."""
    async with running(build(settings)) as process:
        config = uvicorn.Config(process.app, port=port, lifespan="off", log_config=None)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        await until(lambda: server.started)
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:
                yield World(http, settings)
        finally:
            server.should_exit = True
            await serving


async def execute(database, statement, *values):
    """Run a statement as the superuser; return its rows.

    Not by a blocking client: the service runs in this loop, and may hold the lock.
    """
    async with await psycopg.AsyncConnection.connect(database.admin_dsn) as connection:
        cursor = await connection.execute(statement, values)
        return await cursor.fetchall() if cursor.description else []


async def until(condition, within_s=WITHIN_S):
    """Wait for a condition, a function or a coroutine function; fail past the time."""
    end_s = time.monotonic() + within_s
    while True:
        found = condition()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < end_s, "did not happen in time"
        await asyncio.sleep(0.05)
