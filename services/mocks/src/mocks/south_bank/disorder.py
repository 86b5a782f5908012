"""Reports as careless banks send them: twice, out of order, an old status after a new one."""

from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import TypeVar

from mocks.faults import Faults
from partner_messages.messages import Report, Status

T = TypeVar("T")
Paired = tuple[Report, T]
"""A report, and the record that it answers."""


def in_disorder(reports: Iterable[Paired[T]], faults: Faults) -> list[Paired[T]]:
    """Return the reports of a batch as the faults that are on change them."""
    sent = [one for paired in reports for one in _repeated(paired, faults)]
    if faults.is_on("reports_shuffled"):
        sent = [one for _, one in sorted(enumerate(sent), key=_place)]
    return sent


def _repeated(paired: Paired[T], faults: Faults) -> Iterator[Paired[T]]:
    report, rest = paired
    yield paired
    if faults.affects("report_twice", report.uetr.bytes):
        yield paired
    if report.status is Status.ACCEPTED and faults.affects("report_stale", report.uetr.bytes):
        stale = report.model_copy(update={"status": Status.PENDING, "booked_at": None})
        yield stale, rest


def _place(numbered: tuple[int, Paired[T]]) -> bytes:
    number, (report, _) = numbered
    return sha256(b"%b %d" % (report.uetr.bytes, number)).digest()
