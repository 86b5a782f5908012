"""The search for secrets in the files that git holds or would add, by detect-secrets.

Exceptions are in pyproject.toml, `[[tool.secret-scan.exceptions]]`: files, a pattern of the found
value and the reason. One that matches nothing any more is an error, too.
"""

import hashlib
import json
import re
import subprocess
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib.metadata import version
from pathlib import Path

from detect_secrets.core import scan
from detect_secrets.settings import default_settings

from local_stack.errors import StackError
from local_stack.layout import CHECKOUT

# Hashes of packages and jars, by the thousand, and pictures.
REMEMBERED = CHECKOUT / "build" / "secret-scan.json"
_UNREAD = {".lock", ".sha256", ".png", ".svg"}
_LIST_WITHIN_S = 30


@dataclass(frozen=True, slots=True)
class Found:
    """A value that looks like a secret."""

    file: str
    line: int
    kind: str
    value: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.kind}"


@dataclass(frozen=True, slots=True)
class Excepted:
    """Values that are no secrets, and why."""

    files: str
    value: re.Pattern[str]
    reason: str

    def covers(self, found: Found) -> bool:
        """Whether the exception is about this value."""
        return fnmatch(found.file, self.files) and self.value.fullmatch(found.value) is not None


def main() -> int:
    """Search the checkout; print what is found, without the values."""
    excepted = exceptions()
    with remembered() as clean:
        found = list(search(tracked(), CHECKOUT, clean))
    unexplained = [one for one in found if not any(each.covers(one) for each in excepted)]
    unused = [each for each in excepted if not any(each.covers(one) for one in found)]
    for one in unexplained:
        print(f"{one} (a secret, or an exception in pyproject.toml with its reason)")
    for each in unused:
        print(f"pyproject.toml: [tool.secret-scan]: nothing in {each.files!r} needs this exception")
    return 1 if unexplained or unused else 0


def exceptions(checkout: Path = CHECKOUT) -> list[Excepted]:
    """The exceptions of pyproject.toml. Raises StackError for one without a reason."""
    tool = tomllib.loads((checkout / "pyproject.toml").read_text())["tool"]
    found = []
    for number, one in enumerate(tool["secret-scan"]["exceptions"]):
        if not one.get("reason"):
            raise StackError(f"pyproject.toml: tool.secret-scan.exceptions[{number}]: no reason")
        found.append(Excepted(one["files"], re.compile(one["value"]), one["reason"]))
    return found


def tracked(checkout: Path = CHECKOUT) -> Iterator[Path]:
    """The files that git holds or would add."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "-co", "--exclude-standard"],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=True,
        timeout=_LIST_WITHIN_S,
    )
    yield from (checkout / name for name in filter(None, listed.stdout.split("\0")))


def search(files: Iterable[Path], checkout: Path, clean: set[str]) -> Iterator[Found]:
    """Every value in the files that looks like a secret. Asks nobody whether one is in use.

    `clean` holds the digests of files in which none was found, and grows.
    """
    with default_settings():
        for file in files:
            if file.suffix in _UNREAD or not file.is_file():
                continue
            name = str(file.relative_to(checkout))
            digest = hashlib.sha256(name.encode() + file.read_bytes()).hexdigest()
            if digest not in clean:
                found = [
                    Found(name, one.line_number, one.type, one.secret_value or "")
                    for one in scan.scan_file(str(file))
                ]
                yield from found
                clean.update([digest] * (not found))


@contextmanager
def remembered(file: Path = REMEMBERED) -> Iterator[set[str]]:
    """The digests of clean files, kept from run to run of one version of detect-secrets."""
    by = version("detect-secrets")
    kept = json.loads(file.read_text()) if file.exists() else {}
    clean = set(kept.get(by, ()))
    yield clean
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({by: sorted(clean)}))
