"""The containers of a test run, as far as they can be judged without an engine."""

from unittest.mock import MagicMock

import pytest

from local_stack.compose import compose_document
from local_stack.inventory import INFRASTRUCTURE
from local_stack.stack import Stack
from testbed.containers import (
    ContainerStack,
    container_environment,
    container_name,
    new_container,
)


@pytest.fixture
def stack(tmp_path):
    stack = Stack(10_000, tmp_path / "stack")
    stack.credentials.make(stack.inventory)
    return stack


def _environment(stack, name):
    return container_environment(name, _service(stack, name), stack)


def _new_container(stack, name):
    return new_container(name, _service(stack, name), stack)


def _service(stack, name):
    return compose_document(stack.inventory)["services"][name]


def test_kafka_is_told_the_port_at_which_tests_reach_it(stack):
    environment = _environment(stack, "kafka")
    assert "EXTERNAL://127.0.0.1:29092" in environment["KAFKA_ADVERTISED_LISTENERS"]
    assert "EXTERNAL://:29092" in environment["KAFKA_LISTENERS"]
    assert environment["KAFKA_CONTROLLER_QUORUM_VOTERS"] == "1@localhost:9093"


def test_postgres_gets_the_password_that_the_stack_connects_with(stack):
    environment = _environment(stack, "postgres")
    assert environment["POSTGRES_PASSWORD"] == stack.credentials.read("database-admin")
    assert "POSTGRES_PASSWORD_FILE" not in environment


@pytest.fixture
def engine(monkeypatch):
    engine = MagicMock()
    monkeypatch.setattr("testcontainers.core.container.DockerClient", engine)
    return engine.return_value


@pytest.mark.parametrize("name", INFRASTRUCTURE)
def test_a_server_of_a_test_run_is_published_on_this_machine_alone(stack, engine, name):
    _new_container(stack, name).start()
    # One: no reaper beside it, which would be published everywhere.
    (created,) = engine.create.call_args_list
    published = set(created.kwargs["ports"].values())
    assert ("127.0.0.1", getattr(stack.ports, name)) in published
    assert {host for host, _port in published} == {"127.0.0.1"}


def test_a_container_that_a_killed_run_left_is_removed(stack, engine):
    left = MagicMock()
    engine.client.containers.list.return_value = [left]
    _new_container(stack, "redis")
    name = {"name": f"^{container_name('redis', stack)}$"}
    engine.client.containers.list.assert_called_once_with(all=True, filters=name)
    left.remove.assert_called_once_with(force=True, v=True)


def test_a_test_stops_and_starts_a_server_in_its_container(stack, engine):
    stack = ContainerStack(stack.ports.offset, stack.layout.root)
    stack.adopt_infrastructure = lambda: None
    stack.start_infrastructure()
    stack.stop_process("redis")
    stack.start_process("redis")
    made = engine.create.return_value
    made.stop.assert_called_once_with()
    made.start.assert_called_once_with()
