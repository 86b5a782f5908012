"""This revision against another one: windows of both in turn, so that both meet the same machine.

Each revision runs its own system and is driven by its own generator; the services of the one are
stopped (SIGSTOP) during the windows of the other. A ratio is taken within a round.
"""

import json
import os
import select
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from statistics import median
from typing import Any

from bench import documents, machine, standing
from bench.errors import BenchmarkError
from bench.report import table
from bench.results import FOLDER, PERFORMANCE
from bench.scenarios import Scenario, closed, opened
from bench.settings import number_of
from bench.system import Tell
from local_stack.layout import CHECKOUT, cache_folder
from local_stack.waiting import now_s

WINDOW = {"warm_s": 1.5, "seconds": 5.0}
COMPARED = (*(closed(n, **WINDOW) for n in (256, 100, 64, 16, 1)), opened(500, **WINDOW))
AFTER_A_STOP = Scenario("continued", in_flight=16, warm_s=0.0, seconds=1.5)
"""Its members left the consumer groups; not measured."""
FIGURES = ("rate", "cpu_us", "p50_ms", "p99_ms", "settled_p99_ms")
TITLES = ("payments/s", "CPU µs", "p50 ms", "p99 ms", "settled p99 ms")
OTHER_FURTHER = 1_300
"""How far the other revision's ports lie behind this one's."""
READY_WITHIN_S = 300
WINDOW_WITHIN_S = 600
"""A window, its rest and the messages of the window before."""
SETUP_WITHIN_S = 1200
RESULTS = FOLDER / "RESULTS-AGAINST.md"
COMMAND = "make bench-against"

Figures = Mapping[str, Any]
Pair = Mapping[str, Figures]
"""The figures of both revisions in one round, by name."""


def against(offset: int, tell: Tell) -> None:
    """Compare with revision REF, over ROUNDS rounds of each scenario; ONLY names one of them.

    Raises BenchmarkError where a setting is wrong or a window does not count.
    """
    rounds, scenarios = number_of("ROUNDS", 3, 50), _only(os.environ.get("ONLY", ""))
    commit = _commit(os.environ.get("REF", ""))
    other = checkout(commit, tell)
    with ExitStack() as undo:
        systems = [
            undo.enter_context(_standing("this", CHECKOUT, offset)),
            undo.enter_context(_standing(commit[:7], other, offset + OTHER_FURTHER)),
        ]
        pairs = _pairs(systems, scenarios, rounds, tell)
    shown = comparison(pairs, commit[:7])
    tell(f"\n{shown}")
    if scenarios == list(COMPARED):
        about = table(("", ""), machine.description())
        RESULTS.write_text(f"# Results of `{COMMAND}`\n\n{about}\n{shown}")
        documents.fill(PERFORMANCE, COMMAND, shown)


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


@dataclass(slots=True)
class Standing:
    """A revision's system, which is up until the end."""

    name: str
    process: "subprocess.Popen[str]"
    log: Path
    is_stopped: bool = False

    def ask(self, message: object, within_s: float = READY_WITHIN_S) -> dict[str, Any]:
        """Send a message, and return the reply."""
        assert self.process.stdin is not None  # noqa: S101
        print(json.dumps(message), file=self.process.stdin, flush=True)
        return self.reply(within_s)

    def reply(self, within_s: float) -> dict[str, Any]:
        """Return the next reply. Raises BenchmarkError without one."""
        stdout = self.process.stdout
        assert stdout is not None  # noqa: S101
        if not select.select([stdout], [], [], within_s)[0]:
            raise BenchmarkError(f"{self.name}: no reply in {within_s:.0f} s; next: see {self.log}")
        line = stdout.readline()
        if not line:
            raise BenchmarkError(f"{self.name}: its system ended; next: see {self.log}")
        found: dict[str, Any] = json.loads(line)
        return found

    def stop(self) -> None:
        """Stop the services, so that they take no CPU from the other system."""
        if not self.is_stopped:
            self.ask("stop", WINDOW_WITHIN_S)
            self.is_stopped = True

    def resume(self) -> None:
        """Continue the services and wait until they process payments again."""
        if self.is_stopped:
            self.ask("continue")
            name = f"{AFTER_A_STOP.name} {now_s():.0f}"
            self.ask(what_is_set(replace(AFTER_A_STOP, name=name)), WINDOW_WITHIN_S)
            self.is_stopped = False


