"""The evidence of a batch: screenings, identities, models in parallel, then the rules."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import replace
from uuid import UUID

from payment_schemas.events.risk import (
    AssessmentRequested,
    FraudScore,
    KycStatus,
    Party,
    Screening,
)
from risk.clients.identities import Identities
from risk.clients.models import Models
from risk.clients.rules import Request, RuleChecks
from risk.clients.sanctions import Match, NamedPayee, SanctionsList
from risk.domain import AssessmentRequest, Evidence, Unavailable, is_over
from service_runtime.messages import Batch, Due, Received


class LookUps:
    """Gathers the evidence of a batch, before the transaction."""

    def __init__(
        self,
        sanctions: SanctionsList,
        identities: Identities,
        rules: RuleChecks | None = None,
        *,
        models: Models | None = None,
        takes_names: bool = False,
    ) -> None:
        """`rules`, `models`: None: none are asked. `takes_names`: whether names are screened."""
        self._sanctions = sanctions
        self._identities = identities
        self._rules = rules
        self._models = models
        self._takes_names = takes_names

    async def for_requests(
        self, batch: Batch[Received[AssessmentRequested]]
    ) -> Mapping[UUID, Evidence]:
        """Look up the requests that have just arrived and have not expired."""
        return await self._gather(
            {item.cause.id: item.event for item in batch if batch.now < item.event.expires_at}
        )

    async def for_due(self, batch: Batch[Due[AssessmentRequest]]) -> Mapping[UUID, Evidence]:
        """Look up the waiting requests again, except expired ones."""
        return await self._gather(
            {item.cause.id: item.row for item in batch if not is_over(item.row, batch.now)}
        )

    async def _gather(self, requests: Mapping[UUID, Request]) -> dict[UUID, Evidence]:
        evidence, scores = await asyncio.gather(self._looked_up(requests), self._scored(requests))
        evidence = {name: replace(one, fraud=scores.get(name)) for name, one in evidence.items()}
        if self._rules is None:
            return evidence
        return await self._ruled(self._rules, requests, evidence)

    async def _scored(
        self, requests: Mapping[UUID, Request]
    ) -> Mapping[UUID, FraudScore | Unavailable]:
        """Return the models' scores; of a payment without one, that there is none."""
        if self._models is None or not requests:
            return {}
        found = await self._models.score({str(one.payment_id): one for one in requests.values()})
        return {
            name: found.get(str(one.payment_id), Unavailable.MODEL)
            for name, one in requests.items()
        }

    async def _ruled(
        self, rules: RuleChecks, requests: Mapping[UUID, Request], evidence: dict[UUID, Evidence]
    ) -> dict[UUID, Evidence]:
        """Return the evidence of the payments that the rules have been asked about."""
        payments = {
            str(requests[name].payment_id): (requests[name], one) for name, one in evidence.items()
        }
        rulings = await rules.check(payments) if payments else {}
        named = ((name, one, str(requests[name].payment_id)) for name, one in evidence.items())
        return {
            name: replace(one, ruling=rulings[payment])
            for name, one, payment in named
            if payment in rulings
        }

    async def _looked_up(self, requests: Mapping[UUID, Request]) -> dict[UUID, Evidence]:
        named = [payee for one in requests.values() if (payee := self._named(one))]
        debtors = {one.from_account for one in requests.values()}
        unnamed = {one.to_account for one in requests.values() if not self._named(one)}
        by_account, by_name, statuses = await asyncio.gather(
            self._sanctions.screen(debtors | unnamed),
            self._names(named),
            self._identities.statuses({one.user_id for one in requests.values()}),
        )
        found = dict[UUID, Evidence]()
        for name, one in requests.items():
            payee = self._named(one)
            creditor = by_account.get(one.to_account) if payee is None else by_name.get(payee.id)
            debtor, kyc = by_account.get(one.from_account), statuses.get(one.user_id)
            if debtor is not None and creditor is not None and kyc is not None:
                found[name] = _evidence(debtor, creditor, kyc)
        return found

    async def _names(self, payees: Collection[NamedPayee]) -> Mapping[str, Match]:
        return await self._sanctions.screen_names(payees) if payees else {}

    def _named(self, one: Request) -> NamedPayee | None:
        if one.sealed_to_name is None or not self._takes_names:
            return None
        return NamedPayee(one.to_account, one.sealed_to_name, one.payment_id)


def _evidence(debtor: Match, creditor: Match, kyc: KycStatus) -> Evidence:
    return Evidence((_screening("debtor", debtor), _screening("creditor", creditor)), kyc)


def _screening(party: Party, match: Match) -> Screening:
    return Screening(
        party=party,
        hit=match.hit,
        list_version=match.list_version,
        match_score=match.match_score,
        by=match.by,
        list_name=match.list_name,
        entry=match.entry,
        excepted=match.excepted,
    )
