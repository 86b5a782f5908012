"""Lock files beside requirements.lock.

deploy/requirements-images.lock      the part of requirements.lock that all images need
deploy/locks/services/<service>.lock  the part of it that one image needs beyond that
deploy/locks/<group>.lock            packages of a group's services that requirements.lock lacks
deploy/locks/<group>-tests.lock      what their tests need beyond that, which no image has
deploy/training/requirements.lock    what training needs beyond the services of the group risk
"""

import subprocess
import sys
import tomllib
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from local_stack.errors import StackError
from local_stack.inventory import Inventory
from local_stack.layout import CHECKOUT

LOCK_FILE = CHECKOUT / "requirements.lock"
IMAGES_FILE = CHECKOUT / "deploy" / "requirements-images.lock"
LOCKS_FOLDER = CHECKOUT / "deploy" / "locks"
SERVICE_LOCKS = LOCKS_FOLDER / "services"
TRAINING = CHECKOUT / "deploy" / "training"
TRAINED_FOR = "fraud"
_OURS = (TRAINED_FOR, "service-runtime", "bench")
"""The service whose models are trained: training installs its group's packages, too."""
_HEADER = "# Generated from requirements.lock: `make generate`.\n"
_GROUP_HEADER = "# Of the services of this group, beside requirements.lock: `make lock`.\n"
_RUNTIME = "service-runtime"
_MEMBERS = ("payment-schemas", _RUNTIME, "double-entry", "kafka-access", "partner-messages")
_COMPILE_WITHIN_S = 300


def image_locks() -> dict[Path, str]:
    """The locks of the images: that of all, and those of services that need more."""
    found = blocks()
    shared = _shared(found)
    own = {
        SERVICE_LOCKS / f"{folder.name}.lock": _closure(
            _extras_of(folder) + (requirements_of(folder) if _has_locked_group(folder) else []),
            found,
        )
        - shared
        for folder in CHECKOUT.glob("services/*")
    }
    wanted = {IMAGES_FILE: shared, **{file: names for file, names in own.items() if names}}
    return {
        file: _HEADER + "".join(found[name] for name in sorted(names))
        for file, names in wanted.items()
    }


def _shared(found: Container[str]) -> set[str]:
    """The packages that every image has: what our packages depend on, groups with locks apart."""
    folders = (
        "libs/schemas",
        "libs/runtime",
        "libs/ledger",
        "libs/kafka_access",
        "libs/partner_messages",
        "deploy/local",
        "services/*",
    )
    found_members = (member for folder in folders for member in sorted(CHECKOUT.glob(folder)))
    members = [member for member in found_members if not _has_locked_group(member)]
    return _closure([one for member in members for one in requirements_of(member)], found)


def _has_locked_group(member: Path) -> bool:
    """Whether a member is a service of a group that has packages of its own."""
    file = member / "service.toml"
    group = tomllib.loads(file.read_text()).get("group") if file.exists() else None
    return group is not None and (LOCKS_FOLDER / f"{group}.lock").exists()


def _extras_of(service: Path) -> list[Requirement]:
    """What the extras of our libraries need that a service names, without the runtime's."""
    declared = map(Requirement, project_of(service).get("dependencies", ()))
    return [
        Requirement(text)
        for one in declared
        if one.name in _MEMBERS and one.name != _RUNTIME
        for extra in one.extras
        for text in project_of(CHECKOUT / "libs" / one.name.replace("-", "_"))[
            "optional-dependencies"
        ][extra]
    ]


def requirements_of(member: Path) -> list[Requirement]:
    """The dependencies that a workspace member declares, with those of the runtime's extras."""
    declared = [Requirement(text) for text in project_of(member).get("dependencies", ())]
    optional = project_of(CHECKOUT / "libs" / "runtime").get("optional-dependencies", {})
    extras = (extra for one in declared if one.name == _RUNTIME for extra in one.extras)
    return declared + [Requirement(text) for extra in extras for text in optional[extra]]


def project_of(member: Path) -> dict[str, Any]:
    """The `[project]` table of a workspace member; empty without a pyproject.toml."""
    file = member / "pyproject.toml"
    project: dict[str, Any] = tomllib.loads(file.read_text())["project"] if file.exists() else {}
    return project


