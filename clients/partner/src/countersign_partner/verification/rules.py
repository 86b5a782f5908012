"""The rules that a partner bank keeps, in the order in which they are tried."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from countersign_partner.formats import Report
from countersign_partner.signing import SigningKey
from countersign_partner.verification.process import BankProcess
from countersign_partner.verification.sandbox import Broken, Sandbox

RESTART_TRANSFERS = 20
_START_WITHIN_S = 60.0
"""A bank's process may need this long until its first report."""
_RESTART_FACTOR = 3
"""Kafka misses a killed consumer only after its session's timeout."""
_GRACE_S = 0.5
"""How long a report that must not come is waited for, after a later instruction was answered."""


@dataclass(frozen=True)
class Trial:
    """What a rule is tried with: payees whom the bank accepts, rejects, and reviews first."""

    sandbox: Sandbox
    bank: BankProcess
    accepted: str
    rejected: str
    reviewed: str

    async def ask(self, creditor: str | None = None, **fields: Any) -> str:
        """Publish an instruction; return its UETR."""
        one = self.sandbox.instruction(creditor or self.accepted, **fields)
        return await self.sandbox.publish(one)


Rule = Callable[[Trial], Awaitable[None]]


async def accepted(trial: Trial) -> None:
    """A transfer is accepted, with the bank's reference and the time of the booking."""
    (report, *_) = await trial.sandbox.reported(await trial.ask(), "ACCEPTED")
    _check(bool(report.bank_reference), "bank_reference: missing")
    _check(_is_time(report.booked_at), "booked_at: must be a time with its zone")


async def rejected(trial: Trial) -> None:
    """A transfer is rejected with a reason, and is not booked."""
    uetr = await trial.ask(trial.rejected)
    (report, *_) = await trial.sandbox.reported(uetr, "REJECTED", "ACCEPTED")
    _check(report.status == "REJECTED", "accepted, for a payee who must be rejected")
    _check(report.booked_at is None, "booked_at: a rejected transfer is not booked")


async def pending(trial: Trial) -> None:
    """A transfer is pending, then accepted."""
    uetr = await trial.ask(trial.reviewed)
    await trial.sandbox.reported(uetr, "PENDING")
    await trial.sandbox.reported(uetr, "ACCEPTED")
    _one_way(trial.sandbox.reports[uetr])


async def booked_once(trial: Trial) -> None:
    """The same instruction twice is one booking, and answered twice."""
    one = trial.sandbox.instruction(trial.accepted)
    for _ in range(2):
        await trial.sandbox.publish(one)
    reports = await trial.sandbox.reported(one["uetr"], "ACCEPTED", count=2)
    _one_booking(reports)


async def asked_again(trial: Trial) -> None:
    """An instruction that was answered and comes again is answered again, with the same outcome."""
    for creditor in (trial.accepted, trial.rejected):
        one = trial.sandbox.instruction(creditor)
        await trial.sandbox.publish(one)
        await trial.sandbox.reported(one["uetr"], "ACCEPTED", "REJECTED")
        await trial.sandbox.publish(one)
        reports = await trial.sandbox.reported(one["uetr"], "ACCEPTED", "REJECTED", count=2)
        _check(len({report.status for report in reports}) == 1, "another outcome the second time")
        _one_booking(reports)


async def order(trial: Trial) -> None:
    """Reports of a transfer go one way, PENDING to an outcome, also while it is asked about."""
    one = trial.sandbox.instruction(trial.reviewed)
    for _ in range(3):
        await trial.sandbox.publish(one)
    await trial.sandbox.reported(one["uetr"], "ACCEPTED")
    await trial.sandbox.publish(one)
    await trial.sandbox.reported(one["uetr"], "ACCEPTED", count=2)
    _one_way(trial.sandbox.reports[one["uetr"]])


async def late(trial: Trial) -> None:
    """An instruction that comes after its `expires_at` is rejected."""
    past = datetime.now(UTC) - timedelta(minutes=1)
    requested_at = past - timedelta(minutes=1)
    uetr = await trial.ask(requested_at=requested_at.isoformat(), expires_at=past.isoformat())
    (report, *_) = await trial.sandbox.reported(uetr, "ACCEPTED", "REJECTED")
    _check(report.status == "REJECTED", "booked after expires_at")


async def unknown_field(trial: Trial) -> None:
    """Unknown fields are ignored: instructions can grow."""
    uetr = await trial.ask(remark={"since": "a later version"}, priority=1)
    await trial.sandbox.reported(uetr, "ACCEPTED")


async def rotated_key(trial: Trial) -> None:
    """Every live key of the key set is accepted."""
    one = trial.sandbox.instruction(trial.accepted)
    await trial.sandbox.publish(one, key=trial.sandbox.following)
    await trial.sandbox.reported(one["uetr"], "ACCEPTED")


async def expired_key(trial: Trial) -> None:
    """An instruction under an expired key is ignored."""
    await _ignored(trial, {"an expired key": {"key": trial.sandbox.expired}})


async def signature(trial: Trial) -> None:
    """An instruction without a valid signature is ignored."""
    ours = trial.sandbox.current.kid
    bad: dict[str, dict[str, Any]] = {
        "no signature": {"change": _without_signature},
        "the key of somebody else": {"key": SigningKey.new(ours)},
        "an unknown key": {"key": SigningKey.new("unknown")},
        "another amount than the signed one": {"change": _with_more_money},
        "a signature for another bank's topic": {"topic": "settlement.instructions.other.v1"},
        "another time than the signed one": {"change": _a_day_later},
    }
    await _ignored(trial, bad)


