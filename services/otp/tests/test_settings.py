"""Settings from the environment."""

import base64

import pytest

from otp.settings import Settings
from service_runtime.settings import load


@pytest.fixture
def environment(tmp_path, monkeypatch):
    def key(name, letter):
        path = tmp_path / name
        path.write_text(base64.b64encode(letter * 32).decode())
        return str(path)

    names = {
        "PROFILE": "dev",
        "PORT": "3012",
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9092",
        "DATABASE_URL": "postgresql://otp@127.0.0.1/countersign",
        "DATABASE_PASSWORD_FILE": key("password", b"p"),
        "OTP_SEALING_KEY_FILE": key("otp", b"o"),
        "NOTIFICATION_SEALING_KEY_FILE": key("notification", b"n"),
        "MAC_CONFIRM_OTP_FILE": key("mac", b"m"),
        "CODE_KEY_FILE": key("code", b"c"),
        "NOTIFICATION_URLS": "http://127.0.0.1:3014, http://127.0.0.1:4014",
        "INTERNAL_CREDENTIAL_FILE": key("internal", b"i"),
    }
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.mark.parametrize(
    ("profile", "fixed_code", "code"),
    [
        pytest.param("dev", None, "789012", id="development has a fixed code"),
        pytest.param("dev", "123456", "123456", id="development with another fixed code"),
        pytest.param("dev", "", "", id="development with random codes"),
        pytest.param("prod", None, "", id="production has random codes"),
        pytest.param("prod", "", "", id="production with an empty code"),
    ],
)
def test_codes_are_fixed_in_development_only(environment, profile, fixed_code, code):
    environment.setenv("PROFILE", profile)
    if fixed_code is not None:
        environment.setenv("FIXED_CODE", fixed_code)
    assert Settings().code_for_everyone == code


def refusal(capsys):
    with pytest.raises(SystemExit) as exit_:
        load(Settings)
    assert exit_.value.code == 2
    return capsys.readouterr().err


def test_production_refuses_to_start_with_a_fixed_code(environment, capsys):
    environment.setenv("PROFILE", "prod")
    environment.setenv("FIXED_CODE", "789012")
    message = refusal(capsys)
    assert "FIXED_CODE" in message
    assert "must not be set with PROFILE=prod" in message


@pytest.mark.parametrize("code", ["12345", "1234567", "abcdef", "12345\n"])
def test_a_fixed_code_has_six_digits(environment, capsys, code):
    environment.setenv("FIXED_CODE", code)
    assert "FIXED_CODE" in refusal(capsys)


@pytest.mark.parametrize("name", ["OTP_SEALING_KEY_FILE", "CODE_KEY_FILE"])
def test_equal_keys_of_different_purposes_are_refused(environment, capsys, tmp_path, name):
    environment.setenv(name, str(tmp_path / "notification"))
    assert "different keys" in refusal(capsys)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WRONG_CODES_IN_A_ROW", "101"),
        ("NOTIFICATION_URLS", ""),
        ("CODE_LIFE_S", "0"),
        ("CODE_ATTEMPTS", "6"),
        ("CODE_KEY_FILE", "/nowhere"),
    ],
)
def test_a_bad_setting_is_reported_by_its_name(environment, capsys, name, value):
    environment.setenv(name, value)
    assert name in refusal(capsys)


def test_the_text_of_the_settings_contains_no_key(environment):
    assert "cccc" not in repr(load(Settings))
