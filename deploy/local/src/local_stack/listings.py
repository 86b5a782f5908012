"""Lists of services: docs/services.md, and marked parts of pyproject.toml and prometheus.yml.

A part begins with a comment `services: NAME` and ends with `end of services`.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from kafka_access.partners import Names, rights_of
from kafka_access.rules import EVERY, Right
from local_stack.compose import target_of
from local_stack.inventory import Inventory, Service
from local_stack.layout import CHECKOUT
from local_stack.rights import principals, rights
from local_stack.topics import topics_of

_BLOCK = re.compile(
    r"^(?P<indent> *)(?P<open>\S+ services: (?P<name>\w+).*\n)"
    r"(?:.*\n)*?(?P<close>.*end of services)",
    re.MULTILINE,
)
_ONE = Names("PARTNER")
"""Stands for each partner bank."""
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
    rights_file = CHECKOUT / "docs" / "rights.md"
    marked[rights_file] = {"rights": _right_rows(inventory), "groups": _group_rows(inventory)}
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


def _right_rows(inventory: Inventory) -> list[str]:
    """Who may write and read each topic, as rows of a table."""
    allowed, users = _all_rights(inventory), (*principals(inventory), _ONE.principal)

    def who(name: str, operation: str) -> str:
        found = {
            one.principal
            for one in allowed
            if (one.resource, one.operation) == ("topic", operation) and one.covers(name)
        }
        return ", ".join(user for user in users if user in found) or "nobody"

    names = [topic.name for topic in topics_of(inventory)]
    names += [_ONE.instructions, _ONE.reports, _ONE.refused]
    rows = [(f"`{name}`", who(name, "WRITE"), who(name, "READ")) for name in names]
    return _table(("topic", "may write", "may read"), rows).splitlines()


def _group_rows(inventory: Inventory) -> list[str]:
    others = [
        one
        for one in sorted(_all_rights(inventory))
        if one.resource != "topic" or one.name == EVERY
    ]
    rows = [(one.principal, one.operation, one.resource, f"`{one.name}`") for one in others]
    return _table(("principal", "operation", "on", "name"), rows).splitlines()


def _all_rights(inventory: Inventory) -> frozenset[Right]:
    """The rights of the manifests, and those of a partner."""
    return rights(inventory) | rights_of(_ONE.partner)


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
