"""What every change of a profile shares: the event of its status, look-up values of documents."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from compliance.domain.kyc import Profile, announce
from compliance.store.kyc import Kyc
from payment_schemas.events.kyc import KycStatusChanged
from service_runtime.keys import KeyRing
from service_runtime.messages import Cause, Emit
from service_runtime.sealing import keyed_hash


async def announced(
    known: Profile, store: Kyc, cause: Cause, now: datetime, sealed: bytes | None = None
) -> list[Emit]:
    """Save a profile; return the event of a status that has changed."""
    profile, is_changed = announce(known, now)
    await store.save(profile, sealed)
    if not is_changed:
        return []
    event = KycStatusChanged(
        user_id=profile.user_id,
        version=profile.version,
        status=profile.announced,
        level=profile.verified_level,
        valid_until=profile.verified_until,
    )
    return [Emit(event, replace(cause, discriminator=f"{profile.user_id}/{profile.version}"))]


def number_hashes(ring: KeyRing, issuer: str, number: str) -> Sequence[str]:
    """Return the look-up values of a document's number, by the current key first."""
    return [keyed_hash(key.material, "document", issuer, number) for key in ring]
