"""Pytest fixtures: the real Kafka, PostgreSQL and Redis, started for one test run.

They listen at the usual ports + 10,000 (COUNTERSIGN_TEST_OFFSET sets another distance), with
nothing in them. A broker that cannot be started fails the tests that need it; none is skipped.
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

import pytest

from local_stack.discovery import RunningStack
from local_stack.engine import chosen_kind
from local_stack.errors import StackError
from local_stack.layout import default_data_folder
from local_stack.stack import Stack, silent

DEFAULT_OFFSET = 10_000


WHOLE_SYSTEM_FURTHER = 1_300
"""The whole system has a stack of its own: what other tests leave in topics is not its business."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what judges the native servers where the servers are containers; say so."""
    native = [item for item in items if item.get_closest_marker("native")]
    if native and chosen_kind() == "compose":
        config.hook.pytest_deselected(items=native)
        items[:] = [item for item in items if item not in native]


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """A stack of this run's own, its infrastructure ready; `start_services` starts the rest."""
    with fresh_stack(offset_of_this_run()) as fresh:
        yield fresh


def offset_of_this_run() -> int:
    """Return how far this run's ports are moved."""
    return int(os.environ.get("COUNTERSIGN_TEST_OFFSET", DEFAULT_OFFSET))


@contextmanager
def fresh_stack(
    offset: int,
    overrides: Mapping[str, Mapping[str, str]] | None = None,
    tell: Callable[[str], None] = silent,
) -> Iterator[Stack]:
    """Start Kafka, PostgreSQL and Redis with nothing in them; stop them at the end."""
    with ExitStack() as undo:
        undo.enter_context(only_run(offset))
        fresh = _stack_class()(offset, overrides=overrides, tell=tell)
        fresh.reset()
        undo.callback(fresh.stop)
        fresh.start_infrastructure()
        yield fresh


def _stack_class() -> type[Stack]:
    if chosen_kind() == "native":
        return Stack
    # Not at the top: without an engine nobody pays for the import.
    from testbed.containers import ContainerStack  # noqa: PLC0415

    return ContainerStack


@pytest.fixture(scope="session")
def infrastructure(stack: Stack) -> RunningStack:
    """The addresses of Kafka, PostgreSQL and Redis, with topics, roles and schemas made."""
    return stack.description()


@contextmanager
def only_run(offset: int) -> Iterator[None]:
    """Refuse to take a stack from under another run of this checkout's tests."""
    folder = default_data_folder(offset)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".tests").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackError("another test run of this checkout is going on") from None
        yield
