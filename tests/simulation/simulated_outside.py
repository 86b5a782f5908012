"""External services in memory: partner banks, look-ups, providers. They survive the crashes.

There is a labelled point before and after each call; the effect of a call is permanent.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from uuid import UUID

from simulated_names import LISTED, payer_name_of

from notification.clients.messengers import MemoryMessenger
from notification.domain import Attempt, Kind, Message
from otp.clients import WITHIN_S
from payment_schemas.ids import Uetr
from payment_schemas.money import Money
from payment_schemas.sealed import Sealed
from risk.clients import Match, MemoryIdentities, MemoryRules, MemorySanctionsList
from risk.clients.sanctions import NamedParty
from service_runtime.sealing import Sealer
from settlement.domain import BankResponse, Instruction
from settlement.domain import Kind as Said
from testkit.simulation.chance import Faults
from testkit.simulation.life import Life
from testkit.simulation.loop import VirtualLoop
from testkit.simulation.processes import Parts

TIMEOUT_S = 3.0
BOOKED_LATER_S = 10.0
"""Seconds until a late payee's bank has booked."""
LANDS_WITHIN_S = 8.0
"""Maximum delay of a request that has timed out."""


@dataclass(frozen=True)
class Movement:
    """A movement of money at a bank."""

    uetr: Uetr
    transaction_id: str
    debtor_account: str
    money: Money


@dataclass
class BankLedger:
    """One partner's durable ledger: each UETR has one outcome; `movements` has the bookings."""

    loop: VirtualLoop
    books_repeats: bool = False
    """Not idempotent: a repeated UETR moves money again."""
    dropped: set[Uetr] = field(default_factory=set)
    """Transfers to lost payees whose first message was lost."""
    outcomes: dict[Uetr, Said] = field(default_factory=dict)
    late_until: dict[Uetr, float] = field(default_factory=dict)
    movements: list[Movement] = field(default_factory=list)

    def enter(self, instruction: Instruction) -> None:
        """Accept a transfer; a repeated UETR changes nothing, unless repeats are booked."""
        uetr = instruction.uetr
        is_known = uetr in self.outcomes or uetr in self.late_until
        if is_known and not self.books_repeats:
            return
        if "late" in instruction.creditor_account:
            self.late_until[uetr] = self.loop.time() + BOOKED_LATER_S
            self.loop.call_later(BOOKED_LATER_S, self._decide, instruction)
        else:
            self._decide(instruction)

    def _decide(self, instruction: Instruction) -> None:
        uetr = instruction.uetr
        self.late_until.pop(uetr, None)
        if "rejected" in instruction.creditor_account:
            self.outcomes[uetr] = Said.REJECTED
            return
        self.outcomes[uetr] = Said.ACCEPTED
        self.movements.append(
            Movement(
                uetr, instruction.transaction_id, instruction.debtor_account, instruction.money
            )
        )

    def drops(self, instructions: Sequence[Instruction]) -> bool:
        """Say whether a message is the first one for a lost payee, which is lost."""
        lost = {one.uetr for one in instructions if "lost" in one.creditor_account}
        first = lost - self.dropped
        self.dropped |= first
        return bool(first)

    def refuses(self, instructions: Sequence[Instruction]) -> bool:
        """Say whether a message contains a transfer that the bank refuses."""
        return any("refused" in one.creditor_account for one in instructions)

    def status_of(self, instruction: Instruction) -> BankResponse:
        """Return the status of a transfer."""
        uetr = instruction.uetr
        if "garbled" in instruction.creditor_account:
            return BankResponse(Said.UNCLEAR)
        if uetr in self.late_until:
            return BankResponse(Said.PENDING)
        kind = self.outcomes.get(uetr, Said.NOT_FOUND)
        return BankResponse(kind, "account_closed" if kind is Said.REJECTED else None)


@dataclass
class BankLine:
    """A process's connection to a partner bank; requests and responses can be lost."""

    book: BankLedger
    life: Life
    faults: Faults
    is_open: bool = False

    async def send(self, instructions: Sequence[Instruction]) -> Mapping[Uetr, BankResponse]:
        await self.life.point("bank.send")
        if self.book.drops(instructions):
            return await self._nothing(instructions)
        if self._is_lost():
            if self.faults.has(0.5):
                self._arrive_later(instructions)
            return await self._nothing(instructions)
        if self.book.refuses(instructions):
            return await self._refused(instructions)
        for instruction in instructions:
            self.book.enter(instruction)
        await self.life.point("bank.took")
        silent = any("silent" in one.creditor_account for one in instructions)
        return await self._answered(instructions, silent=silent)

    async def enquire(self, instructions: Sequence[Instruction]) -> Mapping[Uetr, BankResponse]:
        await self.life.point("bank.enquire")
        if self._is_lost():
            return await self._nothing(instructions)
        return await self._answered(instructions, silent=False)

    async def _answered(
        self, instructions: Sequence[Instruction], *, silent: bool
    ) -> Mapping[Uetr, BankResponse]:
        if silent or self._is_lost():
            return await self._nothing(instructions)
        answers = {one.uetr: self.book.status_of(one) for one in instructions}
        await asyncio.sleep(self.faults.hop_s())
        await self.life.point("bank.answered")
        return answers

    async def _refused(self, instructions: Sequence[Instruction]) -> Mapping[Uetr, BankResponse]:
        if self._is_lost():
            return await self._nothing(instructions)
        await asyncio.sleep(self.faults.hop_s())
        await self.life.point("bank.refused")
        refused = BankResponse(Said.REFUSED)
        return {one.uetr: refused for one in instructions}

    async def _nothing(self, instructions: Sequence[Instruction]) -> Mapping[Uetr, BankResponse]:
        await asyncio.sleep(TIMEOUT_S)
        await self.life.point("bank.silent")
        return {one.uetr: BankResponse(Said.NO_ANSWER) for one in instructions}

    def _is_lost(self) -> bool:
        return self.faults.has(self.faults.rates.outside)

    def _arrive_later(self, instructions: Sequence[Instruction]) -> None:
        if self.book.refuses(instructions):
            return
        later_s = TIMEOUT_S + self.faults.chance.random() * LANDS_WITHIN_S
        for instruction in instructions:
            self.book.loop.call_later(later_s, self.book.enter, instruction)


