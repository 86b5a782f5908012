"""The real servers: they start, are as durable as they should be, and leave nothing behind."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial

import psycopg
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from kafka_access.topics import apply_topics
from local_stack import orphans
from local_stack.admin import run_admin
from local_stack.credentials import Credentials
from local_stack.discovery import find_stack
from local_stack.errors import StackError
from local_stack.inventory import load_inventory
from local_stack.layout import Layout, default_data_folder
from local_stack.ports import is_listening
from local_stack.preparation import prepare_database
from local_stack.programs import Program
from local_stack.readiness import last_lines
from local_stack.stack import Stack
from local_stack.supervision import Supervisor
from local_stack.topics import load_topics
from local_stack.waiting import wait_until
from service_runtime.brokers import Brokers
from testbed.stack import offset_of_this_run

pytestmark = pytest.mark.stack


@pytest.fixture
def empty_layout():
    layout = Layout(default_data_folder(0).with_name("supervision-test"))
    layout.make()
    yield layout
    Supervisor(layout).shut_down()
    orphans.end(layout)
    shutil.rmtree(layout.root)


async def _topic_settings(brokers, name):
    admin = AIOKafkaAdminClient(**brokers.arguments)
    try:
        await admin.start()
        topic = ConfigResource(ConfigResourceType.TOPIC, name)
        (answer,) = await admin.describe_configs([topic])
        (described,) = await admin.describe_topics([name])
        return {entry[0]: entry[1] for entry in answer.resources[0][4]}, len(
            described["partitions"]
        )
    finally:
        await admin.close()


def test_postgres_acknowledges_only_what_is_on_disk(infrastructure):
    with psycopg.connect(infrastructure.admin_dsn) as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            assert connection.execute(f"show {setting}").fetchone() == ("on",)


def test_a_service_role_sees_its_own_schema_and_cannot_make_tables_in_it(infrastructure):
    with psycopg.connect(infrastructure.dsn("confirm")) as connection:
        assert (
            connection.execute("select current_user, current_schema()").fetchone()[0] == "confirm"
        )
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("create table confirm.mine (id int)")


def test_a_service_role_cannot_enter_another_services_schema(infrastructure):
    with psycopg.connect(infrastructure.owner_dsn("risk"), autocommit=True) as owner:
        owner.execute("create table if not exists risk.private_to_risk (id int)")
    with (
        psycopg.connect(infrastructure.dsn("confirm")) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("select * from risk.private_to_risk")


def test_a_wrong_password_is_refused(infrastructure):
    secret = infrastructure.credentials.read("database-confirm")
    dsn = infrastructure.dsn("confirm").replace(secret, "wrong")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(dsn)


def test_a_database_with_other_secrets_is_reported_at_once(infrastructure, tmp_path):
    other = Credentials(tmp_path / "secrets")
    other.make(load_inventory())
    begin = time.monotonic()
    with pytest.raises(StackError, match=r"refuses the password of postgres"):
        prepare_database(infrastructure.postgres, other, load_inventory(), print)
    assert time.monotonic() - begin < 10


async def test_every_topic_exists_with_its_partitions_and_limits(infrastructure):
    for topic in load_topics()[:4]:
        settings, partitions = await _topic_settings(infrastructure.brokers, topic.name)
        assert partitions == topic.partitions
        assert topic.settings.items() <= settings.items()


@pytest.fixture
def spare_topic():
    """A topic that no service knows, so that a test may bend it."""
    return replace(load_topics()[0], name="spare.topic.v1", partitions=2)


async def test_a_topic_whose_settings_differ_is_corrected(infrastructure, spare_topic):
    other = replace(spare_topic, settings=spare_topic.settings | {"retention.ms": "60000"})
    await _apply(infrastructure, [other])
    await _apply(infrastructure, [spare_topic])
    retention = spare_topic.settings["retention.ms"]
    assert await _becomes(
        infrastructure.brokers,
        spare_topic.name,
        lambda found, _: found["retention.ms"] == retention,
    )


async def test_a_topic_with_too_few_partitions_grows(infrastructure, spare_topic):
    few = replace(spare_topic, name="spare.growing.v1", partitions=2)
    await _apply(infrastructure, [few])
    await _apply(infrastructure, [replace(few, partitions=4)])
    assert await _partitions(infrastructure.brokers, few.name, 4)


async def test_a_topic_with_too_many_partitions_is_named(infrastructure, spare_topic):
    many = replace(spare_topic, name="spare.wide.v1", partitions=3)
    await _apply(infrastructure, [many])
    assert await _partitions(infrastructure.brokers, many.name, 3)
    with pytest.raises(StackError, match=r"spare.wide.v1 has 3 partitions instead of 2"):
        await _apply(infrastructure, [replace(many, partitions=2)])


async def test_a_broker_that_does_not_answer_is_named(spare_topic):
    with pytest.raises(StackError, match=r"127.0.0.1:1 is not ready"):
        await run_admin(
            Brokers("127.0.0.1:1"), partial(apply_topics, topics=[spare_topic]), within_s=0.5
        )


async def _apply(infrastructure, topics):
    await run_admin(infrastructure.brokers, partial(apply_topics, topics=topics))


async def _partitions(brokers, name, count):
    return await _becomes(brokers, name, lambda _, partitions: partitions == count)


async def _becomes(brokers, name, is_so):
    """Say whether a topic's settings and partitions become so: metadata follows by a moment."""
    for _ in range(50):
        if is_so(*await _topic_settings(brokers, name)):
            return True
        await asyncio.sleep(0.1)
    return False


