"""deploy/services.yaml is read strictly and names what is wrong."""

import pytest
import yaml

from local_stack.errors import StackError
from local_stack.inventory import INVENTORY_FILE, load_inventory


@pytest.fixture
def bent(tmp_path):
    """Load the real inventory after a change to it."""

    def load(change):
        document = yaml.safe_load(INVENTORY_FILE.read_text())
        change(document)
        path = tmp_path / "services.yaml"
        path.write_text(yaml.safe_dump(document))
        return load_inventory(path)

    return load


def _set(service, field, value):
    return lambda document: document["services"][service].update({field: value})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(_set("otp", "prot", 1), "otp: unknown field prot", id="unknown field"),
        pytest.param(_set("otp", "port", "x"), "otp: port must be a number", id="no number"),
        pytest.param(_set("otp", "port", 80), "otp: port must be a number", id="port too low"),
        pytest.param(_set("otp", "port", 3000), "otp: port is also that of gateway", id="twice"),
        pytest.param(_set("otp", "needs", ["mongo"]), "otp: needs: mongo", id="unknown need"),
        pytest.param(_set("otp", "options", ["NEW"]), "meanings: NEW of otp", id="unexplained"),
        pytest.param(
            lambda document: document["services"]["otp"].pop("module"),
            "otp: field module is missing",
            id="missing field",
        ),
    ],
)
def test_a_wrong_field_is_named(bent, change, message):
    with pytest.raises(StackError, match=message):
        bent(change)


def test_a_service_that_does_not_exist_is_refused_with_the_names_that_do():
    with pytest.raises(StackError, match=r"'confrim'; there are: gateway, confirm, risk"):
        load_inventory().service("confrim")


def test_every_documented_setting_belongs_to_some_service():
    inventory = load_inventory()
    used = {
        name
        for service in inventory.services.values()
        for name in (*service.environment, *service.secrets, *service.options)
    } | set(inventory.options)
    assert set(inventory.meanings) == used


def test_owners_of_a_schema_are_those_that_operators_may_ask():
    inventory = load_inventory()
    assert inventory.with_database == inventory.admins


def test_an_instance_listens_a_thousand_ports_further_on():
    assert load_inventory().service("gateway").port_of(2) == 5000
