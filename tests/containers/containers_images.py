"""Replacements for the images of docker-compose.yml and the Dockerfile, without a registry."""

import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from containers_tools import Tools, cached, command

from local_stack import kafka
from local_stack.images import base_image
from local_stack.inventory import load_inventory
from local_stack.locks import IMAGES_FILE, SERVICE_LOCKS
from local_stack.telemetry.building import Tell, alone
from local_stack.telemetry.programs import JAEGER, PROMETHEUS, collector_binary

FILES = Path(__file__).parent / "replacements"
ROOTS = {
    "python": ["python3", "python3-venv", "python3-pip-whl"],
    "servers": ["python3", "postgresql", "redis-server", "openjdk-17-jre-headless", "wget"],
}
# Debian creates a cluster at installation; Java's packages need folders for manual pages.
_HOOK = (
    'mkdir -p "$1/etc/postgresql-common" "$1/usr/share/man/man1" "$1/usr/share/man/man7";'
    ' echo "create_main_cluster = false" >"$1/etc/postgresql-common/createcluster.conf"'
)
DUMMY_PORTS = {
    "collector": "4318",
    "jaeger": "13133 16686",
    "prometheus": "9090",
    "loki": "3100",
    "grafana": "3000",
}


def gather(scratch: Path, found: Tools, tell: Tell) -> None:
    """Create the file systems (once, in the cache) and a build folder; needs registries."""
    for name in ROOTS:
        alone(
            name,
            lambda name=name: not root(name).exists(),
            lambda name=name: _make_root(name, found, tell),
        )
    context = _context(scratch)
    shutil.copytree(FILES, context)
    _link(kafka.jars(), context / "kafka")
    _link(wheels(tell), context / "wheels")
    (context / "programs").mkdir()
    for name, program in observers().items():
        os.link(program, context / "programs" / name)


def load(scratch: Path, environment: Mapping[str, str]) -> None:
    """Load an image for each name into the engine."""
    for name in ROOTS:
        command(["docker", "import", str(root(name)), f"standin/{name}"], env=environment)
    for choices in _builds():
        words = ["docker", "buildx", "build", "-q", *choices, str(_context(scratch))]
        command(words, env=environment)


def _context(scratch: Path) -> Path:
    return scratch / "context"


def unpin(clone: Path) -> None:
    """Remove the digests from a clone: a replacement has an image's name and tag alone."""
    for name in ("deploy/stack.yaml", "deploy/Dockerfile", "docker-compose.yml"):
        text = (clone / name).read_text()
        (clone / name).write_text(re.sub(r"@sha256:[0-9a-f]{64}", "", text))


def _builds() -> Iterator[list[str]]:
    """Yield the arguments of each build: target and image name."""
    yield ["--target", "python", "--tag", tagged(base_image())]
    for name, pinned in load_inventory().images.items():
        image = tagged(pinned)
        if name in observers():
            yield ["--target", "program", "--build-arg", f"PROGRAM={name}", "--tag", image]
        elif name in DUMMY_PORTS:
            ports = DUMMY_PORTS[name]
            yield ["--target", "dummy", "--build-arg", f"PORTS={ports}", "--tag", image]
        else:
            yield ["--target", name, "--tag", image]


def tagged(image: str) -> str:
    """Return an image's name and tag without the digest."""
    return image.partition("@")[0]


def wheels(tell: Tell) -> Path:
    """Return the packages of the images' locks, fetched by pip."""
    folder = cached("wheels", *(file.read_text() for file in _locks()))
    alone("wheels", lambda: not folder.exists(), lambda: _fetch_wheels(folder, tell))
    return folder


def _locks() -> list[Path]:
    return [IMAGES_FILE, *sorted(SERVICE_LOCKS.glob("*.lock"))]


def _fetch_wheels(folder: Path, tell: Tell) -> None:
    tell("fetching the packages of our images")
    draft = folder.with_suffix(".draft")
    fetch = ["pip", "download", "-q", "--no-deps", "--only-binary=:all:", "--python-version=3.11"]
    lock = [text for file in _locks() for text in ("-r", str(file))]
    command([sys.executable, "-m", *fetch, "--require-hashes", *lock, "-d", str(draft)])
    draft.rename(folder)


def root(name: str) -> Path:
    """Return the archive of a file system."""
    return cached(name, *ROOTS[name], _HOOK)


def _make_root(name: str, found: Tools, tell: Tell) -> None:
    tell(f"making Debian's file system for {name}")
    draft = root(name).with_suffix(".tar")
    choices = [
        "--variant=minbase",
        f"--include={','.join(ROOTS[name])}",
        f"--essential-hook={_HOOK}",
    ]
    environment = found.environment() | {"TMPDIR": str(draft.parent)}
    # Readable by all, independent of the user's umask.
    command(["mmdebstrap", *choices, "bookworm", str(draft)], env=environment, umask=0o022)
    draft.rename(root(name))


def observers() -> dict[str, Path]:
    """Return the built programs of `make observe`; others get a dummy."""
    programs = {
        "collector": collector_binary(),
        "jaeger": JAEGER.binary,
        "prometheus": PROMETHEUS.binary,
    }
    return {name: program for name, program in programs.items() if program.exists()}


def _link(source: Path, target: Path) -> None:
    shutil.copytree(source, target, copy_function=os.link)