@dataclass
class Outside:
    """All external services."""

    banks: dict[str, BankLedger]
    seed: int
    sanctions: MemorySanctionsList = field(default_factory=MemorySanctionsList)
    identities: MemoryIdentities = field(default_factory=MemoryIdentities)
    messenger: MemoryMessenger = field(default_factory=MemoryMessenger)
    unreachable: set[str] = field(default_factory=set)
    """Users without a contact."""
    screened: set[str] = field(default_factory=set)
    """Accounts that were screened as not listed."""
    screened_names: set[tuple[UUID, str]] = field(default_factory=set)
    """Payments and accounts of which the name was screened as not listed."""
    listed_names: set[tuple[UUID, str]] = field(default_factory=set)
    """Payments and accounts of which the name was screened as listed."""
    unnamed: set[UUID] = field(default_factory=set)
    """Payments of whose payer compliance said that it knows no name."""
    verified: set[str] = field(default_factory=set)
    """Users whose identity status was returned."""
    rules: MemoryRules = field(default_factory=MemoryRules)
    ruled: set[str] = field(default_factory=set)
    """Payments that the rules of compliance were evaluated for, by id."""


@dataclass
class LookUpLine:
    """A process's connection to the look-ups; a lost call returns none of its names."""

    outside: Outside
    parts: Parts
    sealer: Sealer
    """Opens names, as the service screening does, and seals payers', as compliance does."""

    async def names(self, payers: Mapping[str, str]) -> Mapping[str, Sealed | None]:
        async with self._call("payers") as lost:
            if lost:
                return {}
            known = {one: payer_name_of(UUID(one), self.outside.seed) for one in payers}
            self.outside.unnamed |= {UUID(one) for one, name in known.items() if name is None}
        return {
            one: None if name is None else self.sealer.seal(name, UUID(one))
            for one, name in known.items()
        }

    async def screen_names(self, parties: Collection[NamedParty]) -> Mapping[str, Match]:
        async with self._call("names") as lost:
            if lost:
                return {}
            by_account = await self.outside.sanctions.screen({one.account for one in parties})
            found = {one.id: self._named(one, by_account[one.account]) for one in parties}
            clear = [one for one in parties if not found[one.id].hit]
            self.outside.screened |= {one.account for one in clear}
            self.outside.screened_names |= {(one.payment_id, one.account) for one in clear}
        return found

    def _named(self, party: NamedParty, account: Match) -> Match:
        is_listed = self.sealer.open(party.sealed_name, party.payment_id).reveal() == LISTED
        if is_listed:
            self.outside.listed_names.add((party.payment_id, party.account))
        return replace(account, hit=account.hit or is_listed, by=("account", "name"))

    async def screen(self, accounts: Collection[str]) -> Mapping[str, Match]:
        async with self._call("ofac") as lost:
            if lost:
                return {}
            found = await self.outside.sanctions.screen(accounts)
            self.outside.screened |= {name for name, match in found.items() if not match.hit}
        return found

    async def statuses(self, user_ids: Collection[str]):
        async with self._call("kyc") as lost:
            if lost:
                return {}
            found = await self.outside.identities.statuses(user_ids)
            self.outside.verified |= set(found)
        return found

    async def check(self, payments):
        async with self._call("compliance") as lost:
            if lost:
                return {}
            found = await self.outside.rules.check(payments)
            self.outside.ruled |= set(found)
        return found

    @asynccontextmanager
    async def _call(self, name: str):
        faults = self.parts.faults
        await self.parts.life.point(f"{name}.ask")
        lost = faults.has(faults.rates.outside)
        await asyncio.sleep(TIMEOUT_S if lost else faults.hop_s())
        yield lost
        await self.parts.life.point(f"{name}.answered")


@dataclass
class MessengerLine:
    """A process's connection to the message providers."""

    outside: Outside
    parts: Parts
    is_open: bool = False

    async def deliver(self, messages: Sequence[Message]) -> Mapping:
        faults, life = self.parts.faults, self.parts.life
        await life.point("message.send")
        if faults.has(faults.rates.outside):
            await asyncio.sleep(TIMEOUT_S)
            return {one.delivery_id: Attempt(Kind.NOT_TAKEN, "lost") for one in messages}
        taken = await self.outside.messenger.deliver(messages)
        await life.point("message.taken")
        return taken


@dataclass
class ContactsLine:
    """A process's connection to notification, for users with a verified contact.

    It is an internal service, but the call can fail like an external one.
    """

    outside: Outside
    parts: Parts

    async def reachable(self, user_ids: Collection[str]) -> Mapping[str, bool]:
        faults = self.parts.faults
        await self.parts.life.point("contacts.ask")
        if faults.has(faults.rates.outside):
            await asyncio.sleep(WITHIN_S)
            return {}
        await asyncio.sleep(faults.hop_s())
        await self.parts.life.point("contacts.answered")
        return {name: name not in self.outside.unreachable for name in user_ids}
