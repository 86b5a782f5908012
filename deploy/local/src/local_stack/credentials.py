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
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from local_stack.certificates import AUTHORITY, Authority, certificate_name, certificate_names
from local_stack.errors import StackError
from local_stack.inventory import Inventory
from local_stack.rights import SUPERUSERS, principals
from local_stack.settings import transport_is_tls, user_settings
from service_runtime.brokers import Brokers
from service_runtime.credentials import callers_of
from service_runtime.encryption_keys import KeyType, new_block, text_of
from service_runtime.production import DEVELOPMENT_MARK

ADMIN_PASSWORD = "database-admin"  # noqa: S105 - the name of a file
MONITOR_PASSWORD = "database-monitor"  # noqa: S105 - the name of a file
CALLERS = "internal-credentials"
"""The hashes by which services know their callers."""
PARTNERS = ("first-bank", "north-bank", "south-bank")
SCRAPER = "prometheus"
KAFKA_LOGIN = "kafka-login"
"""JAAS: what the brokers log in with among themselves, and to the controller."""
KAFKA_FORMAT = "kafka-format"
"""Arguments of `java`: the tool that formats the storage, and the cluster's first two users."""
POSTGRES_HBA = "postgres-hba"
"""Who may connect to PostgreSQL: nobody without a password, with TLS on nobody without TLS."""
_HBA = "local all all scram-sha-256\n{host} all all all scram-sha-256"
REDIS_USERS = "redis-users"
"""Redis' users: the hash of each password, keys and commands."""
PASSPHRASE = "e2e-passphrase"  # noqa: S105 - the name of a file
SERVERS = ("kafka", "postgres", "redis")
_KEY_BYTES = 32
# The controller is the first to read the log that holds the users: it takes PLAIN, from this file.
_LOGIN = """\
KafkaServer {{
  org.apache.kafka.common.security.scram.ScramLoginModule required
    username="broker" password="{broker}";
  org.apache.kafka.common.security.plain.PlainLoginModule required
    username="broker" password="{broker}" user_broker="{broker}";
}};"""
_FORMAT = """\
kafka.tools.StorageTool format --ignore-formatted
--add-scram "SCRAM-SHA-512=[name=broker,password={broker}]"
--add-scram "SCRAM-SHA-512=[name=admin,password={admin}]"
"""

# What the limits' script and a connection use: no list of keys, no other user.
_REDIS_SERVICE = (
    "resetchannels ~limit/* -@all +evalsha +eval +script|load +time +lindex +lpush +ltrim +expire"
    " +select +ping"
)
# A selector, so that these commands act on these keys alone; none is listed.
_REDIS_SESSIONS = " (~session/{service}/* +getex +getdel +set +del)"
_REDIS_CACHE = " (~cache/{service}/* +get +set)"
_REDIS_RIGHTS = {"admin": "~* &* +@all", "monitor": "resetchannels -@all +info +ping +select"}


