"""Manifests are read strictly: a refusal names the file and the field."""

import shutil

import pytest

from local_stack.errors import StackError
from local_stack.inventory import SHARED, load_inventory
from local_stack.layout import CHECKOUT
from local_stack.listings import fill
from local_stack.manifests import MANIFEST


@pytest.fixture
def checkout(tmp_path):
    """A copy of every manifest."""
    for path in (CHECKOUT / SHARED, *CHECKOUT.glob(f"services/*/{MANIFEST}")):
        copy = tmp_path / path.relative_to(CHECKOUT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    return tmp_path


def manifest_of(checkout, name, text):
    folder = checkout / "services" / name
    folder.mkdir(exist_ok=True)
    (folder / MANIFEST).write_text(text)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        pytest.param("admin = true", "amdin = true", "amdin: unknown field", id="unknown field"),
        pytest.param("port = 3012", 'port = "x"', "port: Input should be", id="no number"),
        pytest.param("port = 3012", "port = 80", "port: Input should be", id="port too low"),
        pytest.param("port = 3012", "port = 3000", "3000 is also that of gateway", id="port twice"),
        pytest.param("port = 3012", "", "port: give a port, or processes", id="no port"),
        pytest.param('group = "core"', "", "group: field is missing", id="missing field"),
        pytest.param('group = "core"', 'group = "A b"', "group: String should", id="group's name"),
        pytest.param('"postgres"', '"mongo"', "needs.1: Input should be", id="unknown need"),
        pytest.param("FIXED_CODE = {", "A = {}\nB = {", "A: meaning is missing", id="unexplained"),
        pytest.param(
            "[settings]",
            '[settings]\nPROFILE = {meaning = "x"}',
            f"PROFILE: meaning is already in {SHARED}",
            id="explained twice",
        ),
        pytest.param(
            'made = "key", meaning = "keys of the stored',
            'meaning = "keys of the stored',
            "made is missing",
            id="how",
        ),
        pytest.param(
            "otp.challenge-requested", "otp.asked", "no service emits otp.asked", id="read"
        ),
        pytest.param("otp.challenged", "risk.assessed", "is that of risk", id="emitted twice"),
        pytest.param("retention_hours = 720", "retention_hours = 0", "greater than 0", id="kept"),
        pytest.param("port = 3012", "port =", "Invalid value", id="no TOML"),
    ],
)
def test_a_wrong_field_is_named_with_its_file(checkout, old, new, message):
    path = checkout / "services/otp" / MANIFEST
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(StackError, match=f"^services/otp/{MANIFEST}: .*{message}"):
        load_inventory(checkout)


def test_an_unknown_service_is_refused_with_the_known_names():
    with pytest.raises(StackError, match=r"'confrim'; there are: gateway, confirm, risk"):
        load_inventory().service("confrim")


def test_an_unknown_group_is_refused_with_the_known_names():
    with pytest.raises(StackError, match=r"'cores'; there are: core, .*all"):
        load_inventory().of_groups(["core", "cores"])


def test_a_new_manifest_is_in_its_group_and_its_topic_is_read_by_audit(checkout):
    fields = 'group = "only_here"\nport = 3900\nadmin = true\n'
    emits = '[emits]\n"a.b.v1" = {key = "id", retention_hours = 1}'
    manifest_of(checkout, "spare", fields + emits)
    inventory = load_inventory(checkout)

    assert inventory.groups == ("core", "only_here")
    assert [one.name for one in inventory.of_groups(["only_here"])] == ["spare"]
    assert inventory.of_groups(["all"]) == tuple(inventory.services.values())
    assert "spare" not in {one.name for one in inventory.core}
    assert "a.b.v1" in inventory.reads["audit"]
    assert inventory.service("spare") not in inventory.admins()
    assert inventory.service("spare") in inventory.admins(["spare"])


def test_every_documented_setting_belongs_to_some_service():
    inventory = load_inventory()
    assert all(inventory.readers_of(name) for name in inventory.meanings)


def test_every_core_service_with_a_schema_has_admin_routes():
    inventory = load_inventory()
    assert [one for one in inventory.core if one.database] == list(inventory.admins())


def test_instance_n_listens_n_thousand_ports_higher():
    assert load_inventory().service("gateway").port_of(2) == 5000


def test_only_the_lines_between_two_marks_are_replaced():
    text = "a\n  # services: one, x\n  old\n  # end of services\nb\n"
    filled = "a\n  # services: one, x\n  - p\n  - q\n  # end of services\nb\n"
    assert fill(text, {"one": ["- p", "- q"]}) == filled
    assert fill(filled, {"one": []}) == text.replace("  old\n", "")
