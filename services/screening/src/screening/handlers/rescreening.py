"""After a change of a list: open payments and known payees are screened again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from payment_schemas.events.risk import Party as PartyOfPayment
from payment_schemas.sealed import Personal, Sealed
from screening.clients import Current, Lists, Subject, screen
from screening.domain.analysis import Party
from screening.domain.rescreening import NewHit, ScreenedPayment, new_hit, review_of
from screening.domain.results import normalised
from screening.store import Exceptions, Payments
from service_runtime import metrics
from service_runtime.clock import Clock
from service_runtime.errors import Rejected
from service_runtime.jobs import Run
from service_runtime.logs import Log
from service_runtime.messages import Cause, Emit, ProducerRecord
from service_runtime.ports import Database
from service_runtime.postgres import PostgresTransaction
from service_runtime.sealing import Sealer
from service_runtime.unit_of_work import UnitOfWork

PAGE = 100
"""Payments of one transaction; some 50 ms of names."""
_log = Log("rescreening")
_screened = metrics.counter("rescreened", "Payments that were screened again, by result.")


@dataclass(frozen=True, slots=True)
class Rescreening:
    """The job that screens again what other versions of the lists have screened."""

    lists: Lists
    sealer: Sealer
    database: Database
    unit: UnitOfWork
    service: str
    clock: Clock

    async def run(self, run: Run) -> None:
        """Screen all of it with the lists of now; a page's hits are one commit with its rows."""
        while await self._page(run):
            pass

    async def _page(self, run: Run) -> int:
        """Screen some payments; return their number."""
        current = self.lists.current
        async with self.database.transaction() as tx:
            payments = await Payments(tx).of_other_lists(current.version, PAGE)
        if not payments:
            return 0
        names = {one.payment_id: self._name(one) for one in payments}
        hits = await self._hits(current, payments, names)
        await self.unit.run_in_transaction(partial(self._save, run, current, names, hits))
        hit = len({one.payment.payment_id for one in hits})
        _screened.add(len(payments) - hit, {"result": "clear"})
        _screened.add(hit, {"result": "hit"})
        return len(payments)

    def _name(self, payment: ScreenedPayment) -> Personal | None:
        """Return the payee's name; None where none is known, or its key is retired."""
        if payment.sealed_to_name is None:
            return None
        try:
            return self.sealer.open(Sealed(payment.sealed_to_name), payment.payment_id)
        except Rejected as error:
            _screened.add(1, {"result": "unopened"})
            _log.warning("rescreened_without_name", reason=str(error))
            return None

    async def _hits(
        self,
        current: Current,
        payments: Sequence[ScreenedPayment],
        names: Mapping[UUID, Personal | None],
    ) -> list[NewHit]:
        debtors = [Subject(one.from_account) for one in payments]
        creditors = [_payee(one.to_account, names[one.payment_id]) for one in payments]
        found = []
        parties: tuple[tuple[PartyOfPayment, list[Subject]], ...]
        parties = ("debtor", debtors), ("creditor", creditors)
        for party, subjects in parties:
            outcomes = await screen(current, subjects, self._excepted)
            pairs = zip(payments, outcomes, strict=True)
            found += [hit for one, outcome in pairs if (hit := new_hit(one, party, outcome))]
        return found

    async def _excepted(self, accounts: set[str]) -> Mapping[str, frozenset[str]]:
        async with self.database.transaction() as tx:
            return await Exceptions(tx).of(accounts)

    async def _save(
        self,
        run: Run,
        current: Current,
        names: Mapping[UUID, Personal | None],
        hits: Sequence[NewHit],
        tx: PostgresTransaction,
    ) -> list[ProducerRecord]:
        await run.held.fence(tx)
        # Sealed under the current key: the one before may be retired after a change of the lists.
        sealed = {
            name: known and self.sealer.seal(known.reveal(), name).reveal()
            for name, known in names.items()
        }
        await Payments(tx).screened(current.version, sealed)
        new = await Payments(tx).report(hits) if hits else []
        now = self.clock.now()
        return [_case(hit).outgoing(self.service, now) for hit in new]


def _payee(account_id: str, name: Personal | None) -> Subject:
    return Subject(account_id, Party(normalised(name.reveal())) if name else None)


def _case(hit: NewHit) -> Emit:
    step = f"{hit.party}:{hit.list_name}:{hit.entry_id}"
    return Emit(review_of(hit), Cause(hit.payment.payment_id, discriminator=step))
