"""A separate engine in its own namespaces: all processes that it starts end with it.

`unshare` creates the namespaces (processes, mounts, network). When its first process ends, the
kernel ends all others in them and removes mounts and networks. The run removes the folder of its
files and the control groups below its own group.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from containers_tools import Tools, command

from local_stack.errors import StackError
from local_stack.waiting import wait_until

_ENGINE_WITHIN_S = 60
_UNIFIED = Path("/sys/fs/cgroup/unified")


def run_inside(found: Tools, scratch: Path, arguments: list[str]) -> int:
    """Run this command again inside namespaces, and clean up files and control groups."""
    # The namespaces end with a killed parent.
    parents = ["setpriv", "--pdeathsig", "KILL"]
    spaces = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    first = [str(found.root / "usr/bin/tini"), "-s", "--", sys.executable, *arguments]
    try:
        return subprocess.run([*parents, *spaces, *first], check=False).returncode
    finally:
        _remove_groups(scratch)


def _group(scratch: Path) -> str:
    return f"countersign-{scratch.name}"


def _remove_groups(scratch: Path) -> None:
    """Remove the control groups, innermost first; the kernel may need some time."""

    def gone() -> bool:
        groups = [one for top in _tops(scratch) for one in (top, *top.rglob("*")) if one.is_dir()]
        for group in sorted(groups, key=lambda one: -len(one.parts)):
            try:
                group.rmdir()
            except OSError:
                return False
        return True

    wait_until(gone, seconds=10, otherwise=f"control groups of {scratch.name} are left")


def _tops(scratch: Path) -> list[Path]:
    root = Path("/sys/fs/cgroup")
    return [*root.glob(_group(scratch)), *root.glob(f"*/{_group(scratch)}")]


@contextmanager
def engine(found: Tools, scratch: Path) -> Iterator[dict[str, str]]:
    """Start an engine inside the namespaces; yield the environment for its clients."""
    command(["ip", "link", "set", "lo", "up"])
    if _UNIFIED.is_mount():
        command(["umount", str(_UNIFIED)])
    _find_libraries(found, scratch)
    environment = found.environment() | {"DOCKER_HOST": f"unix://{scratch}/docker.sock"}
    log = scratch / "engine.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            ["dockerd", *_choices(scratch)], env=environment, stdout=output, stderr=output
        )
    try:
        wait_until(
            lambda: _answers(environment), seconds=_ENGINE_WITHIN_S, otherwise=f"no engine: {log}"
        )
        yield environment
    finally:
        process.terminate()
        process.wait(_ENGINE_WITHIN_S)


def _find_libraries(found: Tools, scratch: Path) -> None:
    """Configure the linker for the unpacked libraries, in these namespaces only.

    A variable is not enough: buildah restarts itself without it.
    """
    names, index = scratch / "ld.so.conf", scratch / "ld.so.cache"
    names.write_text(f"include /etc/ld.so.conf\n{found.libraries}\n")
    command(["ldconfig", "-X", "-f", str(names), "-C", str(index)])
    command(["mount", "--bind", str(index), "/etc/ld.so.cache"])


def _choices(scratch: Path) -> list[str]:
    choices = {
        "host": f"unix://{scratch}/docker.sock",
        "data-root": f"{scratch}/data",
        "exec-root": f"{scratch}/exec",
        "pidfile": f"{scratch}/docker.pid",
        "default-ulimit": "nofile=10000:10000",
        "exec-opt": "native.cgroupdriver=cgroupfs",
        "cgroup-parent": f"/{_group(scratch)}",
    }
    return [f"--{name}={value}" for name, value in choices.items()]


def _answers(environment: dict[str, str]) -> bool:
    asked = subprocess.run(["docker", "info"], check=False, capture_output=True, env=environment)
    return asked.returncode == 0


def containers(environment: dict[str, str], project: str) -> dict[str, dict[str, object]]:
    """Return the engine's data of each container of a project, by service."""
    chosen = ["--filter", f"label=com.docker.compose.project={project}"]
    ids = command(["docker", "ps", "--all", "--quiet", *chosen], env=environment).split()
    if not ids:
        return {}
    described = json.loads(command(["docker", "inspect", *ids], env=environment))
    return {one["Config"]["Labels"]["com.docker.compose.service"]: one for one in described}


def kill(container: dict[str, object]) -> None:
    """SIGKILL its first process, as the kernel does; `docker kill` counts as a requested stop."""
    try:
        os.kill(container["State"]["Pid"], signal.SIGKILL)
    except OSError as error:
        raise StackError(f"kills need root on the engine's own machine: {error}") from None
