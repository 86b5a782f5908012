"""A bill of materials names what an image contains, no less and no more."""

import json
from dataclasses import replace

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from local_stack import locks
from local_stack.inventory import load_inventory
from supply_chain import sbom

OTP = next(one for one in sbom.images_of(load_inventory()) if one.name == "countersign/otp")


@pytest.fixture(scope="module")
def document():
    return json.loads(sbom.text_of(sbom.bill_of(OTP)))


def test_the_bill_of_materials_is_valid_cyclonedx(document):
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(document)) is None


def test_each_image_of_the_compose_file_has_one():
    names = {one.name for one in sbom.images_of(load_inventory())}
    packages = load_inventory().packages
    assert names == {"countersign/prepare", *(f"countersign/{name}" for name in packages)}


def test_it_names_each_locked_package_with_version_and_hashes_and_our_own_parts(document):
    locked = locks.blocks(locks.IMAGES_FILE.read_text())
    components = {one["name"]: one for one in document["components"]}
    ours = {
        "payment-schemas",
        "service-runtime",
        "double-entry",
        "kafka-access",
        "partner-messages",
        "otp",
        "python",
    }
    assert set(components) == set(locked) | ours
    aiokafka = components["aiokafka"]
    assert aiokafka["purl"] == f"pkg:pypi/aiokafka@{aiokafka['version']}"
    hashes = {one["content"] for one in aiokafka["externalReferences"][0]["hashes"]}
    assert all(f"--hash=sha256:{one}" in locked["aiokafka"] for one in hashes)
    assert len(hashes) == locked["aiokafka"].count("--hash")


def test_it_names_licences_and_what_depends_on_what(document):
    components = {one["name"]: one for one in document["components"]}
    assert components["redis"]["licenses"][0]["license"]["id"] == "MIT"
    needs = {one["ref"]: one.get("dependsOn", []) for one in document["dependencies"]}
    assert "service-runtime" in needs["otp"]
    assert components["fastapi"]["bom-ref"] in needs["service-runtime"]
    assert components["starlette"]["bom-ref"] in needs[components["fastapi"]["bom-ref"]]


def test_an_image_of_a_group_contains_the_packages_of_its_groups_lock(tmp_path, monkeypatch):
    lock = tmp_path / "extras.lock"
    lock.write_text(f"lightgbm==4.0.0 \\\n    --hash=sha256:{'a' * 64}\n")
    monkeypatch.setattr(locks, "LOCKS_FOLDER", tmp_path)
    audit = load_inventory().service("audit")
    inventory = replace(load_inventory(), services={"audit": replace(audit, group="extras")})
    image = sbom.images_of(inventory)[-1]
    found = {one.name: one for one in sbom.bill_of(image).components}
    assert found["lightgbm"].version == "4.0.0"
    assert "aiokafka" in found


def test_no_image_contains_the_packages_of_xml_that_another_one_reads():
    packages = {one.name: _packages_of(one) for one in sbom.images_of(load_inventory())}
    with_xml = {name for name, found in packages.items() if "lxml" in found}
    assert with_xml == {"countersign/settlement", "countersign/screening"}
    iso = {name for name, found in packages.items() if "pyiso20022" in found}
    assert iso == {"countersign/settlement"}


def _packages_of(image):
    return {one.name for one in sbom.bill_of(image).components}
