"""What a manifest says of its service is what the service does."""

from importlib import import_module

import httpx
import pytest

from local_stack.inventory import load_inventory
from local_stack.stack import Stack
from local_stack.topics import load_topics
from service_runtime.settings import load

INVENTORY = load_inventory()
OWNERS = {topic.name: topic.owner for topic in load_topics()}


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    stack = Stack(0, tmp_path_factory.mktemp("stack"))
    stack.credentials.make(INVENTORY)
    return stack


@pytest.mark.parametrize("service", INVENTORY.ours, ids=lambda one: one.name)
async def test_a_service_reads_and_emits_the_topics_of_its_manifest(service, stack, monkeypatch):
    for name, value in stack.environment_of(service.name).items():
        monkeypatch.setenv(name, value)
    settings = load(import_module(f"{service.module}.settings").Settings)
    app = import_module(f"{service.module}.app").build(settings).app
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        answer = await client.get("/asyncapi")
    channels = answer.json()["channels"] if answer.is_success else {}
    read = {one["address"] for title, one in channels.items() if title.endswith(" read")}
    emitted = {one["address"] for title, one in channels.items() if title.endswith(" emitted")}

    assert read == set(INVENTORY.reads[service.package])
    assert {topic for topic in emitted if OWNERS[topic] != "any"} == {
        *(topic for topic, owner in OWNERS.items() if owner == service.name),
        *INVENTORY.writes[service.package],
    }
