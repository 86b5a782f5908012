"""`make new-service`: one service of each kind is written, checked, started, used and removed."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaConsumer

from local_stack.inventory import load_inventory
from local_stack.layout import CHECKOUT
from local_stack.stack import Stack
from payment_schemas.events.confirmation import PaymentConfirmed
from service_runtime.clock import SystemClock
from service_runtime.paging import Keyset
from service_runtime.producer import KafkaProducer
from testbed.stack import offset_of_this_run
from testkit.events import event_of, outgoing_of
from testkit.operators import signed_in

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

NAMES = {
    "api": "catalogue",
    "consumer": "loyalty_points",
    "import": "stock",
    "job": "digests",
    "push": "ticker",
}
"""By kind."""
GROUP = "extras"
SEEN_WITHIN_S = 30
LINES = 3_000
BY_LINE = Keyset(["file", "line"], ["", 0])
SOURCES = ("libs/*/src", "services/*/src", "deploy/*/src", "benchmarks/src")
SCRIPTS = Path(sys.executable).parent


class Checkout:
    """A copy of the checkout without an environment of its own: its packages are found by path."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def path(self) -> str:
        found = (str(one) for glob in SOURCES for one in sorted(self.folder.glob(glob)))
        return os.pathsep.join(found)

    def run(self, *command: str, inside: str = ".") -> str:
        done = subprocess.run(
            command,
            cwd=self.folder / inside,
            env=os.environ | {"PYTHONPATH": self.path, "OTEL_SDK_DISABLED": "true"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def python(self, *arguments: str) -> str:
        return self.run(sys.executable, "-m", *arguments)

    def generate(self) -> None:
        self.python("local_stack", "generate")
        self.python("contracts.generate")
        self.python("observability.generate")

    def changed(self) -> set[str]:
        """Every file that is not as it was copied, new folders by their name."""
        return {line[3:] for line in self.run("git", "status", "--porcelain").splitlines()}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Checkout:
    copy = Checkout(tmp_path_factory.mktemp("checkout"))
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        if (CHECKOUT / name).is_file():
            (copy.folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(CHECKOUT / name, copy.folder / name)
    copy.run("git", "init", "-q")
    copy.run("git", "add", "--all")
    author = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    copy.run("git", *author, "commit", "-q", "-m", "copy")
    return copy


@pytest.fixture(scope="module")
def written(checkout) -> Checkout:
    """The copy with a service of each kind, before anything is generated."""
    for kind, name in NAMES.items():
        checkout.python(
            "local_stack", "new-service", "--name", name, "--group", GROUP, "--kind", kind
        )
    return checkout


def files_of_services() -> set[str]:
    events = {f"libs/schemas/src/payment_schemas/events/{NAMES[k]}.py" for k in ("api", "consumer")}
    return {f"services/{name}/" for name in NAMES.values()} | events


def test_a_new_service_is_written_without_an_edit_elsewhere(written):
    assert written.changed() == files_of_services()


@pytest.fixture(scope="module")
def generated(written) -> Checkout:
    written.generate()
    return written


def test_a_new_service_is_in_compose_and_documented_and_passes_every_check(generated):
    compose = (generated.folder / "docker-compose.yml").read_text()
    listed = (generated.folder / "docs/services.md").read_text()
    for name in NAMES.values():
        assert f"\n  {name}:\n" in compose
        assert f"| `{name}` | {GROUP} |" in listed
    generated.run(str(SCRIPTS / "ruff"), "check", "--no-cache", "-q")
    generated.run(str(SCRIPTS / "ruff"), "format", "--no-cache", "--check", "-q")
    generated.run(str(SCRIPTS / "lint-imports"), "--no-cache")
    for name in NAMES.values():
        generated.run(str(SCRIPTS / "deptry"), "src", inside=f"services/{name}")


def test_a_new_service_passes_its_own_tests_and_those_of_all_services(generated):
    own = [f"services/{name}" for name in NAMES.values()]
    topics = "tests/contracts/test_manifests.py::test_a_service_reads_and_emits_the_topics_of_its"
    own += [f"{topics}_manifest[{name}]" for name in NAMES.values()]
    entry = "test_an_entry_repeats_the_ids_of_its_event_and_nothing_of_another"
    others = ["tests/test_tidy.py", f"services/audit/tests/test_domain.py::{entry}"]
    others += ["deploy/contracts/tests/test_generate.py"]
    generated.python("pytest", "-q", "-m", "not stack", "-p", "no:cacheprovider", *own, *others)


@pytest.fixture(scope="module")
def started(generated, stack: Stack, operator_trust: dict[str, str]) -> Stack:
    """The services, on the Kafka and PostgreSQL of this run."""
    trust = {name.upper(): value for name, value in operator_trust.items()}
    settings = {"PYTHONPATH": generated.path, "REPORT_EVERY_S": "0.5", **trust}
    settings |= {"POLL_S": "0.1", "PART_BYTES": "256"}
    inventory = load_inventory(generated.folder)
    group = Stack(
        offset_of_this_run(),
        stack.layout.root,
        overrides=dict.fromkeys(NAMES.values(), settings),
        inventory=inventory,
    )
    group.credentials.make(inventory)
    group.adopt_infrastructure()
    group.start_services([one.name for one in inventory.of_groups([GROUP])])
    yield group
    for name in NAMES.values():
        group.stop_process(name)


@pytest.fixture
async def operator() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(headers=signed_in("ops.read", "ops.write")) as client:
        yield client


async def publish(stack: Stack, event: PaymentConfirmed) -> None:
    clock = SystemClock()
    async with KafkaProducer(stack.brokers, "test") as producer:
        await (await producer.send(outgoing_of(event, clock.new_id(), clock.now())))


async def first_value(stack: Stack, topic: str, key: object) -> bytes:
    """The first record of a key."""
    async with AIOKafkaConsumer(
        topic, **stack.brokers.arguments, auto_offset_reset="earliest"
    ) as consumer:
        while True:
            record = await asyncio.wait_for(consumer.getone(), SEEN_WITHIN_S)
            if record.key == str(key).encode():
                return record.value


async def test_an_api_writes_once_a_key_and_emits_the_change(started, operator):
    items = started.description().url(NAMES["api"]) + "/items"
    keyed = {"Idempotency-Key": "one"}
    answers = [await operator.post(items, json={"name": "a"}, headers=keyed) for _ in range(2)]
    assert [one.status_code for one in answers] == [201, 201]
    assert answers[0].content == answers[1].content
    item = answers[0].json()

    seen = {"If-Match": '"1"'}
    answers = [
        await operator.put(f"{items}/{item['id']}", json={"name": name}, headers=seen)
        for name in ("b", "c")
    ]
    assert [one.status_code for one in answers] == [200, 412]
    assert (await operator.post(items, json={"name": "b"})).status_code == 409
    (listed,) = (await operator.get(items)).json()["items"]
    assert (listed["name"], listed["version"]) == ("b", 2)
    assert b'"created"' in await first_value(started, "catalogue.changed.v1", item["id"])


async def test_an_api_streams_a_document_both_ways(started, operator):
    items = started.description().url(NAMES["api"]) + "/items"
    item = (await operator.post(items, json={"name": "documented"})).json()
    document, content = f"{items}/{item['id']}/document", bytes(range(256)) * 8_000
    stored = await operator.put(document, content=content)
    assert (stored.status_code, stored.json()["size"]) == (201, len(content))
    assert (await operator.get(document)).content == content


async def imported(
    operator: httpx.AsyncClient, url: str, file: str, line: int
) -> list[dict[str, Any]]:
    """What became of a line: a row, a refusal or nothing yet; nothing while the process starts."""
    query = {"after": BY_LINE.cursor_of({"file": file, "line": line - 1}), "limit": 1}
    found = []
    with suppress(httpx.TransportError):
        for name in ("rows", "refusals"):
            page = (await operator.get(f"{url}/admin/{name}", params=query)).json()
            found += [one for one in page[name] if one["line"] == line]
    return found


async def test_an_import_that_is_killed_goes_on_at_its_row_and_names_the_bad_line(
    started, operator
):
    name, file = NAMES["import"], "2026-11-30.csv"
    url = started.description().url(name)
    lines = [f"bolt,{number}\n" for number in range(LINES)]
    lines[LINES // 2 - 1] = "bolt,many\n"
    (started.layout.state_of(name) / file).write_text("".join(lines))

    async def until(line: int) -> dict[str, Any]:
        async with asyncio.timeout(SEEN_WITHIN_S):
            while True:
                if found := await imported(operator, url, file, line):
                    return found[0]
                await asyncio.sleep(0.02)

    await until(1)
    assert await imported(operator, url, file, LINES) == []
    os.kill(started.pid(name), signal.SIGKILL)
    assert (await until(LINES))["quantity"] == LINES - 1
    refusal = await until(LINES // 2)
    assert (refusal["field"], refusal["content"]) == ("quantity", "bolt,many")
    assert await until(2)


async def test_a_consumer_records_an_event_and_emits_its_own(started, operator):
    event = event_of(PaymentConfirmed)
    await publish(started, event)
    assert b'"amount_minor"' in await first_value(
        started, "loyalty-points.recorded.v1", event.payment_id
    )
    entries = started.description().url(NAMES["consumer"]) + "/admin/entries"
    found = await operator.get(entries, params={"payment_id": str(event.payment_id)})
    assert len(found.json()["entries"]) == 1


async def test_a_job_runs_again_and_again(started, operator):
    url = started.description().url(NAMES["job"]) + "/admin/reports"
    for _ in range(SEEN_WITHIN_S * 10):
        reports = (await operator.get(url)).json()["reports"]
        if len(reports) > 1:
            break
        await asyncio.sleep(0.1)
    assert len({one["due_at"] for one in reports}) > 1


async def test_a_push_service_sends_a_record_to_a_client_that_waits(started, operator):
    event = event_of(PaymentConfirmed, user_id="usr-stream")
    url = started.description().url(NAMES["push"]) + "/payments/stream"
    async with (
        asyncio.timeout(SEEN_WITHIN_S),
        operator.stream("GET", url, params={"user_id": event.user_id}) as answer,
    ):
        lines = answer.aiter_lines()
        assert await anext(lines) == "retry: 1000"
        await publish(started, event)
        assert "event: payment.confirmed" in [await anext(lines) for _ in range(3)]


def test_a_removed_service_leaves_nothing_behind(started, generated):
    for name in NAMES.values():
        shutil.rmtree(generated.folder / "services" / name)
        events = generated.folder / f"libs/schemas/src/payment_schemas/events/{name}.py"
        events.unlink(missing_ok=True)
    generated.generate()
    assert generated.changed() == set()
