"""`make test-containers`: the steps of a user with Docker, on a real engine; `--short` for CI.

If an engine responds, it is used. Otherwise one is started in separate namespaces, with
replacements for the images of registries (as root, on Debian); nothing of it is left at the end.
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import containers_builders
from containers_engine import engine, run_inside
from containers_images import gather, load, unpin
from containers_scenario import Clone, short, step, whole
from containers_tools import Tools, command, tools

from local_stack.engine import engine_answers
from local_stack.errors import StackError
from local_stack.layout import CHECKOUT, cache_folder, data_home

_SETUP_WITHIN_S = 600
# With these two, every stage of the Dockerfile is built.
_SHORT_BUILDS = ("countersign/prepare", "countersign/confirm")


def main() -> int:
    asked = arguments()
    # An exception triggers the clean-up; a signal alone would not.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        if asked.inside:
            return inside(asked)
        return outside(asked)
    except StackError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make test-containers", description=__doc__)
    parser.add_argument(
        "--short",
        action="store_true",
        help="demonstration, also by TLS, and two images with the other builders",
    )
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def outside(asked: argparse.Namespace) -> int:
    """Create the clones while package registries are reachable; then run."""
    folder = cache_folder() / "containers"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="run-", dir=folder) as name, ExitStack() as undo:
        scratch = Path(name)
        with step("clones"):
            for clone in ("first",) if asked.short else ("first", "second"):
                undo.callback(shutil.rmtree, data_home(scratch / clone), ignore_errors=True)
                copy_checkout(scratch / clone)
        if engine_answers():
            play(asked, scratch, dict(os.environ), None)
            return 0
        with step("tools and stand-ins of images"):
            found = tools(tell)
            gather(scratch, found, tell)
            for clone in ("first", "second"):
                if (scratch / clone).exists():
                    unpin(scratch / clone)
        flags = ["--short"] if asked.short else []
        return run_inside(found, scratch, [__file__, "--inside", str(scratch), *flags])


def copy_checkout(folder: Path) -> None:
    """Copy the working tree as `git clone` with `umask 077` would, and set it up."""
    before = os.umask(0o077)
    try:
        listed = command(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=CHECKOUT)
        for name in filter(None, listed.split("\0")):
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(CHECKOUT / name, target)
            target.chmod((CHECKOUT / name).stat().st_mode & 0o700)
        environment = clone_environment(dict(os.environ))
        command(["make", "setup"], cwd=folder, env=environment, timeout=_SETUP_WITHIN_S)
    finally:
        os.umask(before)


def clone_environment(environment: dict[str, str]) -> dict[str, str]:
    """Return the environment of commands in a clone: containers, and no variables of this make."""
    passed = {key: value for key, value in environment.items() if not key.startswith("MAKE")}
    return passed | {"STACK": "compose"}


def inside(asked: argparse.Namespace) -> int:
    """In the namespaces: start the engine and run the scenario."""
    scratch: Path = asked.inside
    found = tools(tell)
    with engine(found, scratch) as environment:
        with step("stand-ins of images"):
            load(scratch, environment)
        play(asked, scratch, environment, found)
    return 0


def play(
    asked: argparse.Namespace, scratch: Path, environment: dict[str, str], found: Tools | None
) -> None:
    """Run the scenario; at the end no container of it is left, even after a failure."""
    first, second = (
        Clone(scratch / name, clone_environment(environment)) for name in ("first", "second")
    )
    try:
        short(first)
        build_otherwise(first, asked, scratch, found)
        if not asked.short:
            whole(first, second)
    finally:
        for clone in (first, second):
            if clone.folder.exists():
                clone.make("reset")


def build_otherwise(
    clone: Clone, asked: argparse.Namespace, scratch: Path, found: Tools | None
) -> None:
    """Build with the builders that Compose does not use."""
    images = containers_builders.builds()
    if asked.short:
        images = {name: images[name] for name in _SHORT_BUILDS}
    with step("the classic builder"):
        containers_builders.classic(clone, images)
    if found is None:
        print("-- buildah: omitted, because the engine is the user's")
        return
    with step("buildah"):
        containers_builders.buildah(clone, images, found, scratch)


def tell(line: str) -> None:
    print(f"   {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
