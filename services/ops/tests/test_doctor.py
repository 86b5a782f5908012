"""`countersign doctor` names each fault of a configured system, with what to do."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from ops.clients.addresses import Addresses
from ops.clients.inspecting import configured, inspect
from ops.clients.key_files import rings_of
from ops.clients.system import System
from ops.command.main import app

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY = base64.b64encode(b"k" * 32).decode()


@pytest.fixture
def environment(tmp_path):
    """A file of settings that production accepts, with changes."""
    (tmp_path / "password").write_text("of this system")

    def write(**changed):
        settings = {
            "KAFKA_BOOTSTRAP_SERVERS": "kafka:9092",
            "KAFKA_TLS_CA": "/ca.pem",
            "KAFKA_USER": "risk",
            "KAFKA_PASSWORD_FILE": str(tmp_path / "password"),
            "DATABASE_URL": "postgresql://risk@db/c?sslmode=verify-full&sslrootcert=/ca.pem",
            "OFAC_URL": "https://ofac.example",
        }
        lines = [f"{name}={value}" for name, value in (settings | changed).items()]
        file = tmp_path / "risk.env"
        file.write_text("# of risk\n" + "\n".join(lines))
        return str(file)

    return write


def run(*arguments):
    result = CliRunner().invoke(app, ["doctor", *arguments, "--json"])
    return result.exit_code, json.loads(result.stdout) if result.stdout else None


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, "gateway.env accepts encrypted requests alone (E2E=required)"),
        ({"E2E": "optional"}, "gateway.env accepts plain requests, too (E2E=optional)"),
    ],
)
def test_it_says_whether_the_gateway_demands_encryption(changed, said):
    (found,) = [one for one in configured("gateway.env", changed) if "requests" in one.about]
    assert (found.about, found.fault) == (said, None)


def test_a_file_of_settings_without_a_fault_passes(environment):
    assert run("--environment", environment()) == (0, {"checked": 1, "faults": []})


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"OFAC_URL": "http://ofac.example"}, "OFAC_URL: http://ofac.example is not encrypted"),
        ({"KAFKA_USER": ""}, "KAFKA_USER: Kafka is reached without a login"),
        ({"KAFKA_TLS_CA": ""}, "KAFKA_TLS_CA: Kafka is reached in plain text"),
        ({"KAFKA_PASSWORD_FILE": "/nowhere"}, "KAFKA_PASSWORD_FILE: cannot be read"),
        ({"TRUSTED_PROXIES": "0.0.0.0/0"}, "TRUSTED_PROXIES: trusts every client's headers"),
        ({"REDIS_URL": "rediss://redis/0"}, "REDIS_PASSWORD_FILE: Redis is reached without"),
    ],
)
def test_a_lax_setting_is_named_and_the_exit_code_is_1(environment, changed, fault):
    status, found = run("--environment", environment(**changed))
    assert status == 1
    assert any(one["fault"].startswith(fault) for one in found["faults"])


def test_an_unreadable_file_is_named(tmp_path):
    result = CliRunner().invoke(app, ["doctor", "--environment", str(tmp_path / "none")])
    assert "No such file" in str(result.exception)


def test_what_set_up_sees_and_old_keys_are_faults(tmp_path):
    (tmp_path / "mac-one").write_text(KEY)
    [ring] = rings_of(tmp_path)
    addresses = Addresses(
        ring_folder=str(tmp_path),
        inspections=lambda: {"Redis takes no client without a login": "it answers everybody"},
        environments=lambda: {"risk": {"PROFILE": "prod", "OFAC_URL": "http://a"}, "otp": {}},
    )
    with System(addresses) as system:
        young = inspect(system, ring.changed_at + timedelta(days=90))
        old = inspect(system, ring.changed_at + timedelta(days=91))
    assert [one.about for one in young if one.fault] == [
        "risk is set up for production",
        "Redis takes no client without a login",
    ]
    assert {one.fault for one in old} - {one.fault for one in young} == {
        "it is 91 days old: `countersign keys rotate mac-one`"
    }


def test_a_process_that_does_not_respond_is_a_fault():
    with System(Addresses({"risk": "http://127.0.0.1:1"})) as system:
        (found,) = inspect(system, NOW)
    assert found.fault == "http://127.0.0.1:1 does not respond (ConnectError): `make logs S=risk`"
