"""`countersign keys`: rings are rotated and keys retired in their files, which services read."""

import base64
import hashlib
import json
import os
import time
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from typer.testing import CliRunner

from ops.command.main import app
from service_runtime.credentials import Credentials, callers_of
from service_runtime.encryption_keys import new_block, opening_keys, text_of
from service_runtime.keys import CHECK_EVERY_S, KeyRing, SecretFile, named_secrets_of


def line(letter):
    return base64.b64encode(letter * 32).decode() + "\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRETS_FOLDER", str(tmp_path))
    (tmp_path / "mac").write_text(line(b"o"))
    (tmp_path / "mac").chmod(0o444)
    (tmp_path / "token").write_text("x" * 43 + "\n")
    (tmp_path / ".draft").write_text(line(b"d"))
    return tmp_path


def run(*arguments):
    found = CliRunner().invoke(app, ["keys", *arguments])
    return found.exit_code if found.exception is None else str(found.exception), found.stdout


def ring(*arguments):
    code, out = run(*arguments, "--json")
    assert code == 0, code
    return json.loads(out)


def test_only_key_rings_are_listed(folder):
    [found] = ring("list")["rings"]
    assert (found["name"], found["accepted"]) == ("mac", [])
    assert "mac" in run("list")[1]


def test_a_rotated_key_is_used_and_its_predecessor_accepted(folder):
    old = ring("list")["rings"][0]["current"]
    process = KeyRing.of_file(folder / "mac")
    new = ring("rotate", "mac")
    assert new["accepted"] == [old]
    assert new["current"] != old
    # A process that meets the new key reads the file at once; others, within a second.
    assert process.find(new["current"]) is not None
    time.sleep(CHECK_EVERY_S)
    assert process.current.id == new["current"]
    assert process.find(old) is not None
    assert (folder / "mac").stat().st_mode & 0o777 == 0o444


def test_a_key_can_be_accepted_everywhere_before_it_is_used(folder):
    old = ring("list")["rings"][0]["current"]
    added = ring("rotate", "mac", "--accept-only")
    assert added["current"] == old
    assert ring("use", "mac", added["accepted"][0]) == {
        **added,
        "current": added["accepted"][0],
        "accepted": [old],
        "changed_at": ring("list")["rings"][0]["changed_at"],
    }


def test_a_key_is_retired_after_the_overlap_or_at_once(folder):
    old = ring("list")["rings"][0]["current"]
    ring("rotate", "mac")
    assert "may still be unread" in run("retire", "mac", old)[0]
    an_hour_ago = time.time() - 3601
    os.utime(folder / "mac", (an_hour_ago, an_hour_ago))
    assert ring("retire", "mac", old)["accepted"] == []
    current = ring("rotate", "mac")["accepted"][0]
    assert ring("retire", "mac", current, "--at-once")["accepted"] == []


def test_a_key_that_signs_for_banks_is_retired_after_the_days_in_which_they_may_read(folder):
    path = (folder / "mac").rename(folder / "partner-signing")
    old = ring("rotate", "partner-signing")["accepted"][0]
    days = time.time() - 29 * 86_400
    os.utime(path, (days, days))
    assert "may still be unread" in run("retire", "partner-signing", old)[0]
    days -= 86_401
    os.utime(path, (days, days))
    assert ring("retire", "partner-signing", old)["accepted"] == []


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def credential(folder):
    """Otp's credential, and what a service knows of it and the bearer that otp sends."""
    path, callers = folder / "internal-credential-otp", folder / "internal-credentials"
    path.write_text("first")
    known = {"otp": {"sha256": digest("first"), "scopes": ["contacts.query"]}}
    callers.write_text(json.dumps(known))
    service = Credentials(SecretFile(callers, callers_of))
    return lambda text: service.caller_with("contacts.query", f"Bearer {text}"), path


def test_a_credential_is_rotated_while_both_sides_run(credential):
    admitted, path = credential
    sent = SecretFile(path, str)
    [old] = [one for one in ring("list")["rings"] if one["name"] == path.name]
    new = ring("rotate", path.name)
    assert new["accepted"] == [old["current"]]
    second = path.read_text()
    # The service meets the new secret and reads the file at once; otp, within a second.
    assert (admitted(second), admitted("first"), admitted("guess")) == ("otp", "otp", None)
    assert sent.get(now=True) == second

    assert "may still be unread" in run("retire", path.name, old["current"])[0]
    assert ring("retire", path.name, old["current"], "--at-once")["accepted"] == []
    time.sleep(CHECK_EVERY_S)
    assert (admitted(second), admitted("first")) == ("otp", None)


