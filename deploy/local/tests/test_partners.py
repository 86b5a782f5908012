"""A process that is a partner bank is added by the operators' command."""

import base64
import json
from dataclasses import replace
from subprocess import CompletedProcess

import pytest

from local_stack import partners
from local_stack.errors import StackError
from local_stack.inventory import load_inventory
from local_stack.layout import Layout
from local_stack.manifests import Bank
from local_stack.partners import NEEDED, add_banks

BANK = Bank(id="west-bank", prefixes=("west-", "far-west-"))


@pytest.fixture
def layout(tmp_path):
    found = Layout(tmp_path)
    found.secrets.mkdir()
    (found.secrets / "partner-key-west-bank").write_text(base64.b64encode(b"w" * 32).decode())
    (found.secrets / "kafka-partner-west-bank").write_text("0123456789abcdef")
    return found


@pytest.fixture
def services():
    """The needed services, and a bank."""
    services = load_inventory().services
    return [*(services[name] for name in NEEDED), replace(services["kyc"], bank=BANK)]


@pytest.fixture
def ran(monkeypatch):
    """The commands that were run, with their environment."""
    commands = []

    def run(command, **options):
        commands.append((command, options["env"]))
        return CompletedProcess(command, 1 if "fail" in options["env"] else 0, "", "error: no")

    monkeypatch.setattr(partners.subprocess, "run", run)
    return commands


def test_a_bank_is_added_with_its_prefixes_password_and_public_keys(
    layout, services, ran, monkeypatch
):
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "GATEWAY_URL", "ADMIN_URLS", "PARTNER_BROKERS"):
        monkeypatch.setenv(name, "of another system")
    add_banks(layout, 10, services, print)
    [(command, environment)] = ran
    words = " ".join(command)
    assert "--as alice --offset 10 partners add west-bank" in words
    assert "--prefix west- --prefix far-west-" in words
    assert f"--password-file {layout.secrets}/kafka-partner-west-bank" in words
    [key] = json.loads((layout.root / "partners/west-bank/keys.json").read_text())["keys"]
    assert (key["kty"], "d" in key) == ("OKP", False)
    assert "of another system" not in environment.values()


@pytest.mark.parametrize("missing", NEEDED)
def test_a_bank_waits_for_the_services_that_the_command_asks(layout, services, ran, missing):
    add_banks(layout, 0, [one for one in services if one.name != missing], print)
    assert ran == []


def test_what_the_command_says_is_the_error(layout, services, ran, monkeypatch):
    monkeypatch.setenv("fail", "1")
    with pytest.raises(StackError, match="partner bank west-bank was not added: error: no"):
        add_banks(layout, 0, services, print)
