"""Services under supervision: started, awaited, multiplied, killed, restarted, stopped.

The service is a probe of the tests' own, so that what is judged here is the stack alone.
"""

import json
import os
import signal
from dataclasses import replace
from urllib.request import urlopen

import pytest

from local_stack import orphans
from local_stack.discovery import find_stack
from local_stack.errors import StackError
from local_stack.inventory import load_inventory
from local_stack.layout import default_data_folder
from local_stack.readiness import is_ready
from local_stack.stack import Stack
from local_stack.supervision import Supervisor
from local_stack.waiting import wait_until

OFFSET = 17_000


@pytest.fixture
def inventory():
    probe = replace(
        load_inventory().service("ofac"),
        name="probe",
        module="deploy.local.tests.probe",
        port=3000,
        environment={
            **load_inventory().service("ofac").environment,
            "NEIGHBOURS": "{urls:probe}",
            "KEY_FILE": "{secret:code-key}",
        },
        options=("PROBE_QUESTIONS", "PROBE_FAILS"),
    )
    return replace(load_inventory(), services={"probe": probe})


@pytest.fixture
def supervised(inventory):
    """A stack whose supervisor runs, with nothing in it yet."""
    stack = Stack(OFFSET, default_data_folder(0).with_name("services-test"), inventory=inventory)
    stack.reset()
    stack.layout.make()
    Supervisor(stack.layout).start()
    yield stack
    stack.reset()


def _told(url):
    with urlopen(url, timeout=5) as answer:  # noqa: S310 - the probe's own address
        return json.load(answer)


def test_a_service_is_awaited_until_it_is_ready_and_then_found_by_others(supervised):
    supervised.start_services()
    url = find_stack(data_folder=supervised.layout.root).url("probe")
    assert url == f"http://127.0.0.1:{3000 + OFFSET}"
    assert is_ready(url)


def test_every_instance_runs_at_its_own_port_and_knows_the_others(supervised):
    supervised.start_services(instances={"probe": 2})
    urls = supervised.description().urls["probe"]
    assert [_told(url)["INSTANCE"] for url in urls] == ["0", "1"]
    assert [_told(url)["NEIGHBOURS"] for url in urls] == [",".join(urls)] * 2
    assert supervised.pid("probe", 0) != supervised.pid("probe", 1)


def test_surplus_instances_are_stopped(supervised):
    supervised.start_services(instances={"probe": 2})
    surplus = supervised.pid("probe", 1)
    supervised.start_services(instances={"probe": 1})
    assert surplus not in orphans.find(supervised.layout)
    with pytest.raises(StackError, match="probe instance 1 does not run"):
        supervised.pid("probe", 1)


def test_a_killed_service_is_ready_within_ten_seconds(supervised):
    supervised.start_services()
    before = supervised.pid("probe")
    os.kill(before, signal.SIGKILL)
    url = supervised.description().url("probe")
    wait_until(
        lambda: is_ready(url) and supervised.pid("probe") != before,
        seconds=10,
        otherwise="not back",
    )


def test_a_stopped_service_stays_stopped_until_it_is_started(supervised):
    supervised.start_services()
    supervised.stop_process("probe")
    with pytest.raises(StackError, match="probe instance 0 does not run"):
        supervised.pid("probe")
    supervised.start_process("probe")
    url = supervised.description().url("probe")
    wait_until(lambda: is_ready(url), seconds=10, otherwise="not ready")


def test_a_restart_makes_a_new_process_and_waits_for_it(supervised):
    supervised.start_services()
    before = supervised.pid("probe")
    supervised.restart(["probe"])
    assert supervised.pid("probe") != before
    assert is_ready(supervised.description().url("probe"))


def test_a_setting_that_changes_restarts_the_service_with_it(supervised, monkeypatch):
    supervised.start_services()
    before = supervised.pid("probe")
    supervised.start_services()
    assert supervised.pid("probe") == before
    monkeypatch.setenv("PROBE_QUESTIONS", "3")
    supervised.start_services()
    assert supervised.pid("probe") != before


def test_a_service_that_cannot_start_is_named_with_the_end_of_its_log(supervised, monkeypatch):
    monkeypatch.setenv("PROBE_FAILS", "1")
    supervised.ready_within_s = 2
    with pytest.raises(StackError, match=r"(?s)probe \(no answer\).*PROBE_FAILS is set"):
        supervised.start_services()


def test_a_service_that_is_never_ready_is_named_with_its_answer(supervised, monkeypatch):
    monkeypatch.setenv("PROBE_QUESTIONS", "1000")
    supervised.ready_within_s = 2
    with pytest.raises(StackError, match=r'probe \(".*INSTANCE'):
        supervised.start_services()


def test_another_command_stops_what_this_one_has_started(supervised, inventory):
    supervised.start_services(instances={"probe": 2})
    pids = [supervised.pid("probe", number) for number in (0, 1)]
    other = Stack(OFFSET, supervised.layout.root, inventory=inventory)
    assert other.instances == {"probe": 2}
    other.stop()
    assert not set(pids) & set(orphans.find(supervised.layout))


def test_no_service_starts_without_its_infrastructure(inventory):
    stack = Stack(OFFSET, default_data_folder(0).with_name("never-started"), inventory=inventory)
    with pytest.raises(StackError, match="start the infrastructure first"):
        stack.start_services()


@pytest.mark.parametrize("count", [0, 11])
def test_a_number_of_instances_out_of_range_is_refused(supervised, count):
    with pytest.raises(StackError, match=f"probe: instances must be 1 to 10, not {count}"):
        supervised.start_services(instances={"probe": count})