def requirements_of_tests(member: Path) -> list[Requirement]:
    """What a member's tests need beside it: its dependency group `tests` (PEP 735)."""
    file = member / "pyproject.toml"
    groups = tomllib.loads(file.read_text()).get("dependency-groups", {}) if file.exists() else {}
    return [Requirement(text) for text in groups.get("tests", ())]


def beyond_the_core(
    inventory: Inventory,
    group: str,
    checkout: Path = CHECKOUT,
    needed: Callable[[Path], list[Requirement]] = requirements_of,
) -> list[str]:
    """The requirements of a group's services, by `needed`, that requirements.lock lacks."""
    there = {*blocks(), *_MEMBERS}
    packages = {one.package for one in inventory.of_groups([group])}
    declared = (r for package in packages for r in needed(checkout / "services" / package))
    return sorted(str(one) for one in declared if canonicalize_name(one.name) not in there)


def lock_group(inventory: Inventory, group: str) -> list[Path]:
    """Write a group's locks, with the core's versions of shared packages; return those it needs."""
    file, of_tests = LOCKS_FOLDER / f"{group}.lock", LOCKS_FOLDER / f"{group}-tests.lock"
    wanted = beyond_the_core(inventory, group)
    for_tests = beyond_the_core(inventory, group, needed=requirements_of_tests)
    own = _write_lock([file], wanted, blocks())
    beside = _write_lock(
        [of_tests, file], [*wanted, *for_tests] if for_tests else (), blocks() | own
    )
    return [path for path, found in ((file, own), (of_tests, beside)) if found]


def lock_training(inventory: Inventory) -> Path:
    """Write the lock of what training needs beyond the group of the service that it is for."""
    group = inventory.service(TRAINED_FOR).group
    file, of_group = TRAINING / "requirements.lock", LOCKS_FOLDER / f"{group}.lock"
    there = blocks() | blocks(of_group.read_text())
    wanted = [str(one) for one in requirements_of(TRAINING) if one.name not in _OURS]
    _write_lock([file, of_group], wanted, there)
    return file


def _write_lock(
    files: Sequence[Path], wanted: Sequence[str], there: Mapping[str, str]
) -> dict[str, str]:
    """Write the closure of requirements without what is there to the first file.

    Versions of all files are kept. No file is left where nothing is needed.
    """
    file = files[0]
    found = blocks(_compiled(wanted, files)) if wanted else {}
    added = {name: block for name, block in found.items() if name not in there}
    if added:
        file.write_text(_GROUP_HEADER + "".join(added[name] for name in sorted(added)))
    else:
        file.unlink(missing_ok=True)
    return added


def _compiled(wanted: Iterable[str], present: Iterable[Path]) -> str:
    """The hash-pinned closure of requirements; locked versions are kept."""
    options = ["--generate-hashes", "--no-header", "--no-annotate", "--python-version", "3.11"]
    kept = ["--constraint", str(LOCK_FILE)]
    kept += [text for file in present if file.exists() for text in ("--constraint", str(file))]
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
            waiting.extend(needs(*step))
    return {name for name, _ in seen}


def needs(name: str, extra: str) -> list[tuple[str, str]]:
    """What an installed package needs with an extra: names, each with the extras asked of it."""
    needed = [Requirement(text) for text in distribution(name).requires or ()]
    return [
        (canonicalize_name(one.name), also)
        for one in needed
        if one.marker is None or one.marker.evaluate({"extra": extra})
        for also in ("", *one.extras)
    ]


def blocks(text: str | None = None) -> dict[str, str]:
    """Each package's lines in a lock (the core's), by canonical name, without the comments."""
    found: dict[str, str] = {}
    name = ""
    for line in (text or LOCK_FILE.read_text()).splitlines(keepends=True):
        if line.lstrip().startswith("#"):
            continue
        if not line.startswith(" "):
            name = canonicalize_name(line.partition("==")[0])
            found[name] = ""
        found[name] += line
    if not found:
        raise StackError("the lock holds no packages")
    return found