@dataclass(frozen=True, slots=True)
class Credentials:
    """The secrets folder of one stack."""

    folder: Path
    private_mode: int = 0o400
    """Of files with private keys. A container has another user, and mounts what all may read."""

    def path(self, name: str) -> Path:
        return self.folder / name

    def read(self, name: str) -> str:
        """The secret's text. Raises StackError where set-up has not made it."""
        try:
            return self.path(name).read_text().strip()
        except FileNotFoundError:
            raise StackError(f"secret {name} is missing in {self.folder}: run set-up") from None

    def brokers(self, servers: str, principal: str, *, tls: bool) -> Brokers:
        """What a principal connects to Kafka with."""
        password = self.read(principal_name(principal))
        return Brokers(servers, principal, password, str(self.path(AUTHORITY)) if tls else "")

    def database_options(self, *, tls: bool) -> str:
        """The end of a connection string to PostgreSQL that verifies its certificate with TLS."""
        return f"?sslmode=verify-full&sslrootcert={self.path(AUTHORITY)}" if tls else ""

    def transport(self) -> dict[str, Any]:
        """The fields of an environment's place with TLS."""
        return {
            "scheme": "https",
            "redis_scheme": "rediss",
            "postgres_tls": self.database_options(tls=True),
            "tls_ca": str(self.path(AUTHORITY)),
            "http_tls": lambda service: str(self.path(certificate_name(service))),
        }

    def make(self, inventory: Inventory) -> None:
        """Make missing secrets; keep existing ones."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        for name, new in _recipes(inventory).items():
            if not self.path(name).exists():
                self.write(name, new())
        self._make_encryption_keys(inventory)
        self.write(CALLERS, self._known_callers(scopes_of(inventory)))
        self.write(POSTGRES_HBA, _HBA.format(host="hostssl" if transport_is_tls() else "host"))
        self.write(REDIS_USERS, self._redis_users(inventory))
        broker, admin = (self.read(principal_name(user)) for user in SUPERUSERS)
        Authority(self.folder, self.write).issue(with_certificate(inventory))
        self.write(KAFKA_LOGIN, _LOGIN.format(broker=broker))
        self.write(KAFKA_FORMAT, _FORMAT.format(broker=broker, admin=admin))

    def _make_encryption_keys(self, inventory: Inventory) -> None:
        for name, kind in _encryption_rings(inventory).items():
            if not self.path(name).exists():
                self.write(name, text_of([new_block(kind, self.read(PASSPHRASE))]).strip())
            self.path(name).chmod(self.private_mode)

    def _redis_users(self, inventory: Inventory) -> str:
        def hashed(user: str) -> str:
            return hashlib.sha256(self.read(redis_name(user)).encode()).hexdigest()

        lines = [
            f"user {user} on #{hashed(user)} {_redis_rights(inventory, user)}"
            for user in _redis_users(inventory)
        ]
        return "\n".join(("user default off", *lines))

    def kafka_passwords(self, inventory: Inventory) -> dict[str, str]:
        """The password of every principal."""
        return {user: self.read(principal_name(user)) for user in principals(inventory)}

    def _known_callers(self, scopes_by_caller: Mapping[str, Sequence[str]]) -> str:
        callers = {
            caller: {"sha256": self._accepted(caller), "scopes": scopes}
            for caller, scopes in scopes_by_caller.items()
        }
        return json.dumps(callers, indent=2)

    def _accepted(self, caller: str) -> list[str]:
        """The hash of a caller's secret, with those that a rotation still accepts."""
        current = hashlib.sha256(self.read(credential_name(caller)).encode()).hexdigest()
        file = self.path(CALLERS)
        known = callers_of(file.read_text()).get(caller) if file.exists() else None
        # A secret that was replaced by hand has no accepted predecessors.
        return known.sha256 if known and current in known.sha256 else [current]

    def write(self, name: str, text: str) -> None:
        """Write a secret in place of an older one."""
        # Renamed into place, so that no reader sees a half-written secret.
        draft = self.path(f".{name}.{os.getpid()}")
        # No newline at the end: the collector takes the whole text of a file as the password.
        draft.write_text(text)
        draft.chmod(0o444)
        draft.rename(self.path(name))


def _recipes(inventory: Inventory) -> dict[str, Callable[[], str]]:
    """How each secret is made, by name."""
    names = (ADMIN_PASSWORD, MONITOR_PASSWORD, "grafana-admin")
    recipes: dict[str, Callable[[], str]] = dict.fromkeys(names, new_token)
    recipes |= {
        name: _KINDS[kind] for name, kind in inventory.made.items() if kind not in _ENCRYPTION
    }
    recipes |= {credential_name(caller): new_token for caller in scopes_of(inventory)}
    recipes |= {redis_name(user): new_token for user in _redis_users(inventory)}
    recipes |= {principal_name(user): new_token for user in principals(inventory)}
    for service in inventory.with_database:
        recipes |= {
            password_name(service.name): new_token,
            owner_password_name(service.name): new_token,
        }
    return recipes


