"""The programs of an engine for a Debian machine without one, fetched once into the cache.

Debian's packages are unpacked, not installed: no service, user or file of the system changes.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from local_stack.errors import StackError
from local_stack.layout import cache_folder
from local_stack.telemetry.building import Source, Tell, alone, build, forget_sources

PACKAGES = ("docker.io", "buildah", "mmdebstrap", "iptables", "tini")
# Compose works with Debian's engine 20.10, and needs Buildx 0.17 or newer.
COMPOSE = Source(
    "docker-compose",
    "github.com/docker/compose/v5",
    "v5.0.2",
    "./cmd",
    variable="github.com/docker/compose/v5/internal.Version",
)
BUILDX = Source(
    "docker-buildx",
    "github.com/docker/buildx",
    "v0.29.1",
    "./cmd/buildx",
    variable="github.com/docker/buildx/version.Version",
)
_FETCH_WITHIN_S = 900


@dataclass(frozen=True, slots=True)
class Tools:
    """The unpacked packages and the two plugins of the `docker` command."""

    root: Path
    plugins: Path

    @property
    def libraries(self) -> Path:
        return self.root / "usr/lib/x86_64-linux-gnu"

    def environment(self) -> dict[str, str]:
        """Return the environment that finds them before the system's programs."""
        folders = [self.root / "usr/sbin", self.root / "usr/bin"]
        return os.environ | {
            "PATH": ":".join([*map(str, folders), os.environ["PATH"]]),
            "XTABLES_LIBDIR": str(self.libraries / "xtables"),
            "DOCKER_CONFIG": str(self.plugins),
        }


def tools(tell: Tell) -> Tools:
    """Fetch and build missing programs. Raises StackError with their names."""
    return Tools(unpacked(tell), plugins(tell))


def cached(name: str, *recipe: str) -> Path:
    """Return a path in the cache that depends on the recipe."""
    digest = hashlib.sha256("\n".join(recipe).encode()).hexdigest()[:12]
    folder = cache_folder() / "containers"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}-{digest}"


def unpacked(tell: Tell) -> Path:
    """Return the folder with the unpacked Debian packages."""
    root = cached("debian", *PACKAGES)
    alone("debian", lambda: not root.exists(), lambda: _unpack(root, tell))
    return root


def _unpack(root: Path, tell: Tell) -> None:
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise StackError("no Docker engine answers; to start one, be root on Debian")
    tell(f"fetching {', '.join(PACKAGES)}; they are unpacked, not installed")
    with tempfile.TemporaryDirectory(dir=root.parent) as scratch:
        archives, draft = Path(scratch) / "archives", Path(scratch) / "root"
        (archives / "partial").mkdir(parents=True)
        fetch = ["install", "--download-only", "--no-install-recommends", "-y"]
        command(["apt-get", "update"])
        command(["apt-get", *fetch, "-o", f"Dir::Cache::archives={archives}", *PACKAGES])
        for archive in archives.glob("*.deb"):
            command(["dpkg", "-x", str(archive), str(draft)])
        for name in ("iptables", "ip6tables"):
            (draft / "usr/sbin" / name).symlink_to("xtables-legacy-multi")
        draft.rename(root)


def plugins(tell: Tell) -> Path:
    """Return a configuration folder of the `docker` command with the two plugins."""
    folder = cached("plugins", COMPOSE.version, BUILDX.version)
    were_built = COMPOSE.binary.exists() and BUILDX.binary.exists()
    programs = {"docker-compose": build(COMPOSE, tell), "docker-buildx": build(BUILDX, tell)}
    if not were_built:
        forget_sources()
    (folder / "cli-plugins").mkdir(parents=True, exist_ok=True)
    # buildah takes the variable for a file of passwords, which must exist.
    (folder / "config.json").write_text("{}\n")
    for name, program in programs.items():
        link = folder / "cli-plugins" / name
        link.unlink(missing_ok=True)
        link.symlink_to(program)
    return folder


def command(words: Iterable[str], **options: object) -> str:
    """Run a program and return its output. Raises StackError with the end of the output."""
    words = list(words)
    done = subprocess.run(
        words,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **({"timeout": _FETCH_WITHIN_S} | options),
    )
    if done.returncode != 0:
        end = "\n".join(done.stdout.splitlines()[-20:])
        raise StackError(f"{' '.join(words[:4])} … failed ({done.returncode}):\n{end}")
    return done.stdout
