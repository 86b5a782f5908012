"""Secrets: made once, kept, and readable by nobody else on the machine."""

import base64
import hashlib
import json
import re
import stat

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from local_stack.credentials import Credentials, secret_names
from local_stack.errors import StackError
from local_stack.inventory import load_inventory
from ops.clients import key_files
from service_runtime.encryption_keys import opening_keys


@pytest.fixture
def made(tmp_path):
    credentials = Credentials(tmp_path / "secrets")
    credentials.make(load_inventory())
    return credentials


def test_every_secret_that_a_service_names_is_made(made):
    inventory = load_inventory()
    templates = [text for one in inventory.services.values() for text in one.environment.values()]
    named = set(re.findall(r"\{secret:([a-z-]+)\}", " ".join(templates)))
    assert "otp-sealing-key" in named
    assert named <= set(secret_names(inventory)) == {file.name for file in made.folder.iterdir()}
    assert all(made.read(name) for name in named)


def test_only_the_owner_can_enter_the_folder(made):
    assert stat.S_IMODE(made.folder.stat().st_mode) == 0o700


def test_a_second_set_up_keeps_every_secret(made):
    before = {file.name: file.read_text() for file in made.folder.iterdir()}
    made.make(load_inventory())
    assert {file.name: file.read_text() for file in made.folder.iterdir()} == before


def test_a_missing_secret_is_made_again_with_its_digest(made):
    before = made.read("internal-credential-ops")
    made.path("internal-credential-ops").unlink()
    made.make(load_inventory())
    known = json.loads(made.read("internal-credentials"))
    after = made.read("internal-credential-ops")
    assert after != before
    assert known["ops"]["sha256"] == [hashlib.sha256(after.encode()).hexdigest()]


def test_a_set_up_during_a_rotation_keeps_the_accepted_secrets(made):
    ring = key_files.add(
        key_files.ring_of(made.folder, "internal-credential-otp"), accept_only=False
    )
    made.make(load_inventory())
    assert key_files.ring_of(made.folder, ring.name).ids == ring.ids
    assert len(ring.ids) == 2


def test_keys_are_32_bytes_and_all_different(made):
    names = ["otp-sealing-key", "notification-sealing-key", "code-tag-key", "code-key"]
    keys = {base64.b64decode(made.read(name), validate=True) for name in names}
    assert {len(key) for key in keys} == {32}
    assert len(keys) == len(names)


@pytest.mark.parametrize(("name", "kind"), [("e2e-ec", "EC"), ("e2e-rsa", "RSA")])
def test_keys_of_encrypted_requests_are_readable_by_their_owner_alone(made, name, kind):
    (key,) = opening_keys(made.read(name), made.read("e2e-passphrase"))
    assert key.kind == kind
    assert stat.S_IMODE(made.path(name).stat().st_mode) == 0o400
    # A container has another user, who reads the mounted file.
    Credentials(made.folder, private_mode=0o444).make(load_inventory())
    assert stat.S_IMODE(made.path(name).stat().st_mode) == 0o444


def test_each_caller_has_the_scopes_of_its_job(made):
    known = json.loads(made.read("internal-credentials"))
    scopes = {caller: one["scopes"] for caller, one in known.items()}
    assert scopes == {
        "gateway": ["payment.read", "clients.forward"],
        "otp": ["contacts.query"],
        "risk": ["screenings.query", "compliance.check", "fraud.score"],
        "ops": ["check.read"],
        "prometheus": ["metrics.read"],
    }


def test_the_issuers_key_is_an_ed25519_private_key(made):
    key = load_pem_private_key(made.read("issuer-key").encode(), password=None)
    assert isinstance(key, Ed25519PrivateKey)


def test_every_partner_has_its_own_secret(made):
    partners = json.loads(made.read("partner-credentials"))
    assert sorted(partners) == ["first-bank", "north-bank", "south-bank"]
    assert len(set(partners.values())) == 3


def test_a_secret_that_was_never_made_is_named(tmp_path):
    with pytest.raises(StackError, match="secret code-key is missing"):
        Credentials(tmp_path).read("code-key")
