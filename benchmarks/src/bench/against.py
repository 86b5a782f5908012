"""This revision against another one: windows of both in turn, so that both meet the same machine.

Each revision runs its own system, driven by its own generator, both up for the whole run. A round
measures each once, and which goes first alternates. A ratio is taken within a round.
"""

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median

from bench import standing
from bench.errors import BenchmarkError
from bench.report import table
from bench.scenarios import Scenario, closed, opened
from bench.system import Tell
from local_stack.layout import CHECKOUT, cache_folder

WINDOW = {"warm_s": 2.0, "seconds": 6.0}
COMPARED = (*(closed(n, **WINDOW) for n in (256, 100, 64, 1)), opened(500, **WINDOW))
FIGURES = ("rate", "cpu_us", "p50_ms", "p99_ms")
OTHER_FURTHER = 1_300
"""How far the other revision's ports lie behind this one's."""
READY_WITHIN_S = 300
WINDOW_WITHIN_S = 600
"""A window, its rest and the messages of the window before."""
SETUP_WITHIN_S = 1200

Figures = Mapping[str, float]


def against(offset: int, tell: Tell) -> None:
    """Compare with revision REF, over ROUNDS rounds of each scenario; ONLY names one of them.

    Raises BenchmarkError where a setting is wrong or a window does not count.
    """
    rounds, scenarios = _rounds(os.environ.get("ROUNDS") or "5"), _only(os.environ.get("ONLY", ""))
    commit = _commit(os.environ.get("REF", ""))
    other = checkout(commit, tell)
    with ExitStack() as undo:
        systems = {
            "this": undo.enter_context(_standing(CHECKOUT, offset)),
            commit[:7]: undo.enter_context(_standing(other, offset + OTHER_FURTHER)),
        }
        for scenario in scenarios:
            pairs = [_round(systems, scenario, number) for number in range(rounds)]
            tell(f"{scenario.name}: {rounds} rounds\n{comparison(pairs, list(systems))}")


def _rounds(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 50:
        raise BenchmarkError(f"ROUNDS must be a number from 1 to 50, not {text!r}")
    return int(text)


def _only(name: str) -> list[Scenario]:
    found = [one for one in COMPARED if name in ("", one.name)]
    if not found:
        names = ", ".join(one.name for one in COMPARED)
        raise BenchmarkError(f"ONLY must be one of {names}, not {name!r}")
    return found


def _commit(ref: str) -> str:
    found = _git("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}") if ref else None
    if found is None or found.returncode:
        raise BenchmarkError(f"REF must be a commit of this repository, not {ref!r}: REF=75c4bc5")
    return found.stdout.strip()


def checkout(commit: str, tell: Tell) -> Path:
    """Return a folder with the revision, set up; built once, beside the caches."""
    folder = cache_folder() / "revisions" / commit
    if not (folder / "built").exists():
        tell(f"building {commit[:7]} in {folder}")
        _git("clone", "--quiet", "--no-checkout", str(CHECKOUT), str(folder))
        for command in (["git", "checkout", "--quiet", commit], ["make", "setup"]):
            done = subprocess.run(command, cwd=folder, timeout=SETUP_WITHIN_S, check=False)
            if done.returncode:
                raise BenchmarkError(f"{' '.join(command)} failed in {folder}: run it there")
        (folder / "built").touch()
    return folder


def _git(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["git", "-C", str(CHECKOUT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@contextmanager
def _standing(root: Path, offset: int) -> Iterator["subprocess.Popen[str]"]:
    """Keep a revision's system up; end it, and wait until it is down."""
    command = [str(root / ".venv/bin/python"), "-P", standing.__file__, str(offset)]
    process = subprocess.Popen(
        command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        _reply(process, READY_WITHIN_S)
        yield process
    finally:
        process.communicate(timeout=READY_WITHIN_S)


def _reply(process: "subprocess.Popen[str]", within_s: float) -> dict[str, object]:
    stdout = process.stdout
    assert stdout is not None  # noqa: S101
    if not select.select([stdout], [], [], within_s)[0]:
        raise BenchmarkError(f"no figures within {within_s:.0f} s: see the lines above")
    line = stdout.readline()
    if not line:
        raise BenchmarkError("a system ended: see the lines above")
    reply: dict[str, object] = json.loads(line)
    return reply


def _round(
    systems: Mapping[str, "subprocess.Popen[str]"], scenario: Scenario, number: int
) -> dict[str, Figures]:
    """Measure each system once; the order alternates."""
    names = list(systems) if number % 2 == 0 else list(systems)[::-1]
    return {
        name: _window(systems[name], replace(scenario, name=f"{scenario.name} {number}"))
        for name in names
    }


def _window(process: "subprocess.Popen[str]", scenario: Scenario) -> Figures:
    assert process.stdin is not None  # noqa: S101
    print(json.dumps(asdict(scenario)), file=process.stdin, flush=True)
    figures = _reply(process, WINDOW_WITHIN_S)
    if faults := figures.pop("faults"):
        raise BenchmarkError(f"{scenario.name} does not count: {faults}")
    return {name: float(str(value)) for name, value in figures.items()}


def comparison(pairs: Sequence[Mapping[str, Figures]], names: Sequence[str]) -> str:
    """Return medians of both, and the ratio's median with its least and greatest."""
    this, other = names
    rows = []
    for figure in FIGURES:
        ratios = sorted(pair[this][figure] / pair[other][figure] for pair in pairs)
        medians = (median(pair[name][figure] for pair in pairs) for name in names)
        rows.append(
            (
                figure,
                *(f"{value:,.1f}" for value in medians),
                f"{median(ratios):.2f}",
                f"{ratios[0]:.2f} to {ratios[-1]:.2f}",
            )
        )
    return table(("median", *names, "ratio", "from … to"), rows)


if __name__ == "__main__":
    sys.exit("use `make bench-against REF=…`")