def test_of_an_earlier_credential_only_the_hash_is_kept(credential, folder):
    _, path = credential
    old = ring("rotate", path.name)["accepted"][0]
    assert "only the hash is kept" in run("use", path.name, old)[0]
    assert "without --accept-only" in run("rotate", path.name, "--accept-only")[0]
    assert all("first" not in file.read_text() for file in folder.iterdir())


def test_a_partners_credential_is_accepted_before_it_is_used(folder):
    path = folder / "partner-credentials"
    path.write_text('{"first-bank": "one", "north-bank": "two"}')
    file = SecretFile(path, named_secrets_of)
    added = ring("rotate", "partner-credentials/first-bank", "--accept-only")
    assert file.get(now=True)["first-bank"][0] == "one"
    used = ring("use", "partner-credentials/first-bank", added["accepted"][0])
    assert used["accepted"] == [added["current"]]
    assert file.get(now=True)["first-bank"][1] == "one"
    ring("retire", "partner-credentials/first-bank", added["current"], "--at-once")
    assert len(file.get(now=True)["first-bank"]) == 1
    assert file.get()["north-bank"] == ["two"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("rotate", "nothing"), "no key ring is called 'nothing'"),
        (("rotate", "token"), "no key ring is called 'token'"),
        (("retire", "mac", "00000000"), "mac has no key '00000000'"),
        (("use", "mac", "00000000"), "mac has no key '00000000'"),
    ],
)
def test_an_unknown_ring_or_key_is_refused_by_name(folder, arguments, complaint):
    assert complaint in run(*arguments)[0]


def test_the_current_key_is_never_retired(folder):
    current = ring("list")["rings"][0]["current"]
    assert "is the current key" in run("retire", "mac", current, "--at-once")[0]


def test_a_missing_folder_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRETS_FOLDER", str(tmp_path / "none"))
    assert f"{tmp_path}/none: No such file" in run("list")[0]


@pytest.fixture
def encryption(folder):
    """A ring of keys of encrypted requests."""
    (folder / "e2e-passphrase").write_text("of the tests")
    path = folder / "e2e-ec"
    path.write_text(text_of([new_block("EC", "of the tests")]))
    path.chmod(0o400)
    return path


def opening(path):
    return opening_keys(path.read_text(), "of the tests")


def test_a_key_of_encrypted_requests_is_rotated_and_opens_for_a_day_more(encryption):
    [old] = [one["current"] for one in ring("list")["rings"] if one["name"] == "e2e-ec"]
    before = datetime.now(UTC)
    rotated = ring("rotate", "e2e-ec")

    current, replaced = opening(encryption)
    assert [current.kid, replaced.kid] == [rotated["current"], old]
    assert (current.kind, current.block.until) == ("EC", None)
    day = timedelta(hours=24)
    assert before + day <= replaced.block.until <= datetime.now(UTC) + day
    assert encryption.stat().st_mode & 0o777 == 0o400
    assert "may still be unread" in run("retire", "e2e-ec", old)[0]
    ago = time.time() - 25 * 3600 - 1
    os.utime(encryption, (ago, ago))
    assert ring("retire", "e2e-ec", old)["accepted"] == []
    assert [key.kid for key in opening(encryption)] == [current.kid]


def test_the_next_key_is_published_before_it_is_used(encryption):
    old = opening(encryption)[0].kid
    (added,) = ring("rotate", "e2e-ec", "--accept-only")["accepted"]
    assert [key.block.until for key in opening(encryption)] == [None, None]
    ring("use", "e2e-ec", added)
    current, replaced = opening(encryption)
    assert (current.kid, current.block.until, replaced.kid) == (added, None, old)
    assert replaced.block.until is not None
    # Back again: the first one is used, and opens without an end.
    ring("use", "e2e-ec", old)
    current, replaced = opening(encryption)
    assert (current.kid, current.block.until) == (old, None)
    assert replaced.block.until is not None


def test_a_third_rotation_leaves_the_end_of_the_first_key(encryption):
    ring("rotate", "e2e-ec")
    first_end = opening(encryption)[1].block.until
    ring("rotate", "e2e-ec")
    assert opening(encryption)[2].block.until == first_end


def test_a_key_in_a_token_is_added_by_its_public_part(encryption, tmp_path):
    private = ec.generate_private_key(ec.SECP256R1())
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / ".public.pem").write_bytes(pem)
    rotated = ring("rotate", "e2e-ec", "--public", str(tmp_path / ".public.pem"))
    current, _ = opening(encryption)
    assert (current.kid, current.private) == (rotated["current"], None)
    assert "are kept elsewhere" in run("rotate", "e2e-ec")[0]
    assert (
        "has no public keys" in run("rotate", "mac", "--public", str(tmp_path / ".public.pem"))[0]
    )
    (tmp_path / ".public.pem").write_text("no key")
    assert "cannot be used" in run("rotate", "e2e-ec", "--public", str(tmp_path / ".public.pem"))[0]
