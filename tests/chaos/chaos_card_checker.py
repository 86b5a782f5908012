"""What the providers have recorded, compared with what charges and its responses say."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from chaos_card_clients import CardPayment

HOLDS = frozenset({"requires_capture", "authorised"})
HAS = frozenset({"succeeded", "captured"})
"""States of a payment at Stripe and at Adyen in which the customer's money is held, or is taken."""
PAID = frozenset({"CAPTURED", "PARTIALLY_REFUNDED", "REFUNDED"})
ENDED = PAID | {"DECLINED", "FAILED", "CANCELLED"}
AFTER = {
    "success": PAID,
    "authorized": PAID | {"CANCELLED"},
    "declined": {"DECLINED"},
    "failed": {"FAILED"},
    "cancelled": {"CANCELLED"},
}
"""The outcome in a response → the statuses that a payment may have later."""
CHANGED = {"captured": "CAPTURED", "cancelled": "CANCELLED"}
"""What a merchant does with an authorized payment → how it ends."""
EXPECTED = frozenset({0, 200, 202, 402, 409, 429, 503, 504})
ACCEPTED = 202
ID_HEX = 32


@dataclass(frozen=True)
class Recorded:
    """A payment in a provider's own records; amounts are in the currency's minor unit."""

    provider: str
    status: str
    amount_minor: int
    refunds: Mapping[str, int] = field(default_factory=dict)
    """Our reference of a refund → its amount."""


Records = Mapping[str, list[Recorded]]
"""By the charge's id in hexadecimal digits: every attempt of it at every provider."""


def records_of(listed: Mapping[str, Iterable[Mapping[str, Any]]]) -> Records:
    """Return the providers' lists of payments by charge."""
    found: dict[str, list[Recorded]] = defaultdict(list)
    for provider, payments in listed.items():
        for one in payments:
            reference = one.get("reference") or one["metadata"]["reference"]
            row = Recorded(provider, one["status"], one["amount"], one["refunds"])
            found[reference.split("-")[1]].append(row)
    return found


def judge(
    paid: Iterable[CardPayment], reads: Mapping[str, Mapping[str, Any]], records: Records
) -> list[str]:
    """Return what contradicts itself; `reads`: the payments as charges shows them at the end."""
    paid, found = list(paid), []
    for payment in paid:
        name = payment.transaction_id or ""
        read, recorded = reads.get(name, {}), records.get(name.removeprefix("txn_"), [])
        wrong = (*_responses(payment, read), *_money(read, recorded), *_refunds(payment, read))
        found += [f"{sentence}: {name or payment.charge.key}" for sentence in wrong]
    known = {(one.transaction_id or "").removeprefix("txn_") for one in paid}
    strangers = sorted(records.keys() - known)
    return found + [f"I2 at a provider, and requested by nobody: {one}" for one in strangers]


def _responses(payment: CardPayment, read: Mapping[str, Any]) -> Iterator[str]:
    for request in (payment.charge, *payment.changes):
        if not request.final:
            yield f"I8 no outcome of {request.path.rpartition('/')[2]}"
        if len(request.final) > 1:
            yield f"I7 outcomes differ {sorted(request.final)}"
        for status, body in request.responses:
            if status not in EXPECTED:
                yield f"an unexpected response, {status} {body}"
    if read.get("status") not in ENDED:
        yield f"I8 stays {read.get('status')}"
    elif payment.outcome and read["status"] not in _possible(payment):
        yield f"I1 the response was {payment.outcome}, and it is {read['status']}"
    is_changed = any(status == 200 for one in payment.changes for status, _ in one.final)
    wanted = CHANGED.get(payment.kind)
    if wanted and is_changed and read.get("status") not in {wanted, None}:
        yield f"I1 was {payment.kind}, and it is {read['status']}"


def _possible(payment: CardPayment) -> set[str]:
    """Return the statuses after an outcome; before its capture it may be cancelled."""
    is_revoked = payment.kind == "revoked"
    return set(AFTER.get(payment.outcome or "", ())) | ({"CANCELLED"} if is_revoked else set())


def _money(read: Mapping[str, Any], recorded: list[Recorded]) -> Iterator[str]:
    """Compare a payment with the records of all its attempts, at all providers."""
    taken = [one for one in recorded if one.status in HAS]
    if len(taken) > 1:
        yield f"I2 captured {len(taken)} times, at {[one.provider for one in taken]}"
    for one in recorded:
        if one.status in HOLDS:
            yield f"I2 {one.provider} still holds {one.amount_minor}"
        if sum(one.refunds.values()) > one.amount_minor * (one.status in HAS):
            yield f"I2 {one.provider} has refunded more than it has captured: {one.refunds}"
    captured = sum(one.amount_minor for one in taken)
    if captured != read.get("captured", 0):
        yield f"I2 the providers have captured {captured}, charges says {read.get('captured')}"
    if taken and read.get("provider") != taken[0].provider:
        yield f"I2 {taken[0].provider} has captured, charges says {read.get('provider')}"
    made = Counter({ref[-ID_HEX:]: n for one in recorded for ref, n in one.refunds.items()})
    said = Counter(
        {one["refundId"][-ID_HEX:]: one["amount"] for one in _succeeded(read.get("refunds", ()))}
    )
    if made != said:
        yield f"I2 refunds at the provider {dict(made)}, at charges {dict(said)}"


def _succeeded(refunds: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    return (one for one in refunds if one["status"] == "SUCCEEDED")


def _refunds(payment: CardPayment, read: Mapping[str, Any]) -> Iterator[str]:
    """Each accepted refund is one refund, and each of them ends."""
    listed = {one["refundId"]: one["status"] for one in read.get("refunds", ())}
    for refund, status in listed.items():
        if status not in {"SUCCEEDED", "FAILED"}:
            yield f"I8 a refund stays {status}, {refund}"
    accepted = Counter(
        json.loads(body)["data"]["refundId"]
        for request in payment.changes
        for status, body in request.final
        if status == ACCEPTED
    )
    if accepted != Counter(listed.keys()):
        yield f"I1 accepted refunds {sorted(accepted)}, listed are {sorted(listed)}"
