"""The steps of a user with Docker, each with its expected result."""

import re
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
from containers_engine import containers, kill
from containers_tools import command

from local_stack.errors import StackError
from local_stack.inventory import load_inventory
from local_stack.layout import CHECKOUT
from local_stack.waiting import wait_until

_DEMO_WITHIN_S = 900
_TESTS_WITHIN_S = 1800
_BACK_WITHIN_S = 90
TESTS = "tests/e2e/test_payments.py services/risk libs/runtime/tests/test_kafka.py"
"""Tests on containers: one stack each for the system, a service and the runtime."""
_CALLS = re.compile(r"^\$ (curl .*)\n(\{.*\})$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Clone:
    """A copy of the checkout with its own commands."""

    folder: Path
    environment: dict[str, str]

    def make(self, *words: str, within_s: float = _DEMO_WITHIN_S) -> str:
        """Run `make` in the clone. Raises StackError with the end of its output."""
        return command(["make", *words], cwd=self.folder, env=self.environment, timeout=within_s)

    def fails(self, *words: str) -> str:
        """Run a command that must fail; return what it printed."""
        done = subprocess.run(
            words,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.folder,
            env=self.environment,
            timeout=_DEMO_WITHIN_S,
        )
        expect(done.returncode != 0, f"{shlex.join(words)} should have failed:\n{done.stdout}")
        return done.stdout

    def countersign(self, *words: str) -> str:
        """Run the `countersign` command as the development operator alice."""
        program = str(self.folder / ".venv/bin/countersign")
        environment = self.environment | {"COUNTERSIGN_AS": "alice"}
        return command([program, *words], cwd=self.folder, env=environment)

    @property
    def project(self) -> str:
        return self._ask("ComposeStack().project")

    @property
    def secrets(self) -> Path:
        return Path(self._ask("ComposeStack().layout.secrets"))

    def _ask(self, expression: str) -> str:
        """Return the output of the clone's code."""
        code = f"from local_stack.containers import ComposeStack; print({expression})"
        python = str(self.folder / ".venv/bin/python")
        return command([python, "-c", code], cwd=self.folder, env=self.environment).strip()

    def containers(self) -> dict[str, dict]:
        return containers(self.environment, self.project)


def expect(holds: object, otherwise: str) -> None:
    """Raise StackError unless the condition holds."""
    if not holds:
        raise StackError(otherwise)


@contextmanager
def step(name: str) -> Iterator[None]:
    """Print the step and its duration."""
    print(f"-- {name}", flush=True)
    start_s = time.monotonic()
    yield
    print(f"   {time.monotonic() - start_s:.0f} s", flush=True)


def short(clone: Clone) -> None:
    """Run images and demonstration."""
    with step("docker compose by hand says in one sentence what it lacks"):
        said = clone.fails("docker", "compose", "config").strip().splitlines()
        expect(len(said) == 1 and "make up" in said[0], "\n".join(said))
    with step("make demo, in a clone made under umask 077"):
        shown = clone.make("demo")
        for text in (
            "Everything was as expected",
            "http://127.0.0.1:3001",
            "16686",
            "grafana-admin",
        ):
            expect(text in shown, f"{text} is not in what make demo shows:\n{shown[-3000:]}")
    with step("published on this machine alone, with bounded logs"):
        for name, one in clone.containers().items():
            bindings = [b for bs in (one["HostConfig"]["PortBindings"] or {}).values() for b in bs]
            expect(all(b["HostIp"] == "127.0.0.1" for b in bindings), f"{name}: {bindings}")
            expect("max-size" in one["HostConfig"]["LogConfig"]["Config"], f"{name}: logs")
    with step("the four calls of README.md, and countersign check"):
        printed_calls(clone)
        clone.countersign("check")
    with step("the same containers by TLS"):
        by_tls(Clone(clone.folder, clone.environment | {"TLS": "on"}))


def by_tls(clone: Clone) -> None:
    """Start again with TLS=on: a payment is confirmed, and Prometheus reaches every service."""
    clone.make("up")
    clone.countersign("pay", "--amount", "50", "--from", "acc-1", "--to", "payee-xyz")
    clone.countersign("check")
    _wait(_reaches_all_by_tls, "Prometheus does not reach every service by TLS")


def _reaches_all_by_tls() -> bool:
    url = f"http://127.0.0.1:{load_inventory().ports['prometheus_web']}/api/v1/targets"
    found = httpx.get(url, timeout=5).raise_for_status().json()
    if not found:
        print("   Prometheus is a replacement, which scrapes nothing: `make observe` builds it")
        return True
    targets = found["data"]["activeTargets"]
    services = [one for one in targets if one["labels"]["job"] == "services"]
    expect(all(one["scrapeUrl"].startswith("https://") for one in services), "not by TLS")
    return len(services) > 1 and {one["health"] for one in services} == {"up"}


def printed_calls(clone: Clone) -> None:
    """Compare the calls under *Try it* in README.md, except for the reference."""
    calls = _CALLS.findall((CHECKOUT / "README.md").read_text())
    expect(len(calls) == 4, f"README.md prints {len(calls)} calls")
    pattern = re.compile(r'("reference":")\w+')
    for call, printed in calls:
        answer = command(shlex.split(call), env=clone.environment)
        same = pattern.sub(r"\1", answer) == pattern.sub(r"\1", printed)
        expect(same, f"{call}\nanswered {answer}\ninstead of {printed}")


def every_kill(clone: Clone) -> None:
    """SIGKILL each container in turn: each restarts, and nothing is lost."""
    for name, container in clone.containers().items():
        if name != "prepare":
            kill(container)
            _wait(partial(_is_back, clone, name), f"{name} did not come back")
    # It waits until all are healthy.
    clone.make("up")
    clone.countersign("pay", "--amount", "50", "--from", "acc-1", "--to", "payee-xyz")
    clone.countersign("check")


def _is_back(clone: Clone, name: str) -> bool:
    one = clone.containers()[name]
    return one["RestartCount"] > 0 and one["State"]["Status"] == "running"


def _wait(true: Callable[[], bool], otherwise: str) -> None:
    wait_until(true, seconds=_BACK_WITHIN_S, otherwise=otherwise, pause_s=0.5)


def second_clone(first: Clone, second: Clone) -> None:
    """Another clone's containers and volumes are separate, and survive the first one's reset."""
    expect(first.project != second.project, "both clones have one project")
    first.make("down")
    second.make("demo")
    second.countersign("check")
    second.make("down")
    second.make("reset")
    first.make("up")
    expect("tx-987" in first.countersign("show", "tx-987"), "the first clone's payment is gone")


def wrong_password(clone: Clone) -> None:
    """Volumes without their secrets: reported at once, not after minutes."""
    clone.make("down")
    secret = clone.secrets / "database-admin"
    right = secret.read_text()
    replace(secret, "not-the-one\n")
    said = clone.fails("make", "up")
    replace(secret, right)
    expect("refuses the password" in said, said[-3000:])


def replace(secret: Path, text: str) -> None:
    """Write a secret as the set-up does: readable by all, in a private folder."""
    secret.unlink()
    secret.write_text(text)
    secret.chmod(0o444)


def restarts_for_ever(clone: Clone) -> None:
    """A container that cannot start: `make up` fails with its name and the end of its log."""
    broken = clone.folder / "services/audit/src/audit/__main__.py"
    right = broken.read_text()
    broken.write_text("raise SystemExit('it cannot start')")
    said = clone.fails("make", "up")
    broken.write_text(right)
    expect("again and again: audit" in said and "it cannot start" in said, said[-3000:])


def whole(first: Clone, second: Clone) -> None:
    """Run all further steps."""
    with step("SIGKILL of each container"):
        every_kill(first)
    with step("a second clone beside the first"):
        second_clone(first, second)
    with step("a wrong password of the database is called that"):
        wrong_password(first)
    with step("a container that restarts for ever fails the start"):
        restarts_for_ever(first)
    with step("down, up and reset leave nothing"):
        first.make("up")
        first.make("reset")
        nothing_left(first)
    with step(f"the tests' stack in containers: {TESTS}"):
        first.make("test", f"T={TESTS} -q", within_s=_TESTS_WITHIN_S)


def nothing_left(clone: Clone) -> None:
    """Check that no container, volume, network or secret of the project is left."""
    chosen = ["--quiet", "--filter", f"label=com.docker.compose.project={clone.project}"]
    for kind in (["ps", "--all"], ["volume", "ls"], ["network", "ls"]):
        left = command(["docker", *kind, *chosen], env=clone.environment)
        expect(not left, f"docker {kind[0]}: {left}")
    expect(not clone.secrets.exists(), f"{clone.secrets} is left")
