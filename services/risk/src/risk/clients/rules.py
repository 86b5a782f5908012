"""The rules of the service compliance, asked about payments that have been screened."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Protocol

from pydantic import Field

from payment_schemas.events.risk import AssessmentRequested, Demand
from risk.clients.calls import Reply, consistent, in_chunks, parsed, post, valid
from risk.domain import AssessmentRequest, Evidence, FiredRule, Ruling, Severity
from service_runtime.http_client import HttpClient

RULES_DEADLINE_S = 1.5
"""Of the rules of a batch, which are asked after the others: together they must fit the lease."""

Request = AssessmentRequested | AssessmentRequest
Payments = Mapping[str, tuple[Request, Evidence]]
"""Payments with what is known of them, by id."""


class RuleChecks(Protocol):
    """The port to the rules."""

    async def check(self, payments: Payments) -> Mapping[str, Ruling]:
        """Return rulings by payment; a payment without a valid result is left out."""
        ...


class _Rule(Reply):
    rule_id: Annotated[str, Field(alias="ruleId", pattern=r"^[A-Za-z][A-Za-z0-9_]{1,63}$")]
    severity: Severity
    action: str
    evaluated: bool


class _Checked(Reply):
    payment_id: str
    demands: list[Demand]
    findings: list[_Rule]


class _CheckedMany(Reply):
    results: list[Any]


class Compliance:
    """The rules of the service compliance."""

    def __init__(self, client: HttpClient) -> None:
        self._client = client

    async def check(self, payments: Payments) -> Mapping[str, Ruling]:
        async def query(names: Sequence[str]) -> dict[str, Ruling]:
            asked = [_checkable(name, *payments[name]) for name in names]
            body = await post(self._client, "/checks:batch", {"payments": asked})
            checked = valid(_Checked, parsed(_CheckedMany, body).results)
            return consistent(names, [(one.payment_id, _ruling(one)) for one in checked])

        return await in_chunks(query, payments, RULES_DEADLINE_S)


def _checkable(name: str, request: Request, evidence: Evidence) -> dict[str, Any]:
    debtor, creditor = evidence.screenings
    return {
        "payment_id": name,
        "user_id": request.user_id,
        "to_account": request.to_account,
        "amount_minor": request.amount_minor,
        "currency": request.currency,
        "country": _country(request),
        "requested_at": request.requested_at,
        "debtor_hit": debtor.hit,
        "creditor_hit": creditor.hit,
        "match_score": max(debtor.match_score, creditor.match_score),
        "list_version": max(debtor.list_version, creditor.list_version),
        "kyc": evidence.kyc,
    }


def _country(request: Request) -> str | None:
    if isinstance(request, AssessmentRequested):
        return request.context.country
    return request.country


def _ruling(checked: _Checked) -> Ruling:
    fired = (
        FiredRule(one.rule_id, one.severity, is_tag=one.action == "TAG", evaluated=one.evaluated)
        for one in checked.findings
    )
    return Ruling(tuple(sorted(set(checked.demands))), tuple(fired))


@dataclass
class MemoryRules:
    """The memory twin: payments of `ruled` users have a ruling; of `silent` ones no result."""

    ruled: dict[str, Ruling] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)

    async def check(self, payments: Payments) -> Mapping[str, Ruling]:
        return {
            name: self.ruled.get(request.user_id, Ruling())
            for name, (request, _) in payments.items()
            if request.user_id not in self.silent
        }
