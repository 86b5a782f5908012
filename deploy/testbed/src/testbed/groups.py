"""Pytest plugin: how the tests are shared out when several processes run them (`pytest -n 2`).

Tests that use the same servers run in the same process, which has started them. Those of the whole
system have servers of their own. A test in the wrong group fails: its servers are in use.
"""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler.loadscope import LoadScopeScheduling

REAL_SERVERS = "postgres"
"""The parameter of a fixture with which a test runs on the real servers."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Return the scheduler of these groups."""
    return _Groups(config, log)


class _Groups(LoadScopeScheduling):  # type: ignore[misc]  # xdist is not typed
    def _split_scope(self, nodeid: str) -> str:
        file, _, test = nodeid.partition("::")
        if "/e2e/" in file:
            return "whole system"
        parameters = test.partition("[")[2]
        return "servers" if REAL_SERVERS in parameters or _has_mark(file) else file


@cache
def _has_mark(file: str) -> bool:
    return "mark.stack" in Path(file).read_text()
