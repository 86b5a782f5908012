"""A service is composed of the parts that it uses, and its settings demand no more."""

import asyncio
from importlib.metadata import version

import pytest
from fastapi import APIRouter, Body
from httpx import ASGITransport, AsyncClient

from service_runtime.service import Service
from service_runtime.settings import DatabaseSettings, HttpSettings, load
from service_runtime.web import HttpPolicy
from testbed.service import running


@pytest.fixture
def bare(monkeypatch):
    """An environment that names a port, and neither a database nor a broker."""
    for name in ("DATABASE_URL", "DATABASE_PASSWORD_FILE", "KAFKA_BOOTSTRAP_SERVERS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PORT", "3099")
    monkeypatch.setenv("PROFILE", "dev")
    return load(HttpSettings)


async def _echo(greeting: str = Body()):
    return greeting


def client_of(process):
    return AsyncClient(transport=ASGITransport(process.app), base_url="http://test")


async def test_an_http_api_is_a_service_without_database_and_broker(bare):
    router = APIRouter()
    router.get("/greeting")(lambda: {"hello": "world"})
    process = Service("greeter", bare).process(routes=router)
    assert (process.resources, process.loops) == ([], [])
    async with client_of(process) as http:
        assert (await http.get("/greeting")).json() == {"hello": "world"}
        assert (await http.get("/ready")).json() == {"status": "ready", "missing": []}
        assert (await http.get("/asyncapi")).status_code == 404


@pytest.mark.parametrize(
    ("started", "expected"),
    [
        ("service_runtime", version("service-runtime")),
        ("service_runtime.part", version("service-runtime")),
        ("no_such_package", "unknown"),
        (None, "unknown"),
    ],
)
async def test_a_service_says_its_version_beside_its_readiness(
    bare, monkeypatch, started, expected
):
    monkeypatch.setattr("__main__.__package__", started)
    async with client_of(Service("twilio", bare).process()) as http:
        assert (await http.get("/ready")).headers["x-service-version"] == expected


async def test_a_services_own_check_loop_resource_and_body_limit_are_part_of_its_process(bare):
    class Book:
        is_open = False

        async def __aenter__(self):
            self.is_open = True

        async def __aexit__(self, *_error):
            self.is_open = False

        async def reachable(self):
            return self.is_open

    service = Service("reader", bare, policy=HttpPolicy(max_body_bytes=10))
    book, ran = service.use(Book()), asyncio.Event()
    service.check("book", book.reachable)

    async def loop(stopping):
        ran.set()
        await stopping.wait()

    service.run(loop)
    router = APIRouter()
    router.post("/greeting")(_echo)
    process = service.process(routes=router)
    async with client_of(process) as http:
        assert (await http.get("/ready")).json()["missing"] == ["book"]
        async with running(process):
            assert (await http.get("/ready")).status_code == 200
            await asyncio.wait_for(ran.wait(), 1)
        assert not book.is_open
        assert (await http.post("/greeting", json="a greeting")).status_code == 413


@pytest.mark.parametrize("part", ["database", "producer", "unit"])
def test_a_part_whose_settings_are_missing_is_named_at_wiring(bare, part):
    with pytest.raises(TypeError, match="greeter: its settings must be"):
        getattr(Service("greeter", bare), part)


def test_a_database_alone_demands_no_broker(bare, monkeypatch, tmp_path):
    (tmp_path / "password").write_text("x")
    monkeypatch.setenv("DATABASE_URL", "postgresql://one@localhost:1/one")
    monkeypatch.setenv("DATABASE_PASSWORD_FILE", str(tmp_path / "password"))
    service = Service("keeper", load(DatabaseSettings))
    database = service.database
    assert service.process().resources == [database]


def test_a_part_that_is_first_used_after_the_wiring_is_refused(bare):
    service = Service("greeter", bare)
    service.process()
    with pytest.raises(RuntimeError, match="opens nothing more"):
        service.use(None)
