"""The continuous check: changes each minute, everything nightly; results are metrics."""

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
"""Concerns unfinished work only, so its violations never hold back the checkpoint."""
OVERLAP = timedelta(minutes=2)
"""Checked again: a timeline is checked once it has been quiet for a minute, a transaction becomes
visible at its end, and clocks differ."""
FIRST_WHOLE = timedelta(minutes=5)
"""After the start: services that start together have other work until then."""
MOST_PAUSE_S = 3600.0
"""Between two whole checks while one finds a violation or gets no response."""


class Sweep:
    """The findings of all slices of payments.

    A round queries every service, but compares only one slice of payments across services. A
    slice's findings stay until all slices have been checked again; the findings of a services'
    whole check stay until the next whole check.
    """

    def __init__(self) -> None:
        self._owners: Counter[str] = Counter()
        self._whole: Counter[str] = Counter()
        self._whole_missing: list[str] = []
        self._current: Counter[str] = Counter()
        self._complete: Counter[str] = Counter()
        self.latest = Findings()

    def note_owners(self, findings: Findings) -> None:
        """Store the findings that the services report."""
        self._owners = Counter(findings.counts)
        self.latest = findings

    def note_whole(self, findings: Findings) -> None:
        """Store the findings of the services in their whole history."""
        counts = Counter({name: n for name, n in findings.counts.items() if name != LIVENESS})
        self._whole = counts | self._whole if findings.missing else counts
        self._whole_missing = findings.missing

    @property
    def unanswered(self) -> int:
        """Queries without a response, of the last round and the last whole check."""
        return len({*self.latest.missing, *self._whole_missing})

    def note_slice(self, counts: Counter[str], *, is_last: bool) -> None:
        """Add a slice's findings; the last slice ends the sweep."""
        self._current += counts
        if is_last:
            self._complete, self._current = self._current, Counter()

    def violations(self) -> dict[str, float]:
        """Return the number of known violations by invariant; 0 for those that hold."""
        across = self._complete | self._current
        owners = self._owners | self._whole
        known = {*NAMES, *owners, *across}
        return {name: float(owners[name] + across[name]) for name in sorted(known)}


@dataclass(frozen=True, slots=True)
class Times:
    """When checks run."""

    every_s: float = 60.0
    whole_hour: int = 2
    """UTC."""

    def tonight(self, now: datetime) -> datetime:
        """Return the start of the next nightly whole check."""
        today = now.replace(hour=self.whole_hour, minute=0, second=0, microsecond=0)
        return today if today > now else today + timedelta(days=1)

    def repeat_at(self, now: datetime, took: timedelta) -> datetime:
        """Return when a whole check may be repeated: it may take a tenth of the time."""
        pause_s = max(self.every_s, 10 * took.total_seconds())
        return now + timedelta(seconds=min(MOST_PAUSE_S, pause_s))


class Watch:
    """Repeats the checks in separate threads, so that the server responds meanwhile."""

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
        self._whole_due = clock.now() + FIRST_WHOLE
        self._whole_took = timedelta()
        self._after = FIRST
        self._stopping = threading.Event()
        self.sweep = Sweep()
        self.checked_at: datetime | None = None
        """When the last round ended."""
        self._expose()

    def _expose(self) -> None:
        def latest(read: Callable[[Findings], int]) -> Callable[[], float]:
            return lambda: float(read(self.sweep.latest))

        metrics.gauge("invariant_violations", "Violated invariants.", self.sweep.violations)
        metrics.gauge(
            "payments_unfinished",
            "Unfinished work over its time limit.",
            latest(lambda found: found.unfinished),
        )
        metrics.gauge(
            "dead_letters",
            "Dead letters of all services.",
            latest(lambda found: found.dead_letters),
        )
        metrics.gauge(
            "work_parked_rows",
            "Parked work rows of all services.",
            latest(lambda found: found.parked),
        )
        metrics.gauge(
            "check_unanswered",
            "Queries of the last check without a response.",
            lambda: float(self.sweep.unanswered),
        )

    async def run(self, stopping: asyncio.Event) -> None:
        """Check until the process stops; a pending query is abandoned then."""
        # Daemons: a response may come after the process must end.
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
        """Query every service, check the consumers' offsets, and compare a slice of payments."""
        started_at = self._clock.now()
        examination = Examination(self._sources, self._clock, self._limits)
        examination.query_owners(self._since)
        findings = examination.findings
        # A violation stays in the queried period until it ends, or until a whole check reports it.
        if _is_clean_round(findings):
            self._move_checkpoint(started_at)
        else:
            repeat_at = self._times.repeat_at(started_at, self._whole_took)
            self._whole_due = min(self._whole_due, repeat_at)
        examination.run_part(self._conservation.handled)
        self.sweep.note_owners(findings)
        self.checked_at = self._clock.now()
        self._compare_slice(findings)
        for sentence in findings.missing:
            _log.warning("owner_unanswered", reason=sentence)
        for name, count in self.sweep.violations().items():
            if count:
                _log.error("invariant_violated", reason=name, count=int(count))

    def whole(self) -> None:
        """Let every service check its whole history; plan the next check."""
        started_at = self._clock.now()
        examination = Examination(self._sources, self._clock, self._limits)
        examination.query_owners()
        findings = examination.findings
        self.sweep.note_whole(findings)
        if not findings.missing:
            self._move_checkpoint(started_at)
        now = self._clock.now()
        self._whole_took = now - started_at
        repeat_at = self._times.repeat_at(now, self._whole_took)
        self._whole_due = self._times.tonight(now) if _is_clean_round(findings) else repeat_at

    def _move_checkpoint(self, checked_at: datetime) -> None:
        self._since = max(self._since, checked_at - OVERLAP)

    def _compare_slice(self, findings: Findings) -> None:
        examination = Examination(self._sources, self._clock, self._limits)
        try:
            self._after = examination.slice(self._after)
        except OpsError as error:
            findings.note_unavailable(str(error))
            return
        self.sweep.note_slice(examination.findings.counts, is_last=self._after == FIRST)


def _is_clean_round(findings: Findings) -> bool:
    """Say whether all services responded without a violation that holds the checkpoint."""
    return not findings.missing and findings.counts.keys() <= {LIVENESS}