def _encryption_rings(inventory: Inventory) -> dict[str, KeyType]:
    """The secrets that are rings of private keys, and the type of their keys."""
    made = inventory.made.items()
    return {name: _ENCRYPTION[kind] for name, kind in made if kind in _ENCRYPTION}


def scopes_of(inventory: Inventory) -> dict[str, Sequence[str]]:
    """The scopes of each caller of internal routes: services, and Prometheus."""
    scopes = {one.name: one.scopes for one in inventory.services.values() if one.scopes}
    return {**scopes, SCRAPER: ["metrics.read"]}


def password_name(role: str) -> str:
    """The secret that holds the password of a service's database role."""
    return f"database-{role}"


def redis_name(user: str) -> str:
    """The secret that holds the password of a user of Redis."""
    return f"redis-{user}"


def _redis_users(inventory: Inventory) -> tuple[str, ...]:
    services = (one.name for one in inventory.services.values() if "redis" in one.needs)
    return (*_REDIS_RIGHTS, *services)


def _redis_rights(inventory: Inventory, user: str) -> str:
    """What a user of Redis may do, in the words of its list of users."""
    if user in _REDIS_RIGHTS:
        return _REDIS_RIGHTS[user]
    service = inventory.service(user)
    more = (_REDIS_SESSIONS if service.sessions else "") + (_REDIS_CACHE if service.caches else "")
    return _REDIS_SERVICE + more.format(service=user)


def principal_name(user: str) -> str:
    """The secret that holds the password of a Kafka principal."""
    return f"kafka-{user}"


def bank_key_name(bank: str) -> str:
    """The secret that a partner bank of this stack signs with."""
    return f"partner-key-{bank}"


def credential_name(caller: str) -> str:
    """The secret that a caller of internal routes presents."""
    return f"internal-credential-{caller}"


def owner_password_name(service: str) -> str:
    """The secret that holds the password of the role that owns a service's schema."""
    return f"database-{service}-owner"


def with_certificate(inventory: Inventory) -> tuple[str, ...]:
    """What shows a certificate: servers, services, and Prometheus as a client."""
    return (*SERVERS, SCRAPER, *(one.name for one in inventory.ours))


def secret_names(inventory: Inventory) -> tuple[str, ...]:
    """Every secret that `Credentials.make` makes."""
    derived = (CALLERS, POSTGRES_HBA, REDIS_USERS, KAFKA_LOGIN, KAFKA_FORMAT)
    rings = _encryption_rings(inventory)
    return (*_recipes(inventory), *rings, *derived, *certificate_names(with_certificate(inventory)))


def _key() -> str:
    mark = _mark().encode()
    return base64.b64encode(mark + os.urandom(_KEY_BYTES - len(mark))).decode()


def new_token() -> str:
    """32 random bytes as text."""
    return _mark() + base64.urlsafe_b64encode(os.urandom(_KEY_BYTES)).decode().rstrip("=")


def _mark() -> str:
    """By which production recognises a secret that was made for development."""
    return "" if user_settings(["PROFILE"]).get("PROFILE") == "prod" else DEVELOPMENT_MARK


def _private_key() -> str:
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem.decode().strip()


_KINDS: Mapping[str, Callable[[], str]] = {
    "key": _key,
    "token": new_token,
    "signing-key": _private_key,
    "sendgrid-key": lambda: f"SG.{new_token()}",
    "partner-secrets": lambda: json.dumps({name: new_token() for name in PARTNERS}),
}
"""The kinds of secret that a manifest can name in `made`, beside `_ENCRYPTION`."""
_ENCRYPTION: Mapping[str, KeyType] = {"e2e-ec-keys": "EC", "e2e-rsa-keys": "RSA"}
