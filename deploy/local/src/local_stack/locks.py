"""deploy/requirements-images.lock: of the hash-pinned lock, what an image runs on and no more."""

import tomllib
from collections.abc import Iterable
from importlib.metadata import distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from local_stack.errors import StackError
from local_stack.layout import CHECKOUT

LOCK_FILE = CHECKOUT / "requirements.lock"
IMAGES_FILE = CHECKOUT / "deploy" / "requirements-images.lock"
_HEADER = "# Generated from requirements.lock: `make generate`.\n"


def images_lock_text() -> str:
    """The blocks of requirements.lock that the members' own dependencies lead to."""
    blocks = _blocks()
    wanted = sorted(_closure(_roots()) & blocks.keys())
    return _HEADER + "".join(blocks[name] for name in wanted)


def _roots() -> list[Requirement]:
    folders = ["libs/schemas", "libs/runtime", "deploy/local"]
    members = [CHECKOUT / folder for folder in folders] + sorted(CHECKOUT.glob("services/*"))
    return [
        Requirement(text)
        for member in members
        if (member / "pyproject.toml").exists()
        for text in tomllib.loads((member / "pyproject.toml").read_text())["project"][
            "dependencies"
        ]
    ]


def _closure(roots: Iterable[Requirement]) -> set[str]:
    """Names of all that is needed, as far as it is installed here."""
    waiting: list[tuple[str, str]] = [
        (canonicalize_name(one.name), extra) for one in roots for extra in ("", *one.extras)
    ]
    seen: set[tuple[str, str]] = set()
    while waiting:
        step = waiting.pop()
        if step not in seen:
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


def _blocks() -> dict[str, str]:
    """Each package's lines in the lock, by canonical name, without the comments."""
    blocks: dict[str, str] = {}
    name = ""
    for line in LOCK_FILE.read_text().splitlines(keepends=True):
        if line.lstrip().startswith("#"):
            continue
        if not line.startswith(" "):
            name = canonicalize_name(line.partition("==")[0])
            blocks[name] = ""
        blocks[name] += line
    if not blocks:
        raise StackError("requirements.lock holds no packages")
    return blocks
