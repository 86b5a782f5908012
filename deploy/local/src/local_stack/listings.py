"""Lists of services: docs/services.md, and marked parts of pyproject.toml and prometheus.yml.

A part begins with a comment `services: NAME` and ends with `end of services`.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from local_stack.compose import target_of
from local_stack.inventory import Inventory, Service
from local_stack.layout import CHECKOUT

_BLOCK = re.compile(
    r"^(?P<indent> *)(?P<open>\S+ services: (?P<name>\w+).*\n)"
    r"(?:.*\n)*?(?P<close>.*end of services)",
    re.MULTILINE,
)
_HEADER = """\
# Services and settings

Generated from services/*/service.toml and deploy/stack.yaml: `make generate`. Instance *n* of a
service listens 1,000·*n* higher. How they work together:
[architecture](architecture.md). Topics: [events](events/README.md).
"""


def listing_files(inventory: Inventory) -> dict[Path, str]:
    """The text of each file that lists services."""
    marked = {
        CHECKOUT / "pyproject.toml": _packages(inventory),
        CHECKOUT / "prometheus.yml": _targets(inventory),
    }
    filled = {path: fill(path.read_text(), blocks) for path, blocks in marked.items()}
    return filled | {CHECKOUT / "docs" / "services.md": _document(inventory)}


def fill(text: str, blocks: Mapping[str, Iterable[str]]) -> str:
    """Replace the marked parts by lines, indented as the mark is."""

    def lines(found: re.Match[str]) -> str:
        body = "".join(f"{found['indent']}{line}\n" for line in blocks[found["name"]])
        return f"{found['indent']}{found['open']}{body}{found['close']}"

    return _BLOCK.sub(lines, text)


def _packages(inventory: Inventory) -> dict[str, list[str]]:
    """For the import contracts: all packages, one layer of them, and those with usual modules."""
    names = inventory.packages
    usual = [name for name in names if name not in _with_own_contracts()]
    return {
        "packages": [f'"{name}",' for name in names],
        "beside": [f'"{" | ".join((*names, "testkit"))}",'],
        "usual": [f'"{name}",' for name in usual],
    }


def _with_own_contracts() -> set[str]:
    """Packages for which a contract in pyproject.toml names other modules."""
    document = tomllib.loads(_BLOCK.sub("", (CHECKOUT / "pyproject.toml").read_text()))
    contracts = document["tool"]["importlinter"]["contracts"]
    return {name.partition(".")[0] for one in contracts for name in one.get("containers", ())}


def _targets(inventory: Inventory) -> dict[str, list[str]]:
    """Prometheus' targets: the core. Those of other groups are added when they start."""
    return {"targets": [f"- {target_of(one)}" for one in inventory.core if not one.mock]}


def _document(inventory: Inventory) -> str:
    parts = {
        "Services": _table(
            ("service", "group", "port", "needs", "purpose"), _service_rows(inventory)
        ),
        "Settings": _table(("setting", "processes", "meaning"), _setting_rows(inventory)),
    }
    return _HEADER + "".join(f"\n## {title}\n\n{table}" for title, table in parts.items())


def _table(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    titles = tuple(titles)
    lines = [titles, ["---"] * len(titles), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _service_rows(inventory: Inventory) -> Iterator[tuple[str, ...]]:
    for one in inventory.services.values():
        needs = ", ".join(one.needs) or "none"
        yield f"`{one.name}`", one.group, str(one.port), needs, _purpose(one)


def _purpose(service: Service) -> str:
    if service.name != service.package:
        return f"[{service.package}](../services/{service.package}/README.md)"
    file = CHECKOUT / "services" / service.package / "pyproject.toml"
    purpose = tomllib.loads(file.read_text())["project"]["description"]
    return f"[{purpose}](../services/{service.package}/README.md)"


def _setting_rows(inventory: Inventory) -> Iterator[tuple[str, ...]]:
    for name, meaning in inventory.meanings.items():
        yield f"`{name}`", inventory.readers_of(name), meaning.replace("|", "\\|")
