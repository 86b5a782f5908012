"""Keys, passwords and tokens: made once at set-up, stored as files, never committed.

The files are readable by all users, in a folder that only its owner may enter: a container's user
can read a mounted file, other users of this machine cannot reach it.
"""

import base64
import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from local_stack.errors import StackError
from local_stack.inventory import Inventory

ADMIN_PASSWORD = "database-admin"  # noqa: S105 - the name of a file
MONITOR_PASSWORD = "database-monitor"  # noqa: S105 - the name of a file
PARTNERS = ("first-bank", "north-bank", "south-bank")
SCRAPER = "prometheus"
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Credentials:
    """The secrets folder of one stack."""

    folder: Path

    def path(self, name: str) -> Path:
        return self.folder / name

    def read(self, name: str) -> str:
        """The secret's text. Raises StackError where set-up has not made it."""
        try:
            return self.path(name).read_text().strip()
        except FileNotFoundError:
            raise StackError(f"secret {name} is missing in {self.folder}: run set-up") from None

    def make(self, inventory: Inventory) -> None:
        """Make missing secrets; keep existing ones."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        for name, new in _recipes(inventory).items():
            if not self.path(name).exists():
                self._write(name, new())
        self._write("internal-credentials", self._known_callers(scopes_of(inventory)))

    def _known_callers(self, scopes_by_caller: Mapping[str, Sequence[str]]) -> str:
        callers = {
            caller: {
                "sha256": hashlib.sha256(self.read(credential_name(caller)).encode()).hexdigest(),
                "scopes": scopes,
            }
            for caller, scopes in scopes_by_caller.items()
        }
        return json.dumps(callers, indent=2)

    def _write(self, name: str, text: str) -> None:
        # Renamed into place, so that no reader sees a half-written secret.
        draft = self.path(f".{name}.{os.getpid()}")
        draft.write_text(text + "\n")
        draft.chmod(0o444)
        draft.rename(self.path(name))


def _recipes(inventory: Inventory) -> dict[str, Callable[[], str]]:
    """How each secret is made, by name."""
    names = (ADMIN_PASSWORD, MONITOR_PASSWORD, "grafana-admin")
    recipes: dict[str, Callable[[], str]] = dict.fromkeys(names, _token)
    recipes |= {name: _KINDS[kind] for name, kind in inventory.made.items()}
    recipes |= {credential_name(caller): _token for caller in scopes_of(inventory)}
    for service in inventory.with_database:
        recipes |= {password_name(service.name): _token, owner_password_name(service.name): _token}
    return recipes


def scopes_of(inventory: Inventory) -> dict[str, Sequence[str]]:
    """The scopes of each caller of internal routes: services, and Prometheus."""
    scopes = {one.name: one.scopes for one in inventory.services.values() if one.scopes}
    return {**scopes, SCRAPER: ["metrics.read"]}


def password_name(role: str) -> str:
    """The secret that holds the password of a service's database role."""
    return f"database-{role}"


def credential_name(caller: str) -> str:
    """The secret that a caller of internal routes presents."""
    return f"internal-credential-{caller}"


def owner_password_name(service: str) -> str:
    """The secret that holds the password of the role that owns a service's schema."""
    return f"database-{service}-owner"


def secret_names(inventory: Inventory) -> tuple[str, ...]:
    """Every secret that `Credentials.make` makes."""
    return (*_recipes(inventory), "internal-credentials")


def _key() -> str:
    return base64.b64encode(os.urandom(_KEY_BYTES)).decode()


def _token() -> str:
    return base64.urlsafe_b64encode(os.urandom(_KEY_BYTES)).decode().rstrip("=")


def _private_key() -> str:
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem.decode().strip()


_KINDS: Mapping[str, Callable[[], str]] = {
    "key": _key,
    "token": _token,
    "signing-key": _private_key,
    "sendgrid-key": lambda: f"SG.{_token()}",
    "partner-secrets": lambda: json.dumps({name: _token() for name in PARTNERS}),
}
"""The kinds of secret that a manifest can name in `made`."""
