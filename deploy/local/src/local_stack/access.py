"""Principals and rights on a broker: applied at every start, so that it holds exactly those.

Set-up's own two users are made when the storage is formatted; the other passwords are set here,
except those of partner banks, which only the banks hold: `countersign partners add` sets them.
"""

import asyncio
from collections.abc import Iterable, Mapping

from aiokafka.admin import AIOKafkaAdminClient

from kafka_access.partners import Names, partners_of, rights_of
from kafka_access.rules import Right, apply_rights
from kafka_access.users import set_passwords, users_of
from local_stack.rights import SUPERUSERS


async def apply_access(
    admin: AIOKafkaAdminClient, passwords: Mapping[str, str], wanted: Iterable[Right]
) -> int:
    """Set passwords and rights, remove all others but those of partners; return their number."""
    partners = {Names(partner).principal for partner in await partners_of(admin)}
    known = await users_of(admin) - partners
    changed = {user: text for user, text in passwords.items() if user not in SUPERUSERS}
    rights = await with_partners(admin, wanted)
    await asyncio.gather(
        set_passwords(admin, changed, sorted(known - passwords.keys())),
        apply_rights(admin, rights),
    )
    return len(rights)


async def with_partners(admin: AIOKafkaAdminClient, rights: Iterable[Right]) -> set[Right]:
    """The rights, and those of every partner bank that can log in."""
    partners = await partners_of(admin)
    return {*rights, *(right for partner in partners for right in rights_of(partner))}