async def poison(trial: Trial) -> None:
    """What is signed and makes no sense does not stop the instructions behind it."""
    sandbox = trial.sandbox
    whole = sandbox.instruction(trial.accepted)
    values = [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000]
    for value in values:
        await sandbox.publish_raw(value, whole["uetr"])
    value, uetr = sandbox.form.write_instruction(whole), whole["uetr"].encode()
    broken = [(b"52.00", b"much"), (uetr, b"1"), (b'"52.00"', b"null")]
    broken += [(b'"creditor"', b'"nobody"'), (b"CdtrAcct>", b"NobodyAcct>")]
    for right, wrong in broken:
        if right in value:
            await sandbox.publish_raw(value.replace(right, wrong), whole["uetr"])
    behind = sandbox.instruction(trial.accepted, uetr=sandbox.uetr_beside(whole["uetr"]))
    await sandbox.publish(behind)
    await sandbox.reported(behind["uetr"], "ACCEPTED")


async def restart(trial: Trial) -> None:
    """A bank that is killed in mid-batch and started again answers all, and books each once."""
    sandbox = trial.sandbox
    asked = await asyncio.gather(*(trial.ask() for _ in range(RESTART_TRANSFERS)))
    # At the first report: the bank is among the others.
    await sandbox.heard(lambda: any(sandbox.reports[one] for one in asked), sandbox.within_s)
    await trial.bank.kill()
    await trial.bank.start()
    within_s = _RESTART_FACTOR * sandbox.within_s
    waits = [sandbox.reported(uetr, "ACCEPTED", within_s=within_s) for uetr in asked]
    answers = await asyncio.gather(*waits, return_exceptions=True)
    lost = sum(1 for one in answers if isinstance(one, BaseException))
    _check(not lost, f"{lost} of {len(asked)} transfers were never answered")
    for uetr in asked:
        _one_booking(sandbox.reports[uetr])


async def reports(trial: Trial) -> None:
    """Every report is signed by a key of the bank, keyed by the UETR of an instruction it got."""
    faults = trial.sandbox.faults
    _check(not faults, f"{len(faults)} reports are wrong; the first at {''.join(faults[:1])}")
    for several in trial.sandbox.reports.values():
        _one_booking([one for one in several if one.status == "ACCEPTED"])
        _one_way(several)


async def started(trial: Trial) -> None:
    """The bank starts, reads its topic and reports."""
    uetr = await trial.ask()
    sandbox = trial.sandbox
    await sandbox.heard(lambda: bool(sandbox.reports[uetr] or sandbox.faults), _START_WITHIN_S)


RULES: tuple[Rule, ...] = (
    accepted,
    rejected,
    pending,
    booked_once,
    asked_again,
    order,
    late,
    unknown_field,
    rotated_key,
    expired_key,
    signature,
    poison,
    restart,
    reports,
)


def name_of(rule: Rule) -> str:
    """Return the name under which results and `--only` know a rule."""
    return rule.__name__.replace("_", "-")


async def _ignored(trial: Trial, bad: dict[str, dict[str, Any]]) -> None:
    """Publish instructions that the bank must ignore, and a good one behind them."""
    sandbox = trial.sandbox
    good = sandbox.instruction(trial.accepted)
    asked = {what: sandbox.uetr_beside(good["uetr"]) for what in bad}
    for what, uetr in asked.items():
        await sandbox.publish(sandbox.instruction(trial.accepted, uetr=uetr), **bad[what])
    await sandbox.publish(good)
    await sandbox.reported(good["uetr"], "ACCEPTED")
    await asyncio.sleep(_GRACE_S)
    answered = [what for what, uetr in asked.items() if sandbox.reports[uetr]]
    _check(not answered, f"answered an instruction with {', '.join(answered)}")


def _check(condition: bool, details: str) -> None:  # noqa: FBT001 - a condition
    if not condition:
        raise Broken(details)


def _one_booking(found: list[Report]) -> None:
    bookings = {(one.bank_reference, one.booked_at) for one in found}
    _check(len(bookings) <= 1, f"booked {len(bookings)} times: the reports have several references")


def _one_way(found: list[Report]) -> None:
    """PENDING any number of times, then one outcome any number of times."""
    statuses = [one.status for one in found]
    outcomes = [one for one in statuses if one != "PENDING"]
    way = ", ".join(statuses)
    _check(len(set(outcomes)) <= 1, f"two outcomes: {way}")
    _check("PENDING" not in statuses[len(statuses) - len(outcomes) :], f"back to PENDING: {way}")


def _is_time(text: str | None) -> bool:
    try:
        return datetime.fromisoformat(text or "").tzinfo is not None
    except ValueError:
        return False


def _without_signature(value: bytes, headers: dict[str, str]) -> bytes:
    del headers["signature"]
    return value


def _with_more_money(value: bytes, _: dict[str, str]) -> bytes:
    return value.replace(b"52.00", b"5200.00")


def _a_day_later(value: bytes, headers: dict[str, str]) -> bytes:
    time = datetime.fromisoformat(headers["ce_time"]) + timedelta(days=1)
    headers["ce_time"] = time.isoformat()
    return value
