"""Key rings: overlap, retirement and rotation while a process runs; signatures."""

import base64
from uuid import uuid4

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pydantic import BaseModel, ValidationError

from service_runtime import keys
from service_runtime.errors import Rejected
from service_runtime.keys import Key, KeyRing, Password, SecretKeys
from service_runtime.sealing import (
    Sealer,
    public_keys,
    sign,
    verify_signature,
)
from service_runtime.settings import ServiceSettings

OLD, NEW, NEXT = (bytes([number]) * 32 for number in (1, 2, 3))
PAYMENT = uuid4()


class Keyed(BaseModel):
    keys: SecretKeys


@pytest.fixture
def path(tmp_path):
    return tmp_path / "key"


@pytest.fixture
def write(path):
    def written(*materials):
        """As set-up does: a new file, renamed into place."""
        draft = path.with_suffix(".draft")
        draft.write_text("".join(f"{base64.b64encode(key).decode()}\n" for key in materials))
        draft.rename(path)

    return written


@pytest.fixture
def now(monkeypatch):
    seconds = [1000.0]
    monkeypatch.setattr(keys.time, "monotonic", lambda: seconds[0])
    return seconds


def test_a_file_with_one_key_is_a_ring(write, path):
    write(OLD)

    assert Keyed(keys=path).keys.current == Key(OLD)


def test_the_first_key_of_a_file_is_the_current_one(write, path):
    write(NEW, OLD)

    assert list(Keyed(keys=path).keys) == [Key(NEW), Key(OLD)]


def test_a_ring_shows_no_key(write, path):
    write(OLD)

    shown = repr(Keyed(keys=path)) + repr(list(KeyRing(OLD)))
    assert "keys" not in repr(Keyed(keys=path))
    assert repr(OLD) not in shown


@pytest.mark.parametrize(
    ("text", "rule"),
    [("", "is empty"), ("no base64!", "must hold base64"), ("c2hvcnQ=", "must hold 32 bytes")],
)
def test_a_file_with_an_invalid_line_is_refused(path, text, rule):
    path.write_text(f"{base64.b64encode(OLD).decode()}\n{text}\n" if text else text)

    with pytest.raises(ValidationError, match=rule):
        Keyed(keys=path)


def test_what_the_old_key_sealed_opens_during_the_overlap_and_not_after_retirement(
    write, path, now
):
    write(OLD)
    sealer = Sealer(KeyRing.of_file(path))
    sealed = sealer.seal("789012", PAYMENT)

    write(NEW, OLD)
    now[0] += keys.CHECK_EVERY_S
    assert sealer.open(sealed, PAYMENT).reveal() == "789012"
    assert sealer.seal("789012", PAYMENT).reveal().startswith(Key(NEW).id)

    write(NEW)
    now[0] += keys.CHECK_EVERY_S
    with pytest.raises(Rejected, match="unknown key id"):
        sealer.open(sealed, PAYMENT)


def test_a_rotation_loses_nothing_whichever_process_reads_the_file_first(write, path, now):
    write(OLD)
    sender, reader = (Sealer(KeyRing.of_file(path)) for _ in range(2))
    before = sender.seal("before", PAYMENT)
    write(NEW, OLD)
    late = sender.seal("late", PAYMENT)

    # The reader's next check is due later: a key that it does not know makes it look at once.
    other_sender = Sealer(KeyRing.of_file(path))
    after = other_sender.seal("after", PAYMENT)

    opened = [reader.open(one, PAYMENT).reveal() for one in (before, late, after)]
    assert opened == ["before", "late", "after"]


@pytest.mark.parametrize("damaged", ["", "no base64!", None])
def test_a_damaged_file_leaves_the_keys_in_use(write, path, now, damaged):
    write(OLD)
    ring = KeyRing.of_file(path)
    if damaged is None:
        path.unlink()
    else:
        path.write_text(damaged)
    now[0] += keys.CHECK_EVERY_S
    assert ring.current == Key(OLD)

    write(NEW)
    now[0] += keys.CHECK_EVERY_S
    assert ring.current == Key(NEW)


def test_a_file_is_looked_at_once_a_second_at_most(write, path, now, monkeypatch):
    write(OLD)
    ring = KeyRing.of_file(path)
    looks = []
    monkeypatch.setattr(keys, "state_of", looks.append)
    for _ in range(100):
        now[0] += 0.1
        assert ring.current

    assert len(looks) <= 11


def test_a_signature_is_verified_with_the_public_keys_alone():
    public = public_keys(KeyRing(NEW, OLD))

    for ring in (KeyRing(OLD), KeyRing(NEW, OLD)):
        verify_signature(public, sign(ring, b"root"), b"root")
    assert OLD not in public.values()
    for signature, message in (
        (sign(KeyRing(NEXT), b"root"), b"root"),
        (sign(KeyRing(OLD), b"root"), b"other"),
        ("nonsense", b"root"),
        (f"{Key(OLD).id}.!", b"root"),
    ):
        with pytest.raises(Rejected, match="signature: not valid"):
            verify_signature(public, signature, message)


def test_a_password_is_what_its_file_holds_at_each_login(path):
    path.write_text("first")
    password = Password.of_file(path)
    assert (password, f"{password}", password.encode()) == ("first", "first", b"first")
    path.with_suffix(".draft").write_text("second")
    path.with_suffix(".draft").rename(path)
    assert (f"{password}", password.encode("utf-8")) == ("second", b"second")
    path.unlink()
    assert password.encode() == b"second"
    assert (Password(), Password().encode(), f"{Password('fixed')}") == ("", b"", "fixed")


def test_the_settings_of_a_process_hold_passwords_that_can_change(path, monkeypatch):
    path.write_text("first")
    values = {"PROFILE": "dev", "PORT": "1", "KAFKA_BOOTSTRAP_SERVERS": "localhost:1"}
    values |= {"DATABASE_URL": "postgresql://a@localhost/b"}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    for name in ("DATABASE_PASSWORD_FILE", "KAFKA_PASSWORD_FILE"):
        monkeypatch.setenv(name, str(path))
    settings = ServiceSettings()
    path.write_text("second one")
    assert settings.brokers.password.encode() == b"second one"
    login = make_conninfo("", password=settings.database_password)
    assert list(conninfo_to_dict(login).values()) == ["second one"]
    assert "first" not in repr(settings)
    assert "second" not in repr(settings)
