"""Lock files beside requirements.lock.

deploy/requirements-images.lock  the part of requirements.lock that images need
deploy/locks/<group>.lock        packages of a group's services that requirements.lock lacks
"""

import subprocess
import sys
import tomllib
from collections.abc import Container, Iterable
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from local_stack.errors import StackError
from local_stack.inventory import Inventory
from local_stack.layout import CHECKOUT

LOCK_FILE = CHECKOUT / "requirements.lock"
IMAGES_FILE = CHECKOUT / "deploy" / "requirements-images.lock"
LOCKS_FOLDER = CHECKOUT / "deploy" / "locks"
_HEADER = "# Generated from requirements.lock: `make generate`.\n"
_GROUP_HEADER = "# Of the services of this group, beside requirements.lock: `make lock`.\n"
_MEMBERS = ("payment-schemas", "service-runtime")
_COMPILE_WITHIN_S = 300


def images_lock_text() -> str:
    """The blocks of requirements.lock that the images' packages depend on."""
    blocks = _blocks()
    folders = ("libs/schemas", "libs/runtime", "deploy/local", "services/*")
    members = [member for folder in folders for member in sorted(CHECKOUT.glob(folder))]
    wanted = _closure([one for member in members for one in requirements_of(member)], blocks)
    return _HEADER + "".join(blocks[name] for name in sorted(wanted))


def requirements_of(member: Path) -> list[Requirement]:
    """The dependencies that a workspace member declares; empty without a pyproject.toml."""
    file = member / "pyproject.toml"
    declared = tomllib.loads(file.read_text())["project"]["dependencies"] if file.exists() else ()
    return [Requirement(text) for text in declared]


def beyond_the_core(inventory: Inventory, group: str, checkout: Path = CHECKOUT) -> list[str]:
    """The declared dependencies of a group's services that requirements.lock lacks."""
    there = {*_blocks(), *_MEMBERS}
    packages = {one.package for one in inventory.of_groups([group])}
    declared = (r for package in packages for r in requirements_of(checkout / "services" / package))
    return sorted(str(one) for one in declared if canonicalize_name(one.name) not in there)


def lock_group(inventory: Inventory, group: str) -> Path | None:
    """Write a group's lock, with the core's versions of shared packages; None if it needs none."""
    file = LOCKS_FOLDER / f"{group}.lock"
    wanted = beyond_the_core(inventory, group)
    if not wanted:
        file.unlink(missing_ok=True)
        return None
    pinned = _compiled(wanted, file)
    core = _blocks()
    added = {name: block for name, block in _blocks(pinned).items() if name not in core}
    file.write_text(_GROUP_HEADER + "".join(added[name] for name in sorted(added)))
    return file


def _compiled(wanted: Iterable[str], present: Path) -> str:
    """The hash-pinned closure of requirements; locked versions are kept."""
    options = ["--generate-hashes", "--no-header", "--no-annotate", "--python-version", "3.11"]
    kept = ["--constraint", str(LOCK_FILE)]
    kept += ["--constraint", str(present)] if present.exists() else []
    done = subprocess.run(
        [Path(sys.executable).with_name("uv"), "pip", "compile", "-q", *options, *kept, "-"],
        check=False,
        capture_output=True,
        text=True,
        input="\n".join(wanted),
        timeout=_COMPILE_WITHIN_S,
    )
    if done.returncode != 0:
        raise StackError(f"the packages {', '.join(wanted)} cannot be locked:\n{done.stderr}")
    return done.stdout


def _closure(roots: Iterable[Requirement], blocks: Container[str]) -> set[str]:
    """Names of all packages that the roots depend on, as far as the lock contains them."""
    waiting: list[tuple[str, str]] = [
        (canonicalize_name(one.name), extra) for one in roots for extra in ("", *one.extras)
    ]
    seen: set[tuple[str, str]] = set()
    while waiting:
        step = waiting.pop()
        if step not in seen and step[0] in blocks:
            seen.add(step)
            waiting.extend(_needs(*step))
    return {name for name, _ in seen}


def _needs(name: str, extra: str) -> list[tuple[str, str]]:
    needed = [Requirement(text) for text in distribution(name).requires or ()]
    return [
        (canonicalize_name(one.name), also)
        for one in needed
        if one.marker is None or one.marker.evaluate({"extra": extra})
        for also in ("", *one.extras)
    ]


def _blocks(text: str | None = None) -> dict[str, str]:
    """Each package's lines in a lock (the core's), by canonical name, without the comments."""
    blocks: dict[str, str] = {}
    name = ""
    for line in (text or LOCK_FILE.read_text()).splitlines(keepends=True):
        if line.lstrip().startswith("#"):
            continue
        if not line.startswith(" "):
            name = canonicalize_name(line.partition("==")[0])
            blocks[name] = ""
        blocks[name] += line
    if not blocks:
        raise StackError("the lock holds no packages")
    return blocks
