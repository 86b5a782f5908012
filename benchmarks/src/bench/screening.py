"""`make bench-screening DATA=…`: what the screening of payees' names costs a payment.

Windows with the mock, which screens accounts, then with the service screening and OFAC's list of
DATA: accounts alone, and names of which 0, 10 and 100 % are new to it.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench import documents
from bench.customers import Customers
from bench.errors import BenchmarkError
from bench.measuring import Measured
from bench.report import MIB, cpu_us, table
from bench.running import end_well, open_for_all, require, run_one
from bench.scenarios import WARM_UP, Scenario, closed
from bench.settings import number_of
from bench.system import System, Tell, start, started
from local_stack.layout import CHECKOUT

COMMAND = "make bench-screening"
DOCUMENT = CHECKOUT / "docs" / "screening.md"
SCREENING = "screening"
WINDOW = closed(64, warm_s=4.0, seconds=8.0)
MOCK = replace(WINDOW, name="mock")
NAMED = (
    replace(WINDOW, name="accounts"),
    *(replace(WINDOW, name=f"new {100 * one:.0f}", new_names=one) for one in (0.0, 0.1, 1.0)),
)
LABELS = (
    "the mock, accounts", "screening, accounts", "screening, names, none new",
    "screening, names, 10 % new", "screening, names, all new",
)  # fmt: skip


def screening(offset: int, tell: Tell) -> None:
    """Measure every window once in each of ROUNDS rounds; fill docs/screening.md."""
    rounds = number_of("ROUNDS", 3, 20)
    with TemporaryDirectory() as lists:
        _write_lists(Path(lists), _data())
        os.environ["LISTS_FOLDER"] = lists
        with started(offset, tell) as system:
            customers = open_for_all(system)
            run_one(system, WARM_UP, customers)
            found = [_windows(system, customers, [MOCK], number) for number in range(rounds)]
            start(system, names=[SCREENING])
            system.stack.refresh()
            system.note_processes()
            run_one(system, replace(WARM_UP, name="warm-up 2"), customers)
            for number in range(rounds):
                found[number] += _windows(system, customers, NAMED, number)
            _without_screening(system)
            require([run for runs in found for run in runs], end_well(system))
    shown = results(found)
    documents.fill(DOCUMENT, COMMAND, shown)
    tell(f"wrote {DOCUMENT}\n\n{shown}")


def _without_screening(system: System) -> None:
    """Stop it: the check asks all services of a group that has started, and here one has."""
    system.stack.stop_process(SCREENING)
    del system.stack.instances[SCREENING]
    system.stack.refresh()
    system.note_processes()


def _windows(
    system: System, customers: Customers, windows: Sequence[Scenario], number: int
) -> list[Measured]:
    return [
        run_one(system, replace(one, name=f"{one.name} {number + 1}"), customers) for one in windows
    ]


def _data() -> Path:
    folder = Path(os.environ.get("DATA", "")) / "sanctions"
    if not os.environ.get("DATA") or not folder.is_dir():
        raise BenchmarkError(f"DATA: {folder} is no folder; next: {COMMAND} DATA=../shared/data")
    return folder


def _write_lists(folder: Path, data: Path) -> None:
    """Write OFAC's newest files of a folder, and their manifest."""
    files = {}
    for role, kind in (("entries", "sdn"), ("aliases", "alt")):
        newest = max(data.glob(f"{kind}_*.csv.gz"))
        shutil.copy(newest, folder)
        digest = hashlib.sha256(newest.read_bytes()).hexdigest()
        files[role] = {"file": newest.name, "sha256": digest}
    manifest = {"list": "OFAC-SDN", "version": "bench", "format": "ofac", "files": files}
    (folder / "ofac.json").write_text(json.dumps(manifest))


def results(rounds: Sequence[Sequence[Measured]]) -> str:
    """Return a row for each kind of window: medians over the rounds."""
    head = (
        "", "payments/s", "p50 ms", "p95 ms", "p99 ms", "CPU µs", "of risk", "of screening",
        "MiB of screening",
    )  # fmt: skip
    rows = [_row(label, runs) for label, *runs in zip(LABELS, *rounds, strict=True)]
    about = (
        f"Rounds: {len(rounds)}. Windows of {WINDOW.seconds:.0f} s, {WINDOW.in_flight} in flight;"
        " medians. A name is compared with the list once, and then found in the cache."
    )
    return f"{about}\n\n{table(head, rows)}"


def _row(name: str, runs: Sequence[Measured]) -> Sequence[object]:
    def of(process: str) -> float:
        return median(run.cpu_us.get(process, 0.0) for run in runs)

    orders = [run.answers["order"] for run in runs]
    memory = median(run.memory.get(SCREENING, 0) for run in runs) / MIB
    return (
        name,
        f"{median(run.rate for run in runs):,.0f}",
        *(f"{median(getattr(one, rank) for one in orders):,.1f}" for rank in ("p50", "p95", "p99")),
        f"{median(map(cpu_us, runs)):,.0f}",
        f"{of('risk'):,.0f}",
        f"{of(SCREENING):,.0f}" if of(SCREENING) else "",
        f"{memory:,.0f}" if memory else "",
    )
