"""`make new-service`: write a service of a kind from deploy/templates, with no edit elsewhere."""

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from keyword import iskeyword
from pathlib import Path

from local_stack.errors import StackError
from local_stack.inventory import ALL, Inventory
from local_stack.layout import CHECKOUT
from local_stack.manifests import NAME

TEMPLATES = CHECKOUT / "deploy" / "templates"
COMMON = "common"
EVENTS_FILE = "events.py"
PORTS = range(3100, 4000)
"""The ports for new services. Instance n listens 1,000·n higher."""


@dataclass(frozen=True, slots=True)
class NewService:
    """The validated arguments."""

    name: str
    group: str
    kind: str
    port: int


def kinds() -> tuple[str, ...]:
    """The kinds of service; each has a template."""
    return tuple(sorted(one.name for one in TEMPLATES.iterdir() if one.name != COMMON))


def checked(fields: tuple[str, str, str], port: str, inventory: Inventory) -> NewService:
    """Validate NAME, GROUP, KIND and PORT (empty: the first free). Raises StackError."""
    name, group, kind = fields
    if not re.match(NAME, name) or iskeyword(name):
        raise StackError(f"NAME: {name!r} must be 2 to 31 small letters and underscores")
    if name in inventory.services or (CHECKOUT / "services" / name).exists():
        raise StackError(f"NAME: the service {name} exists already")
    if find_spec(name) is not None:
        raise StackError(f"NAME: {name} is the name of a Python package")
    if not re.match(NAME, group) or group == ALL:
        known = ", ".join(inventory.groups)
        raise StackError(f"GROUP: {group!r} must be a name, a new one or one of {known}")
    if kind not in kinds():
        raise StackError(f"KIND: {kind!r} must be one of {', '.join(kinds())}")
    return NewService(name, group, kind, _port(port, inventory))


def _port(text: str, inventory: Inventory) -> int:
    taken = {one.port: one.name for one in inventory.services.values()}
    taken |= {port: name for name, port in inventory.ports.items()}
    if not text:
        return next(port for port in PORTS if port not in taken)
    if not text.isdigit() or not 1024 <= int(text) <= 9999:
        raise StackError(f"PORT: {text!r} must be a number from 1024 to 9999")
    if int(text) in taken:
        raise StackError(f"PORT: {text} is that of {taken[int(text)]}")
    return int(text)


def write(service: NewService) -> list[Path]:
    """Write the service's files. Returns them."""
    written = []
    for source, target in _files(service):
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_named(source.read_text(), service))
        written.append(target)
    _tidy(one for one in written if one.suffix == ".py")
    return written


def _files(service: NewService) -> Iterator[tuple[Path, Path]]:
    """Each template file and the file to write, common ones first."""
    for folder in (TEMPLATES / COMMON, TEMPLATES / service.kind):
        for source in sorted(path for path in folder.rglob("*") if path.is_file()):
            inside = _named(str(source.relative_to(folder)), service)
            if "__pycache__" in inside:
                continue
            if inside == EVENTS_FILE:
                events = CHECKOUT / "libs/schemas/src/payment_schemas/events"
                yield source, events / f"{service.name}.py"
            else:
                yield source, CHECKOUT / "services" / service.name / inside


def _named(text: str, service: NewService) -> str:
    """Replace the placeholders; a template is a service called `sample`."""
    words = {
        "sample-group": service.group,
        "sample-topic": service.name.replace("_", "-"),
        '"sample-port"': str(service.port),
        '"sample-dependencies"': ", ".join(f'"{name}"' for name in _dependencies(service)),
        "SampleService": "".join(part.capitalize() for part in service.name.split("_")),
        "sample": service.name,
    }
    return re.sub("|".join(words), lambda found: words[found[0]], text)


def _dependencies(service: NewService) -> Iterator[str]:
    """The packages that a template imports."""
    folders = (TEMPLATES / COMMON / "src", TEMPLATES / service.kind / "src")
    text = "".join(file.read_text() for folder in folders for file in folder.rglob("*.py"))
    for name in ("payment-schemas", "service-runtime", "fastapi", "pydantic"):
        if f"from {name.replace('-', '_')}" in text:
            is_s3 = name == "service-runtime" and "service_runtime.storage" in text
            yield f"{name}[s3]" if is_s3 else name


def _tidy(files: Iterable[Path]) -> None:
    """Sort imports and format lines, which depend on the service's name."""
    names = [str(file) for file in files]
    ruff = str(Path(sys.executable).with_name("ruff"))
    for command in (["check", "-q", "--fix-only"], ["format", "-q"]):
        subprocess.run([ruff, *command, *names], check=True, cwd=CHECKOUT, timeout=60)
