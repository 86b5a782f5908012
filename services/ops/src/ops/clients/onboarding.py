"""Adds a partner bank: what it has on Kafka, its password, its profile, and the files for it.

Every step can be repeated. A password is written to the bank's folder before the broker takes it,
so that a repeat after a crash at any point uses the same one.
"""

import base64
import os
from dataclasses import dataclass
from pathlib import Path

from ops.clients.listings import PARTNERS
from ops.clients.partner_access import PartnerAccess
from ops.clients.partner_contract import write_contract
from ops.clients.partner_files import Connection, PartnerFiles
from ops.clients.partner_profiles import profile_of
from ops.clients.system import System
from ops.domain.partners import Profile, known_as

_PASSWORD_BYTES = 32


@dataclass(frozen=True, slots=True)
class Onboarding:
    """The places where a partner is known."""

    system: System
    access: PartnerAccess
    files: PartnerFiles
    connection: Connection

    def add(self, wanted: Profile, password: str | None = None) -> bool:
        """Add a partner, or complete it; return whether the folder holds its password.

        A partner that has a password keeps it, unless one is given. Raises RefusedError where
        another profile has the name or an account prefix.
        """
        is_known = known_as(wanted, self.system.rows(PARTNERS))
        self.access.apply(wanted.partner, wanted.partitions)
        if password or not self.access.has_password(wanted.partner):
            given = password or self.files.kept_password() or new_password()
            self._give_password(wanted.partner, wanted.format, given)
        if not is_known:
            self.system.post("settlement", PARTNERS.path, wanted.body)
        return self.files.kept_password() is not None

    def write_contract(self, wanted: Profile) -> Path:
        """Write the contract of the messages; return the path of its AsyncAPI document."""
        return write_contract(self.files, wanted, self.connection)

    def rotate(self, partner: str) -> None:
        """Replace a partner's password, which is audited first."""
        profile = profile_of(self.system, partner)
        self.system.post("ops", f"{PARTNERS.path}/{partner}/rotations", {})
        self._give_password(partner, profile["format"], new_password())

    def _give_password(self, partner: str, message_format: str, password: str) -> None:
        self.files.write_properties(partner, message_format, password, self.connection)
        self.access.set_password(partner, password)


def onboarding_of(system: System, partner: str, folder: Path | None) -> Onboarding:
    """Return the places of a partner."""
    addresses = system.addresses
    administrator = addresses.administrator()
    servers = addresses.partner_brokers or administrator.servers
    authority = addresses.partner_tls_ca or administrator.tls_ca
    return Onboarding(
        system,
        PartnerAccess(administrator),
        PartnerFiles(folder or Path(f"partner-{partner}")),
        Connection(servers, authority, addresses.url("gateway")),
    )


def new_password() -> str:
    """Return 32 random bytes as text."""
    return base64.urlsafe_b64encode(os.urandom(_PASSWORD_BYTES)).decode().rstrip("=")
