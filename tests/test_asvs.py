"""docs/asvs.md: each requirement once, and what the table names exists."""

import csv
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import NamedTuple

from local_stack.credentials import secret_names
from local_stack.inventory import load_inventory

ROOT = Path(__file__).parent.parent
DOCUMENT = (ROOT / "docs/asvs.md").read_text()
STATUSES = ("met", "not met", "operator", "not applicable")


class Row(NamedTuple):
    """A requirement."""

    id: str
    level: str
    words: str
    status: str
    where: str
    test: str

    @property
    def kind(self) -> str:
        """The first word or words of the status."""
        return max((one for one in STATUSES if self.status.startswith(one)), key=len, default="")

    @property
    def is_about_a_document(self) -> bool:
        """Whether it is met by what is written."""
        names = quoted(self.where)
        return bool(names) and all(name.endswith(("README.md", "json", ".md")) for name in names)


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


ROWS = [Row(*cells(line)) for line in DOCUMENT.splitlines() if re.match(r"\| \d+\.\d+\.\d+ ", line)]


@cache
def files() -> tuple[str, ...]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return tuple(name for name in listed.stdout.splitlines() if (ROOT / name).is_file())


def found(name: str) -> list[str]:
    """The files with that path, or whose path ends so."""
    return [name] if name in files() else [one for one in files() if one.endswith(f"/{name}")]


def settings() -> Iterator[str]:
    for path in (ROOT / "docs/services.md", *ROOT.glob("services/*/README.md")):
        yield from re.findall(r"`([A-Z][A-Z0-9_]+)`", path.read_text())


def test_each_requirement_is_there_once_with_its_level():
    with (ROOT / "tests/asvs-5.0.0.csv").open() as file:
        expected = [(row["id"].removeprefix("V"), row["level"]) for row in csv.DictReader(file)]
    assert len(expected) == 253
    assert [(row.id, row.level) for row in ROWS] == expected


def test_each_requirement_has_a_status_and_what_is_missing_an_issue():
    assert [row.id for row in ROWS if not row.kind or not row.words] == []
    unnamed = [row for row in ROWS if row.kind != "met" and not re.search(r": \S", row.status)]
    assert unnamed == []
    missing = [row for row in ROWS if row.kind == "not met" and "issue" not in row.status]
    assert missing == []


def test_the_summary_counts_the_table():
    for level in "12":
        counted = Counter(row.kind for row in ROWS if row.level == level)
        line = " | ".join(str(counted[status]) for status in STATUSES)
        assert f"| L{level} | {line} | {counted.total()} |" in DOCUMENT


def test_every_file_and_setting_that_a_requirement_names_exists():
    named = {name for row in ROWS for name in quoted(row.where)}
    written_as_settings = {name for name in named if re.fullmatch(r"[A-Z][A-Z0-9_]+", name)}
    assert written_as_settings - set(settings()) == set()
    files_named = named - written_as_settings
    assert {name: found(name) for name in files_named if len(found(name)) != 1} == {}


def test_every_test_that_a_requirement_names_exists():
    missing = []
    for row in ROWS:
        for file, _, test in (name.partition("::") for name in quoted(row.test)):
            text = "\n".join((ROOT / path).read_text() for path in found(file))
            if len(re.findall(rf"(?m)^(?:async )?def {test}\(", text)) != 1:
                missing.append((row.id, f"{file}::{test}"))
    assert missing == []


def test_what_is_met_is_shown_by_a_test_or_written_down():
    unshown = [row.id for row in ROWS if row.kind == "met" and not row.test]
    assert [row.id for row in ROWS if row.id in unshown and not row.is_about_a_document] == []


def test_every_secret_of_the_stack_is_in_the_inventory():
    section = DOCUMENT.partition("## Keys")[2].partition("\n## ")[0]
    names = [
        name for line in section.splitlines() if line[:1] == "|" for name in quoted(cells(line)[0])
    ]
    assert [
        secret
        for secret in secret_names(load_inventory())
        if not any(fnmatch(secret, name) for name in names)
    ] == []
