"""Settings of identity: an unusable one stops the start, with its name."""

import base64

import pytest

from identity.settings import Settings
from service_runtime.settings import load

KEYS = (
    "IDENTITY_SIGNING_FILE",
    "EMAIL_LOOKUP_KEY_FILE",
    "MAC_COMPLIANCE_IDENTITY_FILE",
    "SUBJECT_WRAPPING_KEY_FILE",
)


@pytest.fixture
def environment(monkeypatch, tmp_path):
    """Set what is required; return a function that sets more."""
    (tmp_path / "key").write_text(base64.b64encode(bytes(32)).decode())
    needed = {
        "PROFILE": "dev",
        "KAFKA_BOOTSTRAP_SERVERS": "localhost:9092",
        "REDIS_URL": "redis://localhost",
        "DATABASE_URL": "postgresql://identity@localhost/payments",
        "DATABASE_PASSWORD_FILE": str(tmp_path / "key"),
        "TOKEN_ISSUER": "https://pay.example",
        "TOKEN_AUDIENCE": "countersign",
        **dict.fromkeys(KEYS, str(tmp_path / "key")),
        "SUBJECT_KEY_FOLDER": str(tmp_path / "keys"),
    }
    for name, value in needed.items():
        monkeypatch.setenv(name, value)
    return lambda **values: [monkeypatch.setenv(*item) for item in values.items()]


def test_the_defaults_are_those_of_the_readme(environment):
    settings = load(Settings)
    rules = settings.session_rules
    assert (settings.token_life_s, settings.password_min_characters) == (900, 8)
    assert (rules.idle.days, rules.life.days, rules.most) == (7, 30, 20)
    assert rules.repeat_within.total_seconds() == 30


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TOKEN_LIFE_S", "901"),
        ("TOKEN_ISSUER", "https://pay.example/"),
        ("TOKEN_ISSUER", f"https://{'a' * 80}.example"),
        ("PASSWORD_MIN_CHARACTERS", "7"),
        ("IDENTITY_SIGNING_FILE", "/nowhere"),
        ("OPERATOR_AUDIENCE", "countersign"),
    ],
)
def test_an_invalid_setting_is_named_at_the_start(environment, capsys, name, value):
    environment(**{name: value})
    with pytest.raises(SystemExit):
        load(Settings)
    assert name in capsys.readouterr().err
