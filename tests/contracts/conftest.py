"""An audit log with its routes and checkpoints, as ops verifies it."""

import asyncio
from pathlib import Path
from uuid import UUID

import httpx
import psycopg
import pytest

from audit.domain import AUDITED, Origin, RawEvent, entry_of, is_raw
from audit.handlers.sealing import Checkpoints
from audit.routes import routes
from audit.store import PostgresAuditLog
from audit.store.archive import Archive
from ops.check.audit_log import AuditVerification
from ops.clients.audit_rows import AuditRows
from ops.clients.checkpoints import CheckpointFolder
from payment_schemas.events.risk import RiskAssessed
from service_runtime.cursor import Cursor
from service_runtime.jobs import Run
from service_runtime.keys import KeyRing
from service_runtime.object_store import FolderStore
from service_runtime.web import create_app
from testbed.database import fresh_database
from testbed.service import database_of
from testkit.events import NOON, event_of
from testkit.memory import SteadyClock
from testkit.operators import operators, signed_in

MIGRATIONS = Path(__file__).parents[2] / "services" / "audit" / "migrations"


class Served:
    """The audit service's routes, as `System` reads them."""

    def __init__(self, database):
        app = create_app("audit", {}, SteadyClock(NOON))
        app.include_router(routes(database, SteadyClock(NOON), operators()))
        self._loop = asyncio.get_running_loop()
        self._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url="http://audit",
            headers=signed_in("ops.read"),
        )

    def _get(self, path, query):
        request = self._client.get(path, params=query)
        return asyncio.run_coroutine_threadsafe(request, self._loop).result(30).raise_for_status()

    def get(self, _name, path, **query):
        return self._get(path, query).json()

    def stream(self, _name, path, **query):
        text = self._get(path, query).text
        parts = [text[at : at + 1000] for at in range(0, len(text), 1000)]

        class Stream:
            def __enter__(self):
                return iter(parts)

            def __exit__(self, *_):
                pass

        return Stream()


class SealedLog:
    """A log with two checkpoints and an unsealed end, on a database of its own."""

    def __init__(self, database, fresh, folder):
        self.database, self.fresh, self.folder = database, fresh, folder
        self.rows = AuditRows(Served(database))
        self.keys = KeyRing(b"k" * 32)

    async def append(self, kind, offset, number):
        event, partition = event_of(kind), number % 2
        origin = Origin(UUID(int=number), NOON, kind.topic, partition, offset)
        async with self.database.transaction() as tx:
            log = PostgresAuditLog(tx)
            if is_raw(kind):
                raw = RawEvent(kind, event.payment_id, event.model_dump_json().encode())
                await log.append_raw([(raw, origin)])
            else:
                await log.append([entry_of(event, origin)])

    async def seal(self):
        cursor = Cursor(self.database, "job:test")
        held = await cursor.hold()
        archive = Archive(FolderStore(self.folder), self.keys)
        await Checkpoints(self.database, archive, SteadyClock(NOON)).run(Run(NOON, held))
        await cursor.release(held)

    def as_owner(self, *statements):
        with psycopg.connect(self.fresh.owner_dsn) as owner:
            for statement in statements:
                owner.execute(statement)

    def _verify(self):
        state = self.rows.state()
        verification = AuditVerification(self.rows, CheckpointFolder(self.folder), lambda *_: None)
        return verification.whole(state["number"], state["history_last_id"])

    async def verify(self):
        return await asyncio.to_thread(self._verify)

    async def named(self):
        """Return kind, row id, topic, partition and offset of each finding."""
        found = await self.verify()
        return {
            (one.kind, one.row_id, one.topic, one.partition, one.offset) for one in found.findings
        }


@pytest.fixture
async def log(infrastructure, tmp_path):
    """Rows 1 to 20 of risk in two partitions, one of each other event; then four unsealed rows."""
    with fresh_database(infrastructure, "audit", [MIGRATIONS]) as fresh:
        async with database_of(fresh.dsn, tmp_path) as database:
            sealed = SealedLog(database, fresh, tmp_path / "checkpoints")
            for number in range(1, 11):
                await sealed.append(RiskAssessed, 100 + number, number)
            await sealed.seal()
            for number in range(11, 21):
                await sealed.append(RiskAssessed, 100 + number, number)
            for number, kind in enumerate(AUDITED, 21):
                if kind is not RiskAssessed:
                    await sealed.append(kind, 100 + number, number)
            await sealed.seal()
            for number in range(91, 95):
                await sealed.append(RiskAssessed, 100 + number, number)
            yield sealed
