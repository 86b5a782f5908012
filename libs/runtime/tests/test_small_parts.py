"""Back-off, sealing, settings, logs, folding and emitting."""

import base64
import json
import subprocess
import sys
from dataclasses import dataclass, replace
from types import SimpleNamespace
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payment_schemas.cloudevents import read_attributes
from payment_schemas.ids import event_id_of
from payment_schemas.sealed import Sealed
from service_runtime.backoff import FIRST_S, MOST_S, delay_s
from service_runtime.clock import SystemClock
from service_runtime.errors import Rejected
from service_runtime.keys import SecretKeys
from service_runtime.messages import Cause, Emit, fold
from service_runtime.sealing import Sealer, keyed_hash
from service_runtime.settings import ServiceSettings, load
from testkit.events import NOON
from testkit.probe import Tallied


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_a_delay_is_bounded_and_never_zero(attempt, chance):
    wait_s = delay_s(attempt, SimpleNamespace(jitter=lambda: chance))

    assert FIRST_S / 2 <= wait_s <= MOST_S


def test_delays_double_until_the_bound():
    full = SimpleNamespace(jitter=lambda: 1.0)

    delays = [delay_s(attempt, full) for attempt in range(1, 12)]

    assert delays[:4] == [0.2, 0.4, 0.8, 1.6]
    assert delays[-1] == MOST_S


def test_random_text_is_of_the_alphabet_and_differs():
    clock = SystemClock()
    drawn = {clock.text("0123456789abcdef", 32) for _ in range(200)}

    assert len(drawn) == 200
    assert set("".join(drawn)) <= set("0123456789abcdef")
    assert 0 <= clock.jitter() < 1
    assert clock.now().utcoffset().total_seconds() == 0
    assert clock.new_id().version == 4


SEALER = Sealer(b"k" * 32)
PAYMENT, OTHER = uuid4(), uuid4()


@given(st.text(max_size=50))
def test_a_sealed_code_is_opened_for_its_payment(secret):
    assert SEALER.open(SEALER.seal(secret, PAYMENT), PAYMENT).reveal() == secret


def test_two_seals_of_one_code_do_not_look_alike():
    assert SEALER.seal("789012", PAYMENT).reveal() != SEALER.seal("789012", PAYMENT).reveal()


def tampered(sealed):
    key_id, _, text = sealed.reveal().partition(".")
    raw = bytearray(base64.urlsafe_b64decode(text))
    raw[-1] ^= 1
    return Sealed(f"{key_id}.{base64.urlsafe_b64encode(bytes(raw)).decode()}")


@pytest.mark.parametrize(
    ("sealed", "payment"),
    [
        pytest.param(SEALER.seal("789012", PAYMENT), OTHER, id="moved to another payment"),
        pytest.param(Sealer(b"x" * 32).seal("789012", PAYMENT), PAYMENT, id="another key"),
        pytest.param(tampered(SEALER.seal("789012", PAYMENT)), PAYMENT, id="tampered with"),
        pytest.param(Sealed(SEALER.seal("1", PAYMENT).reveal()[:20]), PAYMENT, id="cut short"),
        pytest.param(Sealed(""), PAYMENT, id="empty"),
        pytest.param(Sealed("nonsense"), PAYMENT, id="no seal"),
        pytest.param(
            Sealed(SEALER.seal("1", PAYMENT).reveal()[:9] + "ü!"), PAYMENT, id="no base64"
        ),
    ],
)
def test_a_text_that_is_no_seal_of_this_key_is_rejected_and_not_quoted(sealed, payment):
    with pytest.raises(Rejected) as refused:
        SEALER.open(sealed, payment)

    assert "789012" not in str(refused.value)
    assert not sealed.reveal() or sealed.reveal() not in str(refused.value)


def test_an_opened_secret_prints_as_stars():
    opened = SEALER.open(SEALER.seal("789012", PAYMENT), PAYMENT)

    assert (str(opened), f"{opened}", repr([opened])) == ("***", "***", "['***']")


@given(st.lists(st.text(max_size=4), max_size=4), st.lists(st.text(max_size=4), max_size=4))
def test_a_keyed_hash_keeps_its_parts_apart(one, other):
    same = keyed_hash(b"key", *one) == keyed_hash(b"key", *other)

    assert same is (one == other)
    assert keyed_hash(b"key", *one) != keyed_hash(b"other", *one)


@pytest.fixture
def environment(monkeypatch, tmp_path):
    (tmp_path / "password").write_text("secret-canary\n")
    for name, value in {
        "PORT": "3010",
        "KAFKA_BOOTSTRAP_SERVERS": "kafka:9092",
        "DATABASE_URL": "postgresql://confirm@db/countersign",
        "DATABASE_PASSWORD_FILE": str(tmp_path / "password"),
    }.items():
        monkeypatch.setenv(name, value)
    return monkeypatch, tmp_path


def test_settings_come_from_the_environment_and_secrets_from_files(environment):
    settings = ServiceSettings()

    assert (settings.port, settings.database_password) == (3010, "secret-canary")
    assert settings.profile == "prod"
    assert "secret-canary" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "0"),
        ("PORT", "many"),
        ("INSTANCE", "-1"),
        ("PROFILE", "test"),
        ("LOG_LEVEL", "LOUD"),
        ("DATABASE_POOL_SIZE", "1"),
        ("BATCH_RECORDS", "0"),
        ("TRACE_SAMPLE", "2"),
        ("DATABASE_PASSWORD_FILE", "nowhere/to/be/found"),
        ("INTERNAL_CREDENTIALS_FILE", "nowhere/to/be/found"),
    ],
)
def test_a_wrong_setting_is_named_and_ends_the_process_with_status_2(
    environment, capsys, name, value
):
    environment[0].setenv(name, value)

    with pytest.raises(SystemExit) as left:
        load(ServiceSettings)

    assert left.value.code == 2
    assert capsys.readouterr().err.startswith(f"{name}: ")


