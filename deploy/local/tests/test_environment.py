"""What each process is told, and that it fits the place where it runs."""

import json
import re
from dataclasses import replace

import pytest

from local_stack.environment import Environments, Place
from local_stack.errors import StackError
from local_stack.inventory import load_inventory
from local_stack.settings import user_settings
from local_stack.stack import Stack


@pytest.fixture
def unstarted(tmp_path):
    return Stack(10_000, tmp_path / "stack")


def test_every_placeholder_of_every_service_is_filled_in(unstarted):
    for name in unstarted.inventory.services:
        for key, value in unstarted.environment_of(name).items():
            assert not re.search(r"\{[a-z_]+(:|\})", value), f"{name}: {key}={value}"


def test_the_offset_moves_every_address(unstarted):
    confirm = unstarted.environment_of("confirm")
    assert confirm["PORT"] == "13010"
    assert confirm["KAFKA_BOOTSTRAP_SERVERS"] == "127.0.0.1:29092"
    assert confirm["DATABASE_URL"] == "postgresql://confirm@127.0.0.1:25432/countersign"
    assert unstarted.environment_of("gateway")["REDIS_URL"] == "redis://gateway@127.0.0.1:26379/0"


def test_no_environment_contains_a_password(unstarted):
    unstarted.credentials.make(unstarted.inventory)
    secrets = {file.read_text().strip() for file in unstarted.layout.secrets.iterdir()}
    for name in unstarted.inventory.services:
        assert not secrets & set(unstarted.environment_of(name).values())


def test_the_gateway_knows_every_instance_of_confirm(unstarted):
    unstarted.instances["confirm"] = 2
    ops = unstarted.environment_of("ops")
    assert ops["CONSOLE_URL"] == "http://localhost:13030"
    assert unstarted.environment_of("issuer")["OPERATOR_REDIRECTS"].startswith(ops["CONSOLE_URL"])
    urls = unstarted.environment_of("gateway")["CONFIRM_URLS"]
    assert urls == "http://127.0.0.1:13010,http://127.0.0.1:14010"


def test_a_second_instance_differs_in_number_and_port_alone(unstarted):
    first, second = (unstarted.environment_of("gateway", number) for number in (0, 1))
    assert {key for key in first if first[key] != second[key]} == {"INSTANCE", "PORT"}


def test_ops_knows_the_admin_address_of_every_owner(unstarted):
    addresses = json.loads(unstarted.environment_of("ops")["ADMIN_URLS"])
    owners = ["audit", "confirm", "notification", "otp", "risk", "settlement"]
    assert sorted(addresses) == owners
    assert addresses["audit"] == "http://127.0.0.1:13015"


def test_risk_asks_for_rules_only_where_compliance_has_been_started(unstarted):
    assert not unstarted.environment_of("risk")["COMPLIANCE_URL"]
    unstarted.instances["compliance"] = 1
    assert unstarted.environment_of("risk")["COMPLIANCE_URL"] == "http://127.0.0.1:13051"


def test_risk_asks_the_models_only_where_fraud_has_been_started(unstarted):
    assert not unstarted.environment_of("risk")["FRAUD_URL"]
    unstarted.instances["fraud"] = 1
    assert unstarted.environment_of("risk")["FRAUD_URL"] == "http://127.0.0.1:13052"


def test_two_services_that_share_a_key_read_the_same_file(unstarted):
    def file(service, name):
        return unstarted.environment_of(service)[name]

    assert file("gateway", "OTP_SEALING_KEY_FILE") == file("otp", "OTP_SEALING_KEY_FILE")
    assert file("otp", "NOTIFICATION_SEALING_KEY_FILE") == file(
        "notification", "NOTIFICATION_SEALING_KEY_FILE"
    )
    assert file("otp", "OTP_SEALING_KEY_FILE") != file("otp", "NOTIFICATION_SEALING_KEY_FILE")


def test_names_are_screened_where_the_service_screening_has_started(unstarted):
    def chosen():
        found = unstarted.environment_of("risk")
        return found["OFAC_URL"], found["OFAC_TAKES_NAMES"]

    assert chosen() == ("http://127.0.0.1:13021", "false")
    unstarted.instances["screening"] = 1
    address, takes_names = chosen()
    assert (address.rpartition(":")[2], takes_names) == ("13050", "true")


def test_an_override_replaces_the_inventorys_value(tmp_path):
    stack = Stack(0, tmp_path / "stack", overrides={"gateway": {"RATE_LIMIT_PER_MINUTE": "3"}})
    assert stack.environment_of("gateway")["RATE_LIMIT_PER_MINUTE"] == "3"


def test_a_service_gets_only_its_own_options(unstarted, monkeypatch):
    monkeypatch.setenv("RATE_LIMIT_PER_MINUTE", "7")
    monkeypatch.setenv("PROFILE", "prod")
    assert unstarted.environment_of("gateway")["RATE_LIMIT_PER_MINUTE"] == "7"
    assert "RATE_LIMIT_PER_MINUTE" not in unstarted.environment_of("confirm")
    assert unstarted.environment_of("confirm")["PROFILE"] == "prod"


def test_an_unknown_placeholder_is_named_with_its_setting():
    inventory = load_inventory()
    inventory.services["ofac"].environment["HOST"] = "{hots}"
    place = Place("k", "p", "r", "c", "h", lambda *_: "u", lambda _: "s", lambda _: "s")
    with pytest.raises(StackError, match=r"ofac: HOST: unknown placeholder \{hots\}"):
        Environments(inventory, place).of("ofac")


def test_a_line_of_the_settings_file_is_read_or_refused(tmp_path):
    file = tmp_path / ".env"
    file.write_text("# a comment\n\nREPLAY_STATUS='409'\n")
    assert user_settings(["REPLAY_STATUS"], file) == {"REPLAY_STATUS": "409"}
    file.write_text("REPLAY_STATUS\n")
    with pytest.raises(StackError, match=r"\.env line 1: expected NAME=value"):
        user_settings(["REPLAY_STATUS"], file)


def test_the_gateway_knows_the_public_paths_of_services_that_have_not_started(unstarted):
    hooks = replace(unstarted.inventory.service("otp"), public=("/api/v1/hooks",))
    services = {**unstarted.inventory.services, "otp": hooks}
    unstarted.inventory = replace(unstarted.inventory, services=services)
    routes = json.loads(unstarted.environment_of("gateway")["PUBLIC_ROUTES"])
    assert routes["/api/v1/hooks"] == "http://127.0.0.1:13012"
