"""Confirm's settings: where the private keys of encrypted requests are."""

import base64

import pytest

from confirm.app import build
from confirm.clients.transit_keys import TransitKeys
from confirm.settings import Settings
from service_runtime.encryption_keys import new_block, text_of
from service_runtime.errors import Unavailable
from service_runtime.file_keys import FileKeys
from service_runtime.settings import load

RINGS = ("MAC_GATEWAY_CONFIRM", "MAC_CONFIRM_RISK", "MAC_CONFIRM_OTP", "MAC_CONFIRM_SETTLEMENT")
EC_KEYS = text_of([new_block("EC", "of the tests")])


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """Return a function that sets the environment, with changes."""

    def file(name, text):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o400)
        return str(tmp_path / name)

    keys = {
        f"{name}_FILE": file(name, base64.b64encode(bytes([number]) * 32).decode())
        for number, name in enumerate(
            [*RINGS, "OTP_SEALING_KEY", "SCREENING_SEALING_KEY", "CODE_TAG_KEY"]
        )
    }
    usual = {
        "PROFILE": "dev",
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "DATABASE_URL": "postgresql://confirm@127.0.0.1:1/countersign",
        "DATABASE_PASSWORD_FILE": file("password", "of the database"),
        "E2E_PASSPHRASE_FILE": file("passphrase", "of the tests"),
        "E2E_EC_KEYS_FILE": file("e2e-ec", EC_KEYS),
        **keys,
    }

    def environment(**changes):
        for name, value in (usual | changes).items():
            monkeypatch.setenv(name, value)
        return file

    return environment


def resources():
    return [type(one) for one in build(load(Settings)).resources]


def test_private_keys_are_in_files_by_default(environment):
    environment()
    assert FileKeys in resources()


def test_private_keys_may_be_at_a_transit_service(environment):
    file = environment()
    token = file("token", "s.token")
    environment(
        E2E_KEYS_AT="transit", TRANSIT_URL="https://vault/v1/transit", TRANSIT_TOKEN_FILE=token
    )
    assert TransitKeys in resources()


def test_a_token_that_is_not_there_ends_the_start(environment):
    file = environment()
    token = {"PKCS11_MODULE": "/nowhere.so", "PKCS11_TOKEN": "confirm"}
    environment(E2E_KEYS_AT="pkcs11", PKCS11_PIN_FILE=file("pin", "1234"), **token)
    with pytest.raises(Unavailable, match="PKCS#11 token confirm"):
        build(load(Settings))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"E2E_KEYS_AT": "pkcs11"}, "PKCS11_MODULE"),
        ({"E2E_KEYS_AT": "pkcs11", "PKCS11_MODULE": "/a.so"}, "PKCS11_TOKEN"),
        ({"E2E_KEYS_AT": "transit"}, "TRANSIT_URL"),
        ({"E2E_KEYS_AT": "transit", "TRANSIT_URL": "https://vault/v1/transit"}, "TRANSIT_TOKEN"),
        ({"E2E_KEYS_AT": "somewhere"}, "E2E_KEYS_AT"),
        ({"TRANSIT_URL": "vault"}, "TRANSIT_URL"),
        ({"E2E_PASSPHRASE_FILE": "/nowhere"}, "E2E_PASSPHRASE_FILE"),
    ],
    ids=str,
)
def test_a_missing_or_wrong_setting_is_named(environment, capsys, changes, named):
    environment(**changes)
    with pytest.raises(SystemExit):
        load(Settings)
    assert named in capsys.readouterr().err


def test_a_file_of_keys_that_cannot_be_read_ends_the_start(environment):
    file = environment()
    environment(E2E_RSA_KEYS_FILE=file("e2e-rsa", "no keys"))
    with pytest.raises(ValueError, match="e2e-rsa: must hold blocks"):
        build(load(Settings))
