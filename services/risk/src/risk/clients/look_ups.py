"""The evidence of a batch: screenings, identities, models in parallel, then the rules.

In parallel the payers' names are requested, and payers with a name are screened by it.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
from risk.clients.payers import PAYERS_DEADLINE_S, PayerNames
from risk.clients.rules import Request, RuleChecks
from risk.clients.sanctions import Match, NamedParty, SanctionsList
from risk.domain import AssessmentRequest, Evidence, Unavailable, is_over
from service_runtime.logs import Log
from service_runtime.messages import Batch, Due, Received

_log = Log("look_ups")
Matches = Mapping[str, Match | None]
"""By payment; None: no name is known, and the account's screening counts."""


@dataclass(frozen=True, slots=True)
class LookUps:
    """Gathers the evidence of a batch, before the transaction."""

    sanctions: SanctionsList
    identities: Identities
    rules: RuleChecks | None = None
    """None: no rules are asked."""
    models: Models | None = field(default=None, kw_only=True)
    """None: no model is asked."""
    payers: PayerNames | None = field(default=None, kw_only=True)
    """None: payers are screened by account alone."""
    takes_names: bool = field(default=False, kw_only=True)
    """Whether names are screened, of payees and payers."""

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
        if self.rules is None:
            return evidence
        return await self._ruled(self.rules, requests, evidence)

    async def _scored(
        self, requests: Mapping[UUID, Request]
    ) -> Mapping[UUID, FraudScore | Unavailable]:
        """Return the models' scores; of a payment without one, that there is none."""
        if self.models is None or not requests:
            return {}
        found = await self.models.score({str(one.payment_id): one for one in requests.values()})
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
        by_account, by_name, payers, statuses = await asyncio.gather(
            self.sanctions.screen(debtors | unnamed),
            self._names(named),
            self._by_payers_name(requests),
            self.identities.statuses({one.user_id for one in requests.values()}),
        )
        found = dict[UUID, Evidence]()
        for name, one in requests.items():
            payee = self._named(one)
            creditor = by_account.get(one.to_account) if payee is None else by_name.get(payee.id)
            debtor, kyc = _debtor(one, by_account, payers), statuses.get(one.user_id)
            if debtor is not None and creditor is not None and kyc is not None:
                found[name] = _evidence(debtor, creditor, kyc)
        return found

    async def _by_payers_name(self, requests: Mapping[UUID, Request]) -> Matches | None:
        """Return the payers' screenings by name; None where no names are requested."""
        if self.payers is None or not self.takes_names:
            return None
        try:
            async with asyncio.timeout(PAYERS_DEADLINE_S):
                return await self._screened_payers(self.payers, list(requests.values()))
        except TimeoutError:
            _log.warning("look_up_failed", reason="payers took too long", count=len(requests))
            return {}

    async def _screened_payers(self, payers: PayerNames, requests: Sequence[Request]) -> Matches:
        users = {str(one.payment_id): one.user_id for one in requests}
        names = await payers.names(users) if users else {}
        named = [
            NamedParty(one.from_account, name, one.payment_id)
            for one in requests
            if (name := names.get(str(one.payment_id))) is not None
        ]
        unnamed = [payment for payment, name in names.items() if name is None]
        return {**dict.fromkeys(unnamed), **(await self._names(named))}

    async def _names(self, parties: Collection[NamedParty]) -> Mapping[str, Match]:
        return await self.sanctions.screen_names(parties) if parties else {}

    def _named(self, one: Request) -> NamedParty | None:
        if one.sealed_to_name is None or not self.takes_names:
            return None
        return NamedParty(one.to_account, one.sealed_to_name, one.payment_id)


def _debtor(one: Request, by_account: Mapping[str, Match], payers: Matches | None) -> Match | None:
    """Return the payer's screening; None without a result, also without one about the name."""
    account = by_account.get(one.from_account)
    if payers is None:
        return account
    payment = str(one.payment_id)
    if payment not in payers:
        return None
    return payers[payment] or account


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
