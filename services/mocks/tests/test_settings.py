import os
import runpy
import subprocess
import sys
from unittest.mock import patch

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mocks.settings import KycSettings, PartnerBankSettings
from service_runtime.settings import load

MOCKS = ["ofac", "kyc", "twilio", "sendgrid", "partner_bank", "issuer", "model"]


@pytest.mark.parametrize("environment", [{}, {"PROFILE": "prod"}], ids=str)
@pytest.mark.parametrize("name", MOCKS)
def test_no_mock_starts_outside_development(name, environment, capsys, monkeypatch):
    """As `python -m mocks.<name>`, in this process: twelve more would take seven seconds."""
    # Another test of this process may have imported what runs here.
    monkeypatch.delitem(sys.modules, f"mocks.{name}.__main__", raising=False)
    started = patch.dict(os.environ, environment, clear=True)
    with started, pytest.raises(SystemExit, match=r"^2$"):
        runpy.run_module(f"mocks.{name}", run_name="__main__")
    assert "PROFILE: Value error, mocks are for development" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("[]", "must hold a JSON object"),
        ("{", "must hold a JSON object"),
        ('{"first-bank": ""}', "must hold a JSON object"),
    ],
)
def test_invalid_credentials_are_refused_at_start(
    monkeypatch, capsys, secret_file, document, message
):
    monkeypatch.setenv("PROFILE", "dev")
    monkeypatch.setenv("MOCK_STATE", "somewhere")
    monkeypatch.setenv("PARTNER_CREDENTIALS_FILE", secret_file("credentials", document))
    with pytest.raises(SystemExit):
        load(PartnerBankSettings)
    said = capsys.readouterr().err
    assert "PARTNER_CREDENTIALS_FILE" in said
    assert message in said


@pytest.mark.parametrize("name", MOCKS)
def test_each_mock_starts_becomes_ready_and_stops_on_request(program, secret_file, tmp_path, name):
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    settings = {
        "TWILIO_AUTH_TOKEN_FILE": secret_file("twilio", "token"),
        "SENDGRID_API_KEY_FILE": secret_file("sendgrid", "key"),
        "MODEL_API_KEY_FILE": secret_file("model", "key"),
        "PARTNER_CREDENTIALS_FILE": secret_file("partners", '{"first-bank": "secret"}'),
        "MOCK_STATE": str(tmp_path / "made" / "where it is missing"),
        "ISSUER_KEY_FILE": secret_file("issuer.pem", pem),
        "TOKEN_ISSUER": "https://issuer.example",
        "TOKEN_AUDIENCE": "countersign",
    }
    running = program(name, settings)
    assert httpx.get(f"{running.address}/health").json() == {"status": "alive", "service": name}
    assert running.stop() == 0


def test_an_issuer_without_a_usable_key_names_its_setting(secret_file):
    environment = {
        "PROFILE": "dev",
        "ISSUER_KEY_FILE": secret_file("issuer.pem", "no key"),
        "TOKEN_ISSUER": "https://issuer.example",
        "TOKEN_AUDIENCE": "countersign",
    }
    ended = subprocess.run(
        [sys.executable, "-m", "mocks.issuer"],
        env=environment,
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert (ended.returncode, ended.stderr.count(b"ISSUER_KEY_FILE: Value error, must hold")) == (
        2,
        1,
    )


def test_each_mock_has_its_default_port(monkeypatch):
    monkeypatch.setenv("PROFILE", "dev")
    assert load(KycSettings).port == 3022
    monkeypatch.setenv("PORT", "13022")
    assert load(KycSettings).port == 13022
