"""Erased persons: what was known of them goes, and nothing of them is added again."""

from collections.abc import Collection

from service_runtime.postgres import PostgresTransaction


class ErasedSubjects:
    """Erased persons within one transaction."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self._tx = tx

    async def erase(self, user_ids: Collection[str]) -> None:
        """Remove all that is known of users; may be repeated."""
        users = sorted(set(user_ids))
        await self._tx.run(
            """insert into erased_subject (user_id) select unnest(%(users)s::text[])
               on conflict do nothing""",
            users=users,
        )
        await self._tx.run("delete from explanation where user_id = any(%(users)s)", users=users)
        await self._tx.run("delete from known_payment where user_id = any(%(users)s)", users=users)

    async def erase_again(self) -> None:
        """Remove what was added while its person was erased."""
        await self._tx.run(
            "delete from explanation where user_id in (select user_id from erased_subject)"
        )
        await self._tx.run(
            "delete from known_payment where user_id in (select user_id from erased_subject)"
        )