@pytest.mark.native
def test_a_killed_server_comes_back_by_itself(stack):
    before = stack.pid("redis")
    os.kill(before, signal.SIGKILL)

    def is_back():
        try:
            return stack.pid("redis") != before
        except StackError:  # between two looks it may be gone again
            return False

    wait_until(is_back, seconds=10, otherwise="redis did not come back")


@pytest.mark.native
def test_a_second_start_changes_nothing(stack):
    before = {name: stack.pid(name) for name in ("kafka", "postgres", "redis")}
    Stack(stack.ports.offset).start_infrastructure()
    assert {name: stack.pid(name) for name in before} == before


def test_other_processes_find_the_stack_by_its_offset(stack):
    found = find_stack(stack.ports.offset)
    assert found == stack.description()
    assert is_listening(int(found.kafka.rpartition(":")[2]))


@pytest.mark.native
def test_a_taken_port_is_named_with_its_holder(stack):
    """The same ports in another data folder: as another checkout would ask for them."""
    other = Stack(stack.ports.offset, default_data_folder(0).with_name("other-checkout"))
    try:
        with pytest.raises(
            StackError, match=r"port \d+, which kafka needs, is held by process \d+"
        ):
            other.start_infrastructure()
    finally:
        other.reset()


@pytest.mark.native
def test_a_stopped_stack_leaves_no_process_and_no_socket():
    # Below the ports that a system gives to outgoing connections, any of which may hold one.
    stack = Stack(offset_of_this_run() + 500)
    stack.reset()
    stack.start_infrastructure()
    pids = [stack.pid(name) for name in ("kafka", "postgres", "redis")]
    stack.stop()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert not orphans.find(stack.layout)
    assert not stack.layout.supervisor_socket.exists()
    with pytest.raises(StackError, match="no stack is running"):
        find_stack(stack.ports.offset)
    stack.reset()
    assert not stack.layout.root.exists()


def test_processes_that_outlived_their_supervisor_are_found_and_ended(empty_layout):
    supervisor = Supervisor(empty_layout)
    supervisor.start()
    supervisor.apply([Program("sleeper", ("sleep", "600"), empty_layout.root)])
    wait_until(
        lambda: supervisor.processes()["sleeper"]["statename"] == "RUNNING",
        seconds=10,
        otherwise="sleeper does not run",
    )
    sleeper = supervisor.processes()["sleeper"]["pid"]
    os.kill(supervisor.pid, signal.SIGKILL)
    wait_until(lambda: supervisor.pid is None, seconds=5, otherwise="supervisor lives")
    assert sleeper in orphans.find(empty_layout)
    orphans.end(empty_layout)
    assert sleeper not in orphans.find(empty_layout)


def test_a_shutdown_that_was_interrupted_is_completed_by_the_next_one(empty_layout):
    supervisor = Supervisor(empty_layout)
    supervisor.start()
    supervisor.remove(["restarter"])  # the first step of a shutdown, whose process is then killed
    supervisor.shut_down()
    assert supervisor.pid is None
    # Its process ends after its socket.
    wait_until(lambda: not orphans.find(empty_layout), seconds=5, otherwise="processes are left")


def test_a_process_that_fails_at_every_start_is_started_indefinitely(empty_layout):
    """supervisord gives up after a few tries; the restarter does not let it."""
    tries = empty_layout.root / "tries"
    code = f"open({str(tries)!r}, 'a').write('x'); raise SystemExit('no such luck')".replace(
        "'", '"'
    )
    supervisor = Supervisor(empty_layout)
    supervisor.start()
    supervisor.apply([Program("failing", (sys.executable, "-c", code), empty_layout.root)])
    # Three retries, one, two and three seconds apart, are all that supervisord itself makes.
    wait_until(
        lambda: tries.exists() and len(tries.read_text()) > 5, seconds=30, otherwise="gave up"
    )
    assert "no such luck" in last_lines(empty_layout.logs / "failing.log")


def test_a_program_gets_its_environment_unchanged(empty_layout):
    written = empty_layout.root / "written"
    code = (
        f'import os; open("{written}", "w").write(os.environ["ODD"]); import time; time.sleep(99)'
    )
    odd = '{"a":"http://x:1/%20,y z"}#=;'
    supervisor = Supervisor(empty_layout)
    supervisor.start()
    program = Program("odd", (sys.executable, "-c", code), empty_layout.root, {"ODD": odd})
    supervisor.apply([program])
    wait_until(lambda: written.exists() and written.read_text(), seconds=10, otherwise="no file")
    assert written.read_text() == odd


@pytest.mark.parametrize("value", ["it's", "two\nlines", "cut ;here", "cut #here"])
def test_a_setting_that_supervisord_would_cut_is_refused(empty_layout, value):
    with pytest.raises(StackError, match="may hold no quote"):
        Supervisor(empty_layout).apply(
            [Program("odd", ("true",), empty_layout.root, {"ODD": value})]
        )


def test_status_of_a_stopped_stack_names_the_next_command():
    done = subprocess.run(
        [sys.executable, "-m", "local_stack", "--offset", "15001", "status"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "start it with `make up`" in done.stderr
