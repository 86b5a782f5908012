"""The continuous check: by the minute what has changed, nightly everything; told as metrics."""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

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

LIVENESS = "I8"
"""It is about what has not ended: never about what lies behind the checkpoint."""
OVERLAP = timedelta(minutes=5)
"""Looked at again: a transaction is seen when it ends, an audit trail is judged once it is quiet,
and clocks differ."""
MOST_PAUSE_S = 3600.0
"""Between two whole checks while one finds something, or is not answered."""


class Sweep:
    """What slice after slice has found, over all payments.

    A round asks the owners anew, but compares only one slice of payments across them; what a slice
    has found stands until all slices have been looked at again, and what a whole check of the
    owners has found until the next whole one.
    """

    def __init__(self) -> None:
        self._owners: Counter[str] = Counter()
        self._whole: Counter[str] = Counter()
        self._whole_missing: list[str] = []
        self._current: Counter[str] = Counter()
        self._complete: Counter[str] = Counter()
        self.latest = Findings()

    def note_owners(self, findings: Findings) -> None:
        """Keep what the owners have found by themselves."""
        self._owners = Counter(findings.counts)
        self.latest = findings

    def note_whole(self, findings: Findings) -> None:
        """Keep what the owners have found in all their history."""
        counts = Counter({name: n for name, n in findings.counts.items() if name != LIVENESS})
        self._whole = counts | self._whole if findings.missing else counts
        self._whole_missing = findings.missing

    @property
    def unanswered(self) -> int:
        """How many questions nobody answered, of the last round and of the last whole check."""
        return len({*self.latest.missing, *self._whole_missing})

    def note_slice(self, counts: Counter[str], *, is_last: bool) -> None:
        """Add what a slice has found; the last one ends the sweep."""
        self._current += counts
        if is_last:
            self._complete, self._current = self._current, Counter()

    def violations(self) -> dict[str, float]:
        """Return the violations that are known, by invariant; 0 for those that hold."""
        across = self._complete | self._current
        owners = self._owners | self._whole
        known = {*NAMES, *owners, *across}
        return {name: float(owners[name] + across[name]) for name in sorted(known)}


@dataclass(frozen=True, slots=True)
class Times:
    """When it is checked."""

    every_s: float = 60.0
    whole_hour: int = 2
    """UTC."""

    def tonight(self, now: datetime) -> datetime:
        """Return when the next night's whole check begins."""
        today = now.replace(hour=self.whole_hour, minute=0, second=0, microsecond=0)
        return today if today > now else today + timedelta(days=1)

    def again(self, now: datetime, took: timedelta) -> datetime:
        """Return when a whole check that took so long may be repeated: a tenth of the time."""
        pause_s = max(self.every_s, 10 * took.total_seconds())
        return now + timedelta(seconds=min(MOST_PAUSE_S, pause_s))


class Watch:
    """Checks again and again in a thread of its own, so that HTTP is answered meanwhile."""

    def __init__(
        self,
        sources: Sources,
        conservation: Conservation,
        clock: Clock,
        limits: Limits,
        times: Times,
    ) -> None:
        self._sources = sources
        self._conservation = conservation
        self._clock = clock
        self._limits = limits
        self._times = times
        self._since = clock.now() - OVERLAP
        self._whole_due = clock.now()
        self._whole_took = timedelta()
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
            lambda: float(self.sweep.unanswered),
        )

    async def run(self, stopping: asyncio.Event) -> None:
        """Check until told to stop; a question that is still open then is abandoned."""
        # Daemons: a question may be answered later than the process has to end.
        for name, work in (("check", self._rounds), ("whole-check", self._whole_checks)):
            threading.Thread(target=work, name=name, daemon=True).start()
        await stopping.wait()
        self._stopping.set()

    def _rounds(self) -> None:
        while not self._stopping.is_set():
            self.round()
            self._stopping.wait(self._times.every_s)

    def _whole_checks(self) -> None:
        while not self._stopping.is_set():
            if self._clock.now() >= self._whole_due:
                self.whole()
            self._stopping.wait(self._times.every_s)

    def round(self) -> None:
        """Ask every owner, account for the newest records, and compare a slice of payments."""
        started_at = self._clock.now()
        examination = Examination(self._sources, self._clock, self._limits)
        examination.ask_owners(self._since)
        findings = examination.findings
        # What is found stays in what is asked about until it is gone, or a whole check knows it.
        if _is_calm(findings):
            self._move_checkpoint(started_at)
        else:
            soon = self._times.again(started_at, self._whole_took)
            self._whole_due = min(self._whole_due, soon)
        examination.look(self._conservation.newest)
        self.sweep.note_owners(findings)
        self._compare_slice(findings)
        for sentence in findings.missing:
            _log.warning("owner_unanswered", reason=sentence)
        for name, count in self.sweep.violations().items():
            if count:
                _log.error("invariant_violated", reason=name, count=int(count))

    def whole(self) -> None:
        """Have every owner look at all its history: tonight again, sooner where not all is well."""
        started_at = self._clock.now()
        examination = Examination(self._sources, self._clock, self._limits)
        examination.ask_owners()
        findings = examination.findings
        self.sweep.note_whole(findings)
        if not findings.missing:
            self._move_checkpoint(started_at)
        now = self._clock.now()
        self._whole_took = now - started_at
        again = self._times.again(now, self._whole_took)
        self._whole_due = self._times.tonight(now) if _is_calm(findings) else again

    def _move_checkpoint(self, looked_at: datetime) -> None:
        self._since = max(self._since, looked_at - OVERLAP)

    def _compare_slice(self, findings: Findings) -> None:
        examination = Examination(self._sources, self._clock, self._limits)
        try:
            self._after = examination.slice(self._after)
        except OpsError as error:
            findings.not_asked(str(error))
            return
        self.sweep.note_slice(examination.findings.counts, is_last=self._after == FIRST)


def _is_calm(findings: Findings) -> bool:
    """Say whether everybody answered, and nobody found what a checkpoint must not pass."""
    return not findings.missing and findings.counts.keys() <= {LIVENESS}
