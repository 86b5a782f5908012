"""Builds programs from Go modules, once, into a folder that all checkouts share.

Go verifies each module against the checksum database; a second call finds the binary and returns.
"""

import fcntl
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from local_stack.errors import StackError
from local_stack.layout import cache_folder
from local_stack.waiting import Deadline, elapsed_since, now_s

Tell = Callable[[str], None]

_BUILD_WITHIN_S = 3600
_ASK_WITHIN_S = 60
_TELL_EVERY_S = 20
_LOG_LINES = 15
# Two compilers at once need 3.5 GB at their peak.
_GO_FLAGS = "-buildvcs=false -modcacherw -p=2"


@dataclass(frozen=True, slots=True)
class Source:
    """A program in a Go module, and its build tags."""

    program: str
    module: str
    version: str
    package: str
    tags: str = ""
    variable: str = ""
    """The Go variable that holds the program's version, where it must know it."""

    @property
    def binary(self) -> Path:
        """The path of the built program."""
        return built_folder() / f"{self.program}-{self.version}"


def built_folder() -> Path:
    """The folder of all built programs."""
    return cache_folder() / "telemetry"


def alone(name: str, missing: Callable[[], bool], make: Callable[[], None]) -> None:
    """Make a missing file while no other process makes it."""
    if missing():
        with _locked(name):
            if missing():
                make()


@contextmanager
def _locked(name: str) -> Iterator[None]:
    folder = built_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def build(source: Source, tell: Tell) -> Path:
    """The binary of a program. Raises StackError where Go is missing or the build fails."""
    alone("go", lambda: not source.binary.exists(), lambda: _build(source, tell))
    return source.binary


def _build(source: Source, tell: Tell) -> None:
    folder = module_folder(source.module, source.version)
    draft = source.binary.with_suffix(".draft")
    stamp = f" -X {source.variable}={source.version}" if source.variable else ""
    command = ["build", "-v", "-trimpath", f"-ldflags=-s -w{stamp}", f"-tags={source.tags}"]
    run_go([*command, "-o", str(draft), source.package], folder, source.binary.name, tell)
    draft.rename(source.binary)


def module_folder(module: str, version: str) -> Path:
    """Where Go keeps a module's source, downloaded if need be."""
    command = [_go(), "mod", "download", "-json", f"{module}@{version}"]
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        timeout=_BUILD_WITHIN_S,
        env=environment(),
        cwd=built_folder(),
    )
    if done.returncode != 0:
        raise StackError(f"Go could not fetch {module} {version}: {done.stdout[-500:]}")
    return Path(json.loads(done.stdout)["Dir"])


def run_go(arguments: list[str], folder: Path, name: str, tell: Tell) -> None:
    """Run `go`, or a program that runs it, at the lowest priority, and report its progress."""
    command = arguments if Path(arguments[0]).is_absolute() else [_go(), *arguments]
    log = built_folder() / f"{name}.log"
    start_s = now_s()
    tell(f"building {name} from its Go module; this is done once")
    with log.open("w") as output:
        process = subprocess.Popen(
            ["nice", "-n", "19", *command],
            cwd=folder,
            env=environment(),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            _watch(process, log, name, tell)
        finally:
            process.kill()
    if process.returncode != 0:
        end = "\n".join(log.read_text().splitlines()[-_LOG_LINES:])
        raise StackError(f"{name} could not be built; the log {log} ends:\n{end}")
    tell(f"built {name} in {elapsed_since(start_s):.0f} s")


def _watch(process: subprocess.Popen[bytes], log: Path, name: str, tell: Tell) -> None:
    deadline = Deadline(_BUILD_WITHIN_S)
    while not deadline.passed:
        try:
            process.wait(_TELL_EVERY_S)
        except subprocess.TimeoutExpired:
            tell(f"building {name}: {len(log.read_text().splitlines())} steps so far")
        else:
            return
    raise StackError(f"{name} took over {_BUILD_WITHIN_S} s to build")


def environment() -> Mapping[str, str]:
    """Go's environment: separate caches, static programs, modules from the proxy alone."""
    sources = cache_folder() / "go"
    return os.environ | {
        "GOMODCACHE": str(sources / "mod"),
        "GOCACHE": str(sources / "build"),
        "GOBIN": str(sources / "bin"),
        "GOFLAGS": _GO_FLAGS,
        "GOPROXY": _proxy(),
        "GOWORK": "off",
        "CGO_ENABLED": "0",
    }


def forget_sources() -> None:
    """Remove sources and intermediate files: gigabytes that binaries do not need."""
    sources = cache_folder() / "go"
    if sources.exists():
        with _locked("go"):
            shutil.rmtree(sources, ignore_errors=True)


def _proxy() -> str:
    """The user's module proxy without `direct`: a clone of a repository may hang."""
    asked = subprocess.run(
        [_go(), "env", "GOPROXY"], check=True, capture_output=True, text=True, timeout=_ASK_WITHIN_S
    )
    proxies = [one for one in re.split(r"[,|]", asked.stdout.strip()) if one != "direct"]
    return ",".join(proxies) or "off"


def _go() -> str:
    go = shutil.which("go")
    if go is None:
        raise StackError("go is missing: install Go 1.25 or newer, or use Docker")
    return go
