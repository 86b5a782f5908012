"""Key rings: overlap, retirement and rotation while a process runs; MACs and signatures."""

import base64
from uuid import uuid4

import pytest
from pydantic import BaseModel, ValidationError

from service_runtime import keys
from service_runtime.errors import Rejected
from service_runtime.keys import Key, KeyRing, SecretKeys
from service_runtime.sealing import (
    Sealer,
    mac_of,
    public_keys,
    sign,
    verify_mac,
    verify_signature,
)

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
    monkeypatch.setattr(keys, "_state_of", looks.append)
    for _ in range(100):
        now[0] += 0.1
        assert ring.current

    assert len(looks) <= 11


def test_a_mac_of_the_old_key_is_valid_during_the_overlap_only():
    mac = mac_of(KeyRing(OLD), "topic", b"value")

    verify_mac(KeyRing(NEW, OLD), mac, "topic", b"value")
    with pytest.raises(Rejected, match="mac: not valid"):
        verify_mac(KeyRing(NEW), mac, "topic", b"value")


@pytest.mark.parametrize("mac", ["", "x", f"{Key(OLD).id}.", f"{Key(OLD).id}.é"])
def test_a_mac_over_other_parts_or_a_malformed_one_is_refused(mac):
    ring = KeyRing(OLD)
    for wrong, parts in ((mac, ("topic",)), (mac_of(ring, "topic"), ("topi", "c"))):
        with pytest.raises(Rejected):
            verify_mac(ring, wrong, *parts)


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
