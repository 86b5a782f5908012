"""Jobs of personal data: keys of erased subjects are destroyed, verifications end by time."""

from collections.abc import Sequence
from dataclasses import dataclass

from compliance.clients.onfido import Provider
from compliance.store.kyc import Kyc
from compliance.store.kyc_changes import announced
from compliance.store.subjects import MOST_LISTED, Subject, Subjects
from compliance.store.vault import Vault
from payment_schemas.events.record import AuditRecorded
from service_runtime.clock import Clock
from service_runtime.jobs import Run
from service_runtime.messages import Cause, Emit, ProducerRecord
from service_runtime.postgres import PostgresDatabase, PostgresTransaction
from service_runtime.unit_of_work import UnitOfWork

SERVICE = "compliance"
SLICE = 100


@dataclass(frozen=True, slots=True)
class SubjectJobs:
    """What is done for subjects without a request."""

    vault: Vault
    provider: Provider
    database: PostgresDatabase
    unit: UnitOfWork
    clock: Clock

    async def destroy(self, _run: Run) -> None:
        """Destroy the keys of erased subjects, then what they had sealed, here and elsewhere.

        A subject whose objects or applicant cannot be deleted now is done again at the next run;
        its key is gone by then.
        """
        async with self.database.transaction() as tx:
            found = await Subjects(tx).to_destroy(SLICE)
        for subject in found:
            await self.vault.keys.destroy(subject.key_id)
        for subject in found:
            await self._forget(subject)

    async def look_after_keys(self, _run: Run) -> None:
        """Find subjects whose key is gone, and wrap the keys of others anew after a rotation.

        A database that is restored from before an erasure has forgotten it; nothing in the rows can
        be read, and here they go.
        """
        after = ""
        while True:
            async with self.database.transaction() as tx:
                page = await Subjects(tx).readable(after, MOST_LISTED)
            for subject in page:
                if await self.vault.keys.is_destroyed(subject.key_id):
                    await self._forget(subject)
                elif await self.vault.keys.needs_wrapping(subject.key_id):
                    await self._wrap_again(subject)
            if len(page) < MOST_LISTED:
                return
            after = page[-1].user_id

    async def expire(self, _run: Run) -> None:
        """Announce verifications that have ended by time."""
        while await self._expired():
            pass

    async def _wrap_again(self, subject: Subject) -> None:
        async with self.database.transaction() as tx:
            # Whoever erases the subject waits: its key would be back.
            found = await Subjects(tx).found(subject.user_id)
            if found is not None and not found.is_erased:
                await self.vault.keys.wrap_again(found.key_id)

    async def _forget(self, subject: Subject) -> None:
        async with self.database.transaction() as tx:
            documents = await Kyc(tx).documents(subject.user_id)
            applicants = await Kyc(tx).applicants(subject.user_id)
        await self.vault.delete([one.id for one in documents])
        for applicant_id in applicants:
            await self.provider.delete_applicant(applicant_id)
        cause = Cause(self.clock.new_id())

        async def write(tx: PostgresTransaction) -> Sequence[ProducerRecord]:
            await Subjects(tx).destroyed(subject.user_id, self.clock.now())
            event = AuditRecorded(
                actor=SERVICE, action="SUBJECT_KEY_DESTROYED", about=subject.user_id
            )
            return [Emit(event, cause).outgoing(SERVICE, self.clock.now())]

        await self.unit.run_in_transaction(write)

    async def _expired(self) -> int:
        now, cause, count = self.clock.now(), Cause(self.clock.new_id()), [0]

        async def write(tx: PostgresTransaction) -> Sequence[ProducerRecord]:
            store = Kyc(tx)
            profiles = await store.locked(await store.to_expire(now, SLICE))
            count[0] = len(profiles)
            emits = [
                emit
                for one in profiles.values()
                for emit in await announced(one, store, cause, now)
            ]
            return [emit.outgoing(SERVICE, now) for emit in emits]

        await self.unit.run_in_transaction(write)
        return count[0]