@pytest.mark.parametrize(
    "name", ["PORT", "KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL", "DATABASE_PASSWORD_FILE"]
)
def test_a_missing_setting_is_named(environment, capsys, name):
    environment[0].delenv(name)

    with pytest.raises(SystemExit):
        load(ServiceSettings)

    assert capsys.readouterr().err.startswith(f"{name}: Field required")


@pytest.mark.parametrize(
    "text", ["nonsense", "[]", '{"ops":1}', '{"ops":{"sha256":"ab","scopes":[]}}', ""]
)
def test_a_malformed_file_of_callers_is_named(environment, capsys, text):
    monkeypatch, folder = environment
    (folder / "callers").write_text(text)
    monkeypatch.setenv("INTERNAL_CREDENTIALS_FILE", str(folder / "callers"))

    with pytest.raises(SystemExit):
        load(ServiceSettings)

    assert capsys.readouterr().err.startswith("INTERNAL_CREDENTIALS_FILE: ")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "is empty"),
        ("not base64!", "must hold base64"),
        (base64.b64encode(b"short").decode(), "must hold 32 bytes"),
    ],
)
def test_a_malformed_key_is_refused_and_not_quoted(environment, capsys, text, complaint):
    class Keyed(ServiceSettings):
        code_key_file: SecretKeys

    monkeypatch, folder = environment
    (folder / "key").write_text(text)
    monkeypatch.setenv("CODE_KEY_FILE", str(folder / "key"))

    with pytest.raises(SystemExit):
        load(Keyed)

    said = capsys.readouterr().err
    assert said.startswith("CODE_KEY_FILE: ")
    assert complaint in said
    assert not text or text not in said


@pytest.fixture
def log_lines():
    """The standard output of a separate process."""

    def lines(program):
        code = "import logging\nfrom service_runtime import logs\n"
        code += f"logs.configure('confirm', 1, 'INFO')\n{program}\n"
        done = subprocess.run(  # noqa: S603 - the program is this file's own
            [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=20
        )
        assert done.stderr == ""
        return [json.loads(line) for line in done.stdout.splitlines()]

    return lines


def test_a_line_holds_allowed_fields_and_no_others(log_lines):
    (line,) = log_lines("logs.Log('consumer').info('waiting', attempts=3, code='789012', name='x')")

    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "INFO",
        "service": "confirm",
        "instance": 1,
        "logger": "countersign.consumer",
        "event": "waiting",
        "attempts": 3,
    }


def test_a_line_break_in_a_field_starts_no_line(log_lines):
    (line,) = log_lines(r"""logs.Log('web').info('failed', reason='a\n{"event": "paid"}\u2028b')""")

    assert (line["event"], line["reason"]) == ("failed", 'a\n{"event": "paid"}\u2028b')


def test_a_line_of_a_library_shows_only_its_logger(log_lines):
    (line,) = log_lines("logging.getLogger('some.library').warning('to %s', 'a@example.com')")

    assert line["event"] == "some.library"
    assert "example.com" not in json.dumps(line)


def test_an_exception_is_logged_by_its_class_alone(log_lines):
    (line,) = log_lines(
        "try:\n    raise KeyError('+15550100456')\n"
        "except KeyError:\n    logging.getLogger('countersign.x').exception('failed')"
    )

    assert line["error_class"] == "KeyError"
    assert "0100456" not in json.dumps(line)


@dataclass(frozen=True)
class Add:
    state: int
    events: tuple = ()


def test_a_fold_decides_each_item_on_the_state_after_the_previous_one():
    items = [SimpleNamespace(name=name, by=by, cause=Cause(UUID(int=by)))
             for name, by in [("a", 1), ("b", 2), ("a", 3), ("b", 0)]]  # fmt: skip
    told = Tallied(lane="a", number=1)

    def add(state, item):
        return Add(state + item.by, (told,)) if item.by else Add(state)

    outcome = fold(items, {"a": 10, "b": 20}, lambda item: item.name, add)

    assert outcome.changed == {"a": 14, "b": 22}
    assert [emit.cause.id.int for emit in outcome.events] == [1, 2, 3]

    with pytest.raises(Rejected, match="about something unknown: other"):
        fold([SimpleNamespace(name="other", by=1)], {"a": 10}, lambda item: item.name, add)


def test_a_second_run_of_one_cause_makes_the_same_event():
    cause = Cause(UUID(int=1), (("traceparent", "00-1-2-01"),))
    emit = Emit(Tallied(lane="a", number=1), cause)

    first, second = emit.outgoing("probe", NOON), emit.outgoing("probe", NOON)
    later = replace(emit, cause=replace(cause, discriminator="2")).outgoing("probe", NOON)

    ce_type, attributes = read_attributes(first.headers)
    assert first == second
    assert ce_type == "probe.tallied.v1"
    assert attributes.id == event_id_of(UUID(int=1), "probe.tallied.v1")
    assert attributes.trace == cause.trace
    assert read_attributes(later.headers)[1].id != attributes.id
