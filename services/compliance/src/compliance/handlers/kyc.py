"""Due identity checks: the next call of the provider, and what follows from its reply."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from compliance.clients.onfido import Provider, ProviderRefusedError
from compliance.domain.kyc import Profile, Result, State, Validity, conclude
from compliance.store.kyc import Check, Document, Kyc
from compliance.store.kyc_changes import announced
from compliance.store.subjects import Subject, Subjects
from compliance.store.vault import Vault, opened_json
from service_runtime.errors import Unavailable
from service_runtime.messages import Batch, Due, Emit, Events
from service_runtime.subject_keys import ErasedError

REPORTS = {"BASIC": ("document",), "ENHANCED": ("document", "proof_of_address")}
"""What the provider checks for a level, by its names."""


@dataclass(frozen=True, slots=True)
class Policy:
    """When the provider is asked again, and when a person decides without it."""

    first_s: float
    most_s: float
    give_up: timedelta
    validity: Validity

    def next_at(self, attempts: int, now: datetime) -> datetime:
        """Return the time of the next call."""
        return now + timedelta(seconds=min(self.most_s, self.first_s * 2.0 ** min(attempts, 30)))


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a call needs, as of the claim."""

    subject: Subject | None
    profile: Profile
    sealed: bytes | None
    documents: Sequence[Document]


@dataclass(frozen=True, slots=True)
class Called:
    """The check after a call."""

    check: Check
    is_over: bool = False
    is_waiting: bool = False
    """Nothing more can be done now: the provider works, or is away."""


async def load(due: Sequence[Due[Check]], store: Kyc) -> Mapping[UUID, Loaded]:
    """Read what the checks need."""
    profiles = await store.locked({item.row.user_id for item in due})
    return {
        item.cause.id: Loaded(
            await Subjects(store.tx).found(item.row.user_id),
            profiles[item.row.user_id],
            await store.sealed(item.row.user_id),
            await store.documents(item.row.user_id, item.row.round),
        )
        for item in due
    }


@dataclass(frozen=True, slots=True)
class Caller:
    """Makes the next call of a check: each step is saved before the next one."""

    provider: Provider
    vault: Vault

    async def __call__(self, due: Due[Check], loaded: Loaded) -> Called:
        """Return the check after the call; a provider that is away is asked again later."""
        try:
            return await self._next(due.row, loaded)
        except (ErasedError, ProviderRefusedError):
            # Of the first nothing is left; about the second a person decides.
            return Called(due.row, is_over=True)
        except Unavailable:
            return Called(due.row, is_waiting=True)

    async def _next(self, check: Check, loaded: Loaded) -> Called:
        if check.provider_id is not None:
            result = (await self.provider.check(check.provider_id)).result
            done = replace(check, result=result)
            return Called(done, is_over=result is not None, is_waiting=result is None)
        key = await self.vault.key_of(loaded.subject)
        if check.applicant_id is None:
            if loaded.sealed is None:
                raise ErasedError
            stated = opened_json(key, loaded.sealed, f"kyc_profile/{check.user_id}")
            return Called(replace(check, applicant_id=await self.provider.create_applicant(stated)))
        for document in loaded.documents:
            if document.id not in check.sent:
                content = await self.vault.document(key, document.id)
                file = document.media_type, content
                await self.provider.upload(check.applicant_id, document.type, file)
                return Called(replace(check, sent=(*check.sent, document.id)))
        return Called(await self._begun(check, check.applicant_id, loaded))

    async def _begun(self, check: Check, applicant_id: str, loaded: Loaded) -> Check:
        """Begin the check, once: of a call whose reply was lost the provider knows."""
        found = list(await self.provider.checks_of(applicant_id))
        if not found:
            reports = REPORTS[loaded.profile.level]
            found = [await self.provider.create_check(applicant_id, reports)]
        return replace(check, provider_id=found[0].id)


async def on_called(batch: Batch[Due[Check], Called], store: Kyc, policy: Policy) -> Events:
    """Save the checks; a result ends its round, and a changed status is announced."""
    profiles = await store.locked({item.row.user_id for item in batch})
    events: list[Emit] = []
    for item in batch:
        called = batch.lookups[item.cause.id]
        check, is_over = called.check, called.is_over
        if not is_over and batch.now - check.created_at >= policy.give_up:
            # Who waits for a provider for days is decided about by a person.
            is_over = True
        due_at = None if is_over else batch.now
        if called.is_waiting and due_at:
            due_at = policy.next_at(item.attempts, batch.now)
        await store.save_check(replace(check, due_at=due_at), batch.now if is_over else None)
        if is_over:
            known = await _concluded(profiles[check.user_id], check, store, policy, batch.now)
            events += await announced(known, store, item.cause, batch.now)
    return events


async def _concluded(
    known: Profile, check: Check, store: Kyc, policy: Policy, now: datetime
) -> Profile:
    if known.round != check.round or known.state is not State.CHECKING:
        return known
    documents = await store.documents(check.user_id, check.round)
    numbers = [number for one in documents for number in one.numbers]
    result: Result = check.result or "consider"
    if numbers and await store.others_with(numbers, check.user_id):
        # One document for two people: a person looks at both.
        result = "consider"
    ends = [one.expires_on for one in documents if one.expires_on]
    until = policy.validity.until(known.level, now, ends)
    return conclude(known, result, until, now)
