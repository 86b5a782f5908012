"""Production refuses to be lax; each refusal names the setting and what to do."""

import base64
import os

import pytest

from service_runtime.edge import EdgeSettings
from service_runtime.keys import SecretKeys
from service_runtime.production import faults_of
from service_runtime.settings import Field, KafkaSettings, SecretText, ServiceSettings, load


class Settings(EdgeSettings, ServiceSettings):
    """Every kind of setting that production judges."""

    confirm_urls: list[str] = Field(default_factory=list)
    provider_token: SecretText = Field(validation_alias="PROVIDER_TOKEN_FILE")
    one_keys: SecretKeys = Field(validation_alias="ONE_KEY_FILE")
    other_keys: SecretKeys = Field(validation_alias="OTHER_KEY_FILE")


def key(material):
    return base64.b64encode(material).decode()


@pytest.fixture
def environment(monkeypatch, tmp_path):
    """The environment of a system that is set up for production, with changes."""

    def secret(name, text):
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    def set_up(**changed):
        fields = {
            "PROFILE": "prod",
            "PORT": "3000",
            "KAFKA_BOOTSTRAP_SERVERS": "kafka:9092",
            "KAFKA_TLS_CA": "/ca.pem",
            "KAFKA_USER": "gateway",
            "KAFKA_PASSWORD_FILE": secret("kafka", "one"),
            "DATABASE_URL": "postgresql://a@db/b?sslmode=verify-full&sslrootcert=/ca.pem",
            "DATABASE_PASSWORD_FILE": secret("database", "two"),
            "REDIS_URL": "rediss://redis:6379/0",
            "REDIS_PASSWORD_FILE": secret("redis", "three"),
            "JWKS_URL": "https://issuer.example/jwks",
            "TOKEN_ISSUER": "https://issuer.example",
            "TOKEN_AUDIENCE": "countersign",
            "CONFIRM_URLS": '["https://confirm:3010"]',
            "PROVIDER_TOKEN_FILE": secret("provider", "four"),
            "ONE_KEY_FILE": secret("one-key", key(os.urandom(32))),
            "OTHER_KEY_FILE": secret("other-key", key(os.urandom(32))),
        }
        for name, value in fields.items():
            text = changed.get(name, value)
            changes_file = name.endswith("_FILE") and name in changed and text
            monkeypatch.setenv(name, secret(name.lower(), text) if changes_file else text)
        for name in changed.keys() - fields.keys():
            monkeypatch.setenv(name, changed[name])
        return Settings()

    return set_up


def test_a_system_that_is_set_up_for_production_has_no_fault(environment):
    assert list(faults_of(environment())) == []


DEVELOPMENT = "holds a secret that was made for development: replace it by one of this system alone"
SAME = key(b"k" * 32)


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        pytest.param(
            {"JWKS_URL": "http://issuer.example/jwks"},
            "JWKS_URL: http://issuer.example/jwks is not encrypted: use an address that begins with"
            " https://",
            id="an address without TLS",
        ),
        pytest.param(
            {"CONFIRM_URLS": '["https://a:1","http://b:1"]'},
            "CONFIRM_URLS: http://b:1 is not encrypted: use an address that begins with https://",
            id="one of several addresses without TLS",
        ),
        pytest.param(
            {"HOST": "10.0.0.1"},
            "HTTP_TLS_CERTIFICATE: HTTP is served in plain text beyond this machine: set it, and"
            " HTTP_TLS_CA",
            id="HTTP without TLS beyond this machine",
        ),
        pytest.param(
            {"KAFKA_USER": ""},
            "KAFKA_USER: Kafka is reached without a login: set it, and KAFKA_PASSWORD_FILE",
            id="Kafka without a login",
        ),
        pytest.param(
            {"KAFKA_TLS_CA": "", "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9092,kafka-2:9092"},
            "KAFKA_TLS_CA: Kafka is reached in plain text beyond this machine: set it to the file"
            " of its authority",
            id="Kafka without TLS beyond this machine",
        ),
        pytest.param(
            {"DATABASE_URL": "postgresql://a@db/b?sslmode=require"},
            "DATABASE_URL: PostgreSQL's certificate is not verified:"
            " add ?sslmode=verify-full&sslrootcert=<file of the authority>",
            id="PostgreSQL by TLS without a verified name",
        ),
        pytest.param(
            {"REDIS_URL": "redis://redis:6379/0"},
            "REDIS_URL: the connection is not encrypted: use an address that begins with rediss://",
            id="Redis without TLS",
        ),
        pytest.param(
            {"TRUSTED_PROXIES": "10.0.0.0/8,::/0"},
            "TRUSTED_PROXIES: trusts every client's headers: name the networks of your proxies",
            id="every proxy trusted",
        ),
        pytest.param(
            {"PROVIDER_TOKEN_FILE": "SG.dev-token"},
            f"PROVIDER_TOKEN_FILE: {DEVELOPMENT}",
            id="a development token",
        ),
        pytest.param(
            {"ONE_KEY_FILE": key(b"dev-" + os.urandom(28))},
            f"ONE_KEY_FILE: {DEVELOPMENT}",
            id="a development key",
        ),
        pytest.param(
            {"ONE_KEY_FILE": SAME, "OTHER_KEY_FILE": f"{key(os.urandom(32))}\n{SAME}"},
            "ONE_KEY_FILE: holds the same secret as OTHER_KEY_FILE: each needs its own",
            id="a key of two purposes",
        ),
    ],
)
def test_a_lax_setting_is_a_fault_that_says_what_to_do(environment, changed, fault):
    assert list(faults_of(environment(**changed))) == [fault]


def test_redis_without_a_password_is_a_fault(environment, monkeypatch):
    monkeypatch.setenv("REDIS_PASSWORD_FILE", "")
    settings = environment().model_copy(update={"redis_password": ""})
    assert list(faults_of(settings)) == [
        "REDIS_PASSWORD_FILE: Redis is reached without a password: set it"
    ]


def test_an_address_of_this_machine_needs_no_tls(environment):
    for host in ("127.0.0.1", "localhost", "[::1]"):
        assert list(faults_of(environment(JWKS_URL=f"http://{host}:3026/jwks"))) == []
    here = {"DATABASE_URL": "postgresql://a@127.0.0.1/b", "REDIS_URL": "redis://127.0.0.1:6379/0"}
    assert list(faults_of(environment(**here))) == []


def test_a_process_does_not_start_with_a_fault_and_prints_all(environment, capsys):
    environment(KAFKA_USER="", TRUSTED_PROXIES="0.0.0.0/0")
    with pytest.raises(SystemExit) as left:
        load(Settings)
    assert left.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(":")[0] for line in lines[:-1]] == ["KAFKA_USER", "TRUSTED_PROXIES"]


def test_development_starts_with_all_of_it(monkeypatch):
    monkeypatch.setenv("PROFILE", "dev")
    monkeypatch.setenv("PORT", "3000")
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "kafka:9092")
    assert load(KafkaSettings).kafka_user == ""