@contextmanager
def _standing(name: str, root: Path, offset: int) -> Iterator[Standing]:
    """Keep a revision's system up; end it, and wait until it is down."""
    command = [str(root / ".venv/bin/python"), "-P", standing.__file__, str(offset)]
    log = cache_folder() / "revisions" / f"{name}.log"
    with log.open("w") as written:
        process = subprocess.Popen(
            command,
            cwd=root,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=written,
            text=True,
        )
    try:
        system = Standing(name, process, log)
        system.reply(READY_WITHIN_S)
        system.stop()
        yield system
    finally:
        process.communicate(timeout=READY_WITHIN_S)


def _pairs(
    systems: Sequence[Standing], scenarios: Sequence[Scenario], rounds: int, tell: Tell
) -> dict[str, list[Pair]]:
    """Measure both systems in each round of each scenario.

    Which goes first alternates from pair to pair, so only every other window needs a switch; and
    from round to round, so that no scenario has always the same one first.
    """
    pairs: dict[str, list[Pair]] = {one.name: [] for one in scenarios}
    for number in range(rounds):
        for place, scenario in enumerate(scenarios):
            order = systems if (number + place) % 2 == 0 else systems[::-1]
            named = replace(scenario, name=f"{scenario.name} {number}")
            pairs[scenario.name].append(
                {one.name: _window(one, systems, named, tell) for one in order}
            )
    return pairs


def _window(
    system: Standing, systems: Sequence[Standing], scenario: Scenario, tell: Tell
) -> Figures:
    for other in systems:
        if other is not system:
            other.stop()
    system.resume()
    figures = system.ask(what_is_set(scenario), WINDOW_WITHIN_S)
    if faults := figures["faults"]:
        raise BenchmarkError(f"{system.name}: {scenario.name} does not count: {faults}")
    tell(
        f"{system.name:>7}, {scenario.name}: {figures['rate']:.0f}/s,"
        f" p50 {figures['p50_ms']:.0f} ms, {figures['cpu_us']:.0f} µs; gate: {figures['payments']}"
        f" payments settled once, no lag after {figures['rest_s']:.1f} s, ledger 0"
    )
    return figures


def what_is_set(scenario: Scenario) -> dict[str, object]:
    """Return the fields that differ from their defaults: an older revision may lack the others."""
    found = {one.name: getattr(scenario, one.name) for one in fields(scenario)}
    return {one.name: found[one.name] for one in fields(scenario) if found[one.name] != one.default}


def comparison(pairs: Mapping[str, Sequence[Pair]], other: str) -> str:
    """Return a page: ratios with least and greatest, medians of both, CPU by process of both."""
    rounds = len(next(iter(pairs.values())))
    return (
        f"`this` against `{other}`, {rounds} windows of {WINDOW['seconds']:.0f} s each in turn,"
        " each revision driven by its own generator while the other's services are stopped."
        " Every window's gate holds. Ratio: median of the rounds (least … greatest).\n\n"
        + table(("ratio", *TITLES), _rows(pairs, lambda pair, one: _ratio(pair, one, other)))
        + f"\nMedians, `this` / `{other}`:\n\n"
        + table(("", *TITLES), _rows(pairs, lambda pair, one: _medians(pair, one, other)))
        + f"\nCPU µs a payment by process, `this` / `{other}`:\n\n"
        + _processes(pairs, other)
    )


def _rows(
    pairs: Mapping[str, Sequence[Pair]], cell: Callable[[Sequence[Pair], str], str]
) -> list[Sequence[str]]:
    return [(name, *(cell(some, one) for one in FIGURES)) for name, some in pairs.items()]


def _ratio(pairs: Sequence[Pair], figure: str, other: str) -> str:
    found = sorted(pair["this"][figure] / max(pair[other][figure], 0.001) for pair in pairs)
    return f"{median(found):.2f} ({found[0]:.2f} … {found[-1]:.2f})"


def _medians(pairs: Sequence[Pair], figure: str, other: str) -> str:
    return " / ".join(
        f"{median(pair[one][figure] for pair in pairs):,.0f}" for one in ("this", other)
    )


def _processes(pairs: Mapping[str, Sequence[Pair]], other: str) -> str:
    """Return the table of CPU by process, largest first by its sum."""

    def used(some: Sequence[Pair], system: str, process: str) -> float:
        return float(median(pair[system]["processes"].get(process, 0.0) for pair in some))

    names = {name for some in pairs.values() for name in some[0]["this"]["processes"]}
    first = next(iter(pairs.values()))
    rows = [
        (
            name,
            *(
                f"{used(some, 'this', name):,.0f} / {used(some, other, name):,.0f}"
                for some in pairs.values()
            ),
        )
        for name in sorted(names, key=lambda name: -used(first, other, name))
    ]
    return table(("", *pairs), rows)
