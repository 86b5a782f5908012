"""`make new-service` refuses what it cannot write, naming the field."""

import re

import pytest

from local_stack.errors import StackError
from local_stack.inventory import load_inventory
from local_stack.new_service import PORTS, checked, kinds

INVENTORY = load_inventory()


@pytest.mark.parametrize(
    ("fields", "port", "refusal"),
    [
        pytest.param(("Loans", "extras", "api"), "", "NAME: 'Loans' must be", id="capital"),
        pytest.param(("", "extras", "api"), "", "NAME: '' must be", id="no name"),
        pytest.param(("class", "extras", "api"), "", "NAME: 'class' must be", id="keyword"),
        pytest.param(("otp", "extras", "api"), "", "NAME: the service otp exists", id="exists"),
        pytest.param(
            ("twilio", "extras", "api"), "", "NAME: the service twilio exists", id="a mock"
        ),
        pytest.param(("json", "extras", "api"), "", "NAME: json is the name of", id="a package"),
        pytest.param(("loans", "", "api"), "", "GROUP: '' must be a name", id="no group"),
        pytest.param(("loans", "all", "api"), "", "GROUP: 'all' must be a name", id="all"),
        pytest.param(("loans", "extras", "cron"), "", "KIND: 'cron' must be one of api", id="kind"),
        pytest.param(("loans", "extras", "api"), "x", "PORT: 'x' must be a number", id="no port"),
        pytest.param(("loans", "extras", "api"), "3012", "PORT: 3012 is that of otp", id="taken"),
        pytest.param(("loans", "extras", "api"), "19092", "PORT: '19092' must be", id="too high"),
    ],
)
def test_an_invalid_field_is_named(fields, port, refusal):
    with pytest.raises(StackError, match=f"^{re.escape(refusal)}"):
        checked(fields, port, INVENTORY)


def test_a_service_gets_the_first_port_that_is_free_or_the_one_that_is_given():
    assert checked(("loans", "core", "job"), "", INVENTORY).port in PORTS
    assert checked(("loans", "new", "job"), "3999", INVENTORY).port == 3999


def test_there_is_a_template_of_each_kind():
    assert kinds() == ("api", "consumer", "import", "job", "push")
