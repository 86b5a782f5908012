"""One key for one attempt: over tries, threads, processes and restarts."""

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from contract_cases import PAYMENT
from scripted_gateway import ScriptedGateway

from countersign_client import CountersignError, FileAttempts, MemoryAttempts, Undecided

LOST = {"failure": "connection"}


@pytest.fixture(params=["memory", "file"])
def attempts(request, tmp_path):
    return MemoryAttempts() if request.param == "memory" else FileAttempts(tmp_path / "attempts")


def keys_of(attempts, *changes):
    """Return the key of each call: none has a response."""
    keys = []
    for change in changes:
        gateway = ScriptedGateway([LOST] * 9)
        client = gateway.client("Client", attempts=attempts)
        with pytest.raises(Undecided):
            client.confirm(**{**PAYMENT, "deadline_s": 0.1, **change})
        [key] = set(gateway.keys)
        keys.append(key)
    return keys


def test_a_key_is_random(tmp_path):
    one, two = keys_of(MemoryAttempts(), {}) + keys_of(FileAttempts(tmp_path), {})
    assert one != two
    assert uuid.UUID(one).version == uuid.UUID(two).version == 4


def test_the_same_attempt_has_the_same_key_whatever_else_changes(attempts):
    changes = [{}, {"amount": "50"}, {"amount": Decimal("5E+1")}, {"amount": 50}]
    changes += [{"otp_code": "123456"}, {"deadline_s": 0.2}, {"code": lambda _: None}]
    assert len(set(keys_of(attempts, *changes))) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"amount": "50.01"},
        {"currency": "EUR"},
        {"from_account": "acc-2"},
        {"to_account": "payee-xyz"},
        {"transaction_id": "tx-2"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_other_parameters_are_another_attempt(attempts, change):
    one, two = keys_of(attempts, {}, change)
    assert one != two


def test_a_key_is_forgotten_only_by_its_own_attempt(attempts):
    old = attempts.key_of("tx-1", "old")
    new = attempts.key_of("tx-1", "new")
    attempts.forget("tx-1", old)
    assert attempts.key_of("tx-1", "new") == new
    attempts.forget("tx-1", new)
    attempts.forget("tx-1", new)
    assert attempts.key_of("tx-1", "new") != new


def test_calls_at_once_have_one_key(attempts, monkeypatch):
    def slow(made=uuid.uuid4):
        time.sleep(0.02)
        return made()

    monkeypatch.setattr(uuid, "uuid4", slow)
    with ThreadPoolExecutor(8) as threads:
        keys = threads.map(lambda _: attempts.key_of("tx-1", "same"), range(40))
    assert len(set(keys)) == 1


def test_a_file_keeps_the_key_over_a_restart(tmp_path):
    before = keys_of(FileAttempts(tmp_path), {})
    assert keys_of(FileAttempts(tmp_path), {}) == before


def test_the_key_is_stored_before_it_is_sent(attempts):
    """The process ends before the response: the next one has the key."""

    def killed(_required):
        raise KeyboardInterrupt

    asked = {"status": 403, "body": {"status": "OTP_REQUIRED", "expires_in": 300}}
    gateway = ScriptedGateway([asked])
    with pytest.raises(KeyboardInterrupt):
        gateway.client("Client", attempts=attempts).confirm(**PAYMENT, code=killed)
    assert keys_of(attempts, {}) == gateway.keys


def test_files_are_private_and_have_no_parameters(tmp_path):
    keys_of(FileAttempts(tmp_path), {}, {"amount": "51.00"})
    [file] = tmp_path.iterdir()
    assert file.stat().st_mode & 0o077 == 0
    assert not any(value in file.read_text() for value in ("acc-1", "payee-known", "tx-1"))


def test_a_finished_attempt_leaves_no_file(tmp_path):
    declined = {"status": "DECLINED", "transaction_id": "tx-1", "reason": "timed_out"}
    gateway = ScriptedGateway([{"status": 403, "body": declined}])
    with pytest.raises(CountersignError):
        gateway.client("Client", attempts=FileAttempts(tmp_path)).confirm(**PAYMENT)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_is_an_error_and_no_new_key(tmp_path):
    keys_of(FileAttempts(tmp_path), {})
    [file] = tmp_path.iterdir()
    file.write_text("[")
    gateway = ScriptedGateway([])
    with pytest.raises(ValueError, match=file.name):
        gateway.client("Client", attempts=FileAttempts(tmp_path)).confirm(**PAYMENT)
    assert gateway.sent == []


def test_memory_is_bounded_by_forgetting_the_oldest(monkeypatch):
    monkeypatch.setattr("countersign_client.attempts.MOST_IN_MEMORY", 2)
    attempts = MemoryAttempts()
    one, two, _three = (attempts.key_of(transaction, "") for transaction in "123")
    assert attempts.key_of("2", "") == two
    assert attempts.key_of("1", "") != one
