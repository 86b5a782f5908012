"""Known vulnerabilities of the locked packages, by pip-audit: clean, vulnerable, or not audited.

pip-audit says "no known vulnerabilities" also where it skipped every package, so its own verdict is
not used: a lock is clean only where each of its packages was looked up.
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from local_stack import locks
from local_stack.layout import CHECKOUT

CLEAN, VULNERABLE, NOT_AUDITED = 0, 1, 2
_WITHIN_S = 600
_PROGRAM = Path(sys.executable).with_name("pip-audit")
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known about the packages of one lock."""

    status: int
    lines: tuple[str, ...]


def main() -> int:
    """Audit every lock. Returns the status of the worst: 1 before 2 before 0."""
    verdicts = [audited(lock) for lock in lock_files()]
    print(*(line for one in verdicts for line in one.lines), sep="\n")
    found = {one.status for one in verdicts}
    return next(one for one in (VULNERABLE, NOT_AUDITED, CLEAN) if one in found)


def lock_files() -> list[Path]:
    """The core's lock and those of the groups."""
    return [locks.LOCK_FILE, *sorted(locks.LOCKS_FOLDER.glob("*.lock"))]


def audited(lock: Path, program: Path = _PROGRAM) -> Verdict:
    """Ask about each package of a lock."""
    name, expected = lock.name, set(locks.blocks(lock.read_text()))
    options = ["--disable-pip", "--require-hashes", "--progress-spinner=off", "--format=json"]
    try:
        done = subprocess.run(
            [program, *options, "--requirement", lock],
            check=False,
            capture_output=True,
            text=True,
            timeout=_WITHIN_S,
            cwd=CHECKOUT,
        )
        answers = json.loads(done.stdout)["dependencies"]
    except subprocess.TimeoutExpired:
        return _unknown(name, f"no answer within {_WITHIN_S} s")
    except (ValueError, KeyError, TypeError):
        return _unknown(name, (done.stderr.strip().splitlines() or ["no answer"])[-1])
    return judged(name, expected, answers)


def judged(name: str, expected: set[str], answers: Iterable[dict[str, Any]]) -> Verdict:
    """The verdict on a lock, from pip-audit's answer about each package."""
    asked: dict[str, dict[str, Any]] = {canonicalize_name(one["name"]): one for one in answers}
    known = tuple(f"{name}: {line}" for one in asked.values() for line in _vulnerabilities(one))
    skipped = {
        one: asked[one]["skip_reason"] if one in asked else "no answer about it"
        for one in sorted(expected)
        if one not in asked or "skip_reason" in asked[one]
    }
    if skipped:
        first = "; ".join(f"{one}: {why}" for one, why in list(skipped.items())[:_SHOWN])
        unknown = _unknown(name, f"{len(skipped)} of {len(expected)} packages skipped: {first}")
        return Verdict(VULNERABLE, known + unknown.lines) if known else unknown
    if known:
        return Verdict(VULNERABLE, known)
    return Verdict(CLEAN, (f"{name}: audited {len(expected)} packages, no known vulnerability",))


def _vulnerabilities(package: dict[str, Any]) -> Iterator[str]:
    for one in package.get("vulns", ()):
        fixed = ", ".join(one["fix_versions"]) or "no version yet"
        yield f"{package['name']} {package['version']}: {one['id']}, fixed in {fixed}"


def _unknown(name: str, why: str) -> Verdict:
    return Verdict(NOT_AUDITED, (f"{name}: not audited: {why}",))
