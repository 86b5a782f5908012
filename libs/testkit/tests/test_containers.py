"""The containers of a test run, as far as they can be judged without an engine."""

import pytest

from local_stack.compose import compose_document
from local_stack.inventory import INFRASTRUCTURE
from local_stack.stack import Stack
from testkit.containers import container_environment, run_arguments


@pytest.fixture
def stack(tmp_path):
    stack = Stack(10_000, tmp_path / "stack")
    stack.credentials.make(stack.inventory)
    return stack


def _environment(stack, name):
    services = compose_document(stack.inventory)["services"]
    return container_environment(name, services[name], stack)


def test_kafka_is_told_the_port_at_which_tests_reach_it(stack):
    environment = _environment(stack, "kafka")
    assert "EXTERNAL://127.0.0.1:29092" in environment["KAFKA_ADVERTISED_LISTENERS"]
    assert "EXTERNAL://:29092" in environment["KAFKA_LISTENERS"]
    assert environment["KAFKA_CONTROLLER_QUORUM_VOTERS"] == "1@localhost:9093"


def test_postgres_gets_the_password_that_the_stack_connects_with(stack):
    environment = _environment(stack, "postgres")
    assert environment["POSTGRES_PASSWORD"] == stack.credentials.read("database-admin")
    assert "POSTGRES_PASSWORD_FILE" not in environment


@pytest.mark.parametrize("name", INFRASTRUCTURE)
def test_a_server_of_a_test_run_is_published_on_this_machine_alone(stack, name):
    services = compose_document(stack.inventory)["services"]
    arguments = run_arguments(name, services[name], stack)
    published = [one for one in arguments if one.startswith("--publish")]
    assert len(published) == 1
    assert published[0].startswith("--publish=127.0.0.1:")
