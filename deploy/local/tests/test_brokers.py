"""One or three brokers: their settings, their topics, and what is refused.

`make test-brokers` starts three and kills one while payments run.
"""

import pytest

from local_stack import kafka
from local_stack.credentials import Credentials
from local_stack.errors import StackError
from local_stack.inventory import load_inventory
from local_stack.layout import Layout
from local_stack.ports import Ports
from local_stack.stack import Stack
from local_stack.topics import load_topics, replicated


@pytest.fixture
def layout(tmp_path):
    layout = Layout(tmp_path)
    layout.make()
    return layout


def _format(layout, brokers):
    for broker in range(brokers):
        folder = kafka.folder_of(layout, broker)
        folder.mkdir()
        (folder / kafka.META).write_text("cluster.id=one\n")


def _settings(layout, brokers, **listening):
    ports, credentials = Ports(load_inventory()), Credentials(layout.secrets)
    programs = kafka.prepare(layout, ports, credentials, kafka.Cluster(brokers, **listening))
    found = [
        dict(line.split("=", 1) for line in path.read_text().splitlines())
        for path in sorted(layout.kafka.glob("*.properties"))
    ]
    return [one.name for one in programs], found


@pytest.mark.native
def test_three_brokers_share_a_quorum_and_nothing_else(layout):
    _format(layout, 3)
    names, settings = _settings(layout, 3)
    assert names == ["kafka", "kafka-1", "kafka-2"]
    for own in ("node.id", "listeners", "advertised.listeners", "log.dirs"):
        assert len({one[own] for one in settings}) == 3
    (voters,) = {one["controller.quorum.voters"] for one in settings}
    controllers = {part.partition("CONTROLLER://")[2] for part in
                   (one["listeners"] for one in settings)}  # fmt: skip
    assert {voter.partition("@")[2] for voter in voters.split(",")} == controllers


@pytest.mark.native
@pytest.mark.parametrize(
    ("brokers", "copies", "least"),
    [pytest.param(1, "1", "1", id="alone"), pytest.param(3, "3", "2", id="a majority of three")],
)
def test_a_write_is_on_a_majority_of_the_brokers(layout, brokers, copies, least):
    _format(layout, brokers)
    settings = _settings(layout, brokers)[1][0]
    assert settings["offsets.topic.replication.factor"] == copies
    assert settings["min.insync.replicas"] == least
    topics = replicated(load_topics(), brokers)
    assert {str(topic.replication) for topic in topics} == {copies}
    assert {topic.settings["min.insync.replicas"] for topic in topics} == {least}


@pytest.mark.native
@pytest.mark.parametrize(
    ("listening", "is_open"),
    [({}, False), ({"between": 1}, False), ({"tls": True}, False), ({"is_open": True}, True)],
)
def test_only_the_benchmarks_listener_asks_for_no_login(layout, listening, is_open):
    _format(layout, 1)
    (settings,) = _settings(layout, 1, **listening)[1]
    assert ("User:ANONYMOUS" in settings["super.users"]) is is_open
    protocols = dict(
        part.split(":") for part in settings["listener.security.protocol.map"].split(",")
    )
    assert {name for name in protocols if protocols[name] == "PLAINTEXT"} == (
        {"LINK"} if is_open else set()
    )
    assert ("LINK://" in settings["listeners"]) is (is_open or "between" in listening)


@pytest.mark.parametrize("text", ["0", "2", "many"])
def test_another_number_of_brokers_is_refused_by_the_name_of_the_setting(monkeypatch, text):
    monkeypatch.setenv("KAFKA_BROKERS", text)
    with pytest.raises(StackError, match=f"KAFKA_BROKERS must be 1 or 3, not '{text}'"):
        Stack()


def test_a_data_folder_keeps_its_number_of_brokers(tmp_path, monkeypatch):
    stack = Stack(data_folder=tmp_path)
    stack.layout.make()
    _format(stack.layout, 3)
    assert stack.kafka == "127.0.0.1:19092,127.0.0.1:19095,127.0.0.1:19098"
    monkeypatch.setenv("KAFKA_BROKERS", "1")
    stack = Stack(data_folder=tmp_path)
    with pytest.raises(StackError, match=r"KAFKA_BROKERS is 1, but .* made for 3: .*`make reset`"):
        stack.start_infrastructure()
    assert not stack.is_running
