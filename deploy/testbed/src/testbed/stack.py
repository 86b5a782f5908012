"""Pytest fixtures: the real Kafka, PostgreSQL and Redis, started empty for one test run.

They listen at the usual ports + 10,000 (COUNTERSIGN_TEST_OFFSET sets another offset). A broker that
cannot be started fails the tests that need it; none is skipped.
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

import pytest

from local_stack import discovery
from local_stack.discovery import RunningStack
from local_stack.engine import chosen_kind
from local_stack.errors import StackError
from local_stack.inventory import Inventory
from local_stack.kafka import Cluster
from local_stack.layout import default_data_folder
from local_stack.stack import Stack, silent

DEFAULT_OFFSET = 10_000


WHOLE_SYSTEM_FURTHER = 1_300
"""The whole system has a separate stack, without the records that other tests leave in topics."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the tests of native servers if the servers are containers."""
    native = [item for item in items if item.get_closest_marker("native")]
    if native and chosen_kind() == "compose":
        config.hook.pytest_deselected(items=native)
        items[:] = [item for item in items if item not in native]


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The stack of this run with ready infrastructure; `start_services` starts the services."""
    with fresh_stack(offset_of_this_run()) as fresh:
        yield fresh


def offset_of_this_run() -> int:
    """Return the port offset of this run."""
    return int(os.environ.get("COUNTERSIGN_TEST_OFFSET", DEFAULT_OFFSET))


@contextmanager
def fresh_stack(
    offset: int,
    overrides: Mapping[str, Mapping[str, str]] | None = None,
    tell: Callable[[str], None] = silent,
    *,
    inventory: Inventory | None = None,
    cluster: Cluster | None = None,
) -> Iterator[Stack]:
    """Start empty Kafka, PostgreSQL and Redis; stop them at the end.

    `cluster`: the number of brokers, and whether one has an open listener, for the benchmark.
    """
    with ExitStack() as undo:
        undo.enter_context(only_run(offset))
        fresh = _stack_class()(offset, overrides=overrides, tell=tell, inventory=inventory)
        if cluster:
            fresh.kafka_brokers, fresh.kafka_is_open = cluster.brokers, cluster.is_open
        fresh.reset()
        undo.callback(fresh.stop)
        fresh.start_infrastructure()
        yield fresh


@contextmanager
def joined(stack: Stack, *names: str) -> Iterator[Stack]:
    """Start further services, which others then ask; take them away again at the end."""
    stack.start_services(names)
    stack.refresh()
    try:
        yield stack
    finally:
        for name in names:
            stack.stop_process(name)
            del stack.instances[name]
        stack.refresh()
        discovery.describe(stack.layout, stack.description())


def _stack_class() -> type[Stack]:
    if chosen_kind() == "native":
        return Stack
    # Not at the top: the import is slow, and needed only with an engine.
    from testbed.containers import ContainerStack  # noqa: PLC0415

    return ContainerStack


@pytest.fixture(scope="session")
def infrastructure(stack: Stack) -> RunningStack:
    """The addresses of Kafka, PostgreSQL and Redis, with topics, roles and schemas."""
    return stack.description()


@contextmanager
def only_run(offset: int) -> Iterator[None]:
    """Hold the lock of a stack; refuse if another test run of this checkout holds it."""
    folder = default_data_folder(offset)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".tests").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackError("another test run of this checkout is running") from None
        yield
