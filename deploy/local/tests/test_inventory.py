"""Manifests are read strictly: a refusal names the file and the field."""

import re
import shutil

import pytest

from local_stack.errors import StackError
from local_stack.inventory import SHARED, load_inventory
from local_stack.layout import CHECKOUT
from local_stack.listings import fill
from local_stack.manifests import MANIFEST
from local_stack.rights import principals
from local_stack.topics import topics_of


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
            f"PROFILE: {SHARED} gives it another meaning",
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
        pytest.param(
            "port = 3012", 'port = 3012\npublic = ["/A"]', "public.0: String", id="public path"
        ),
        pytest.param(
            "port = 3012",
            'port = 3012\npublic = ["/a", "/a/b"]',
            "public: /a/b is in /a of otp",
            id="public path in another",
        ),
        pytest.param(
            "port = 3012",
            'port = 3012\npublic = ["/admin/a"]',
            "public: /admin/a is in /admin of every service",
            id="public path of operators",
        ),
        pytest.param(
            "port = 3012",
            'port = 3012\npublic = ["/admin/*/a"]',
            "public: /admin/./a is in /admin of every service",
            id="single path of operators",
        ),
        pytest.param(
            "port = 3012", 'port = 3012\npublic = ["/a/*"]', "public.0: String", id="open end"
        ),
        pytest.param("port = 3012", "port =", "Invalid value", id="no TOML"),
    ],
)
def test_a_wrong_field_is_named_with_its_file(checkout, old, new, message):
    path = checkout / "services/otp" / MANIFEST
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(StackError, match=f"^services/otp/{MANIFEST}: .*{message}"):
        load_inventory(checkout)


def test_two_services_may_say_the_same_of_a_setting(checkout):
    """As two services do that `make new-service` has written from one template."""
    meaning = load_inventory(checkout).meanings["LOG_LEVEL"]
    path = checkout / "services/otp" / MANIFEST
    said = f'[settings]\nLOG_LEVEL = {{meaning = "{meaning}"}}'
    path.write_text(path.read_text().replace("[settings]", said, 1))
    assert load_inventory(checkout).meanings["LOG_LEVEL"] == meaning


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

    assert inventory.groups[0] == "core"
    assert "only_here" in inventory.groups
    assert [one.name for one in inventory.of_groups(["only_here"])] == ["spare"]
    assert inventory.of_groups(["all"]) == tuple(inventory.services.values())
    assert "spare" not in {one.name for one in inventory.core}
    assert "a.b.v1" in inventory.reads["audit"]
    assert inventory.service("spare") not in inventory.admins()
    assert inventory.service("spare") in inventory.admins(["spare"])


def test_a_service_may_emit_a_topic_of_another_one(checkout):
    fields = 'group = "spare"\nport = 3900\nneeds = ["kafka"]\nwrites = ["review.opened.v1"]\n'
    manifest_of(checkout, "spare", fields)
    (topic,) = [
        one for one in topics_of(load_inventory(checkout)) if one.name == "review.opened.v1"
    ]
    assert (topic.owner, {"confirm", "spare"} <= set(topic.writers)) == ("confirm", True)


@pytest.mark.parametrize("topic", ["no.such.v1", "a.b.v1"])
def test_what_a_service_emits_of_others_is_a_topic_of_another_one(checkout, topic):
    fields = f'group = "spare"\nport = 3900\nwrites = ["{topic}"]\n'
    emits = '[emits]\n"a.b.v1" = {key = "id", retention_hours = 1}'
    manifest_of(checkout, "spare", fields + emits)
    with pytest.raises(StackError, match=f"writes: no other service emits {topic}"):
        load_inventory(checkout)


def test_every_documented_setting_belongs_to_some_service():
    inventory = load_inventory()
    assert all(inventory.readers_of(name) for name in inventory.meanings)


def test_every_core_service_with_a_schema_answers_the_check():
    inventory = load_inventory()
    # ops asks the others; its own schema holds no payment.
    owners = [one for one in inventory.core if one.database and one.name != "ops"]
    assert owners == list(inventory.admins())


def test_instance_n_listens_n_thousand_ports_higher():
    assert load_inventory().service("gateway").port_of(2) == 5000


def test_only_the_lines_between_two_marks_are_replaced():
    text = "a\n  # services: one, x\n  old\n  # end of services\nb\n"
    filled = "a\n  # services: one, x\n  - p\n  - q\n  # end of services\nb\n"
    assert fill(text, {"one": ["- p", "- q"]}) == filled
    assert fill(filled, {"one": []}) == text.replace("  old\n", "")


def test_a_process_can_be_a_partner_bank(checkout):
    bank = 'bank = {id = "west-bank", prefixes = ["west-"]}'
    text = f'group = "core"\nmock = true\n[processes.west_bank]\nport = 3999\n{bank}\n'
    manifest_of(checkout, "west", text)
    inventory = load_inventory(checkout)
    assert inventory.service("west_bank").bank.prefixes == ("west-",)
    assert "west_bank" not in principals(inventory)


@pytest.mark.parametrize(
    ("families", "message"),
    [
        ('reads = ["settlement.reports"]', "families.reads.0: String should match"),
        ('reads = ["settlement.updated.*"]', "settlement.updated.* includes settlement.updated.v1"),
        ('reads = ["*"]', "families.reads.0: String should match"),
    ],
)
def test_a_family_names_only_topics_that_no_manifest_emits(checkout, families, message):
    path = checkout / "services" / "risk" / MANIFEST
    path.write_text(f"{path.read_text()}\n[families]\n{families}\n")
    with pytest.raises(StackError, match=re.escape(message)):
        load_inventory(checkout)
