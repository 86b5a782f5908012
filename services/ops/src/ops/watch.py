"""The continuous check: a little at a time, told as metrics."""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable

from ops.check.conservation import Conservation
from ops.check.examination import Examination, Limits
from ops.check.sources import Sources
from ops.clients.listings import FIRST
from ops.domain.errors import OpsError
from ops.domain.findings import NAMES, Findings
from service_runtime import metrics
from service_runtime.clock import Clock
from service_runtime.logs import Log

_log = Log("check")


class Sweep:
    """What slice after slice has found, over all payments.

    A round asks the owners anew, but compares only one slice of payments across them; what a slice
    has found stands until all slices have been looked at again.
    """

    def __init__(self) -> None:
        self._owners: Counter[str] = Counter()
        self._current: Counter[str] = Counter()
        self._complete: Counter[str] = Counter()
        self.latest = Findings()

    def note_owners(self, findings: Findings) -> None:
        """Keep what the owners have found by themselves."""
        self._owners = Counter(findings.counts)
        self.latest = findings

    def note_slice(self, counts: Counter[str], *, is_last: bool) -> None:
        """Add what a slice has found; the last one ends the sweep."""
        self._current += counts
        if is_last:
            self._complete, self._current = self._current, Counter()

    def violations(self) -> dict[str, float]:
        """Return the violations that are known, by invariant; 0 for those that hold."""
        across = self._complete | self._current
        known = {*NAMES, *self._owners, *across}
        return {name: float(self._owners[name] + across[name]) for name in sorted(known)}


class Watch:
    """Checks again and again in a thread of its own, so that HTTP is answered meanwhile."""

    def __init__(
        self,
        sources: Sources,
        conservation: Conservation,
        clock: Clock,
        limits: Limits,
        *,
        every_s: float,
    ) -> None:
        self._sources = sources
        self._conservation = conservation
        self._clock = clock
        self._limits = limits
        self._every_s = every_s
        self._after = FIRST
        self._stopping = threading.Event()
        self.sweep = Sweep()
        self._expose()

    def _expose(self) -> None:
        def shown(read: Callable[[Findings], int]) -> Callable[[], float]:
            return lambda: float(read(self.sweep.latest))

        metrics.gauge("invariant_violations", "What must never be.", self.sweep.violations)
        metrics.gauge(
            "payments_unfinished", "Work that is too old.", shown(lambda found: found.unfinished)
        )
        metrics.gauge("dead_letters", "At all owners.", shown(lambda found: found.dead_letters))
        metrics.gauge(
            "work_parked_rows",
            "At all owners, until a person sees to them.",
            shown(lambda found: found.parked),
        )
        metrics.gauge(
            "check_unanswered",
            "Questions of the last check that nobody answered.",
            shown(lambda found: len(found.missing)),
        )

    async def run(self, stopping: asyncio.Event) -> None:
        """Check until told to stop; a question that is still open then is abandoned."""
        # A daemon: a question may be answered later than the process has to end.
        thread = threading.Thread(target=self._rounds, name="check", daemon=True)
        thread.start()
        await stopping.wait()
        self._stopping.set()

    def _rounds(self) -> None:
        while not self._stopping.is_set():
            self.round()
            self._stopping.wait(self._every_s)

    def round(self) -> None:
        """Ask every owner, account for the newest records, and compare a slice of payments."""
        examination = Examination(self._sources, self._clock, self._limits)
        examination.ask_owners()
        examination.look(self._conservation.newest)
        findings = examination.findings
        self.sweep.note_owners(findings)
        self._compare_slice(findings)
        for sentence in findings.missing:
            _log.warning("owner_unanswered", reason=sentence)
        for name, count in self.sweep.violations().items():
            if count:
                _log.error("invariant_violated", reason=name, count=int(count))

    def _compare_slice(self, findings: Findings) -> None:
        examination = Examination(self._sources, self._clock, self._limits)
        try:
            self._after = examination.slice(self._after)
        except OpsError as error:
            findings.not_asked(str(error))
            return
        self.sweep.note_slice(examination.findings.counts, is_last=self._after == FIRST)
