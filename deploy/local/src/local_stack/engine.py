"""The kind of stack: Compose with a Docker engine, else native; STACK overrides the choice."""

import os
import shutil
import subprocess

from local_stack.errors import StackError

KINDS = ("compose", "native")
_ANSWER_WITHIN_S = 10


def chosen_kind() -> str:
    """How the stack is to run. Raises StackError where STACK is neither."""
    forced = os.environ.get("STACK", "")
    if forced and forced not in KINDS:
        raise StackError(f"STACK must be compose or native, not {forced!r}")
    return forced or ("compose" if engine_answers() else "native")


def engine_answers() -> bool:
    """Whether `docker info` reaches an engine."""
    if shutil.which("docker") is None:
        return False
    try:
        done = subprocess.run(
            ["docker", "info"], check=False, capture_output=True, timeout=_ANSWER_WITHIN_S
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
