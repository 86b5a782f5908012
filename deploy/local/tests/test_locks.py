"""What is heavy is locked for its group alone."""

import re
from dataclasses import replace

from packaging.requirements import Requirement

from local_stack.inventory import CORE, load_inventory
from local_stack.locks import LOCKS_FOLDER, beyond_the_core, requirements_of_tests


def test_what_a_group_needs_beyond_the_cores_lock_is_found(tmp_path):
    spare = replace(load_inventory().service("audit"), name="spare", module="spare", group="extras")
    inventory = replace(load_inventory(), services={"spare": spare})
    (tmp_path / "services/spare").mkdir(parents=True)
    declared = '["service-runtime", "FastAPI", "lightgbm>=4"]'
    (tmp_path / "services/spare/pyproject.toml").write_text(f"[project]\ndependencies = {declared}")
    assert beyond_the_core(inventory, "extras", tmp_path) == ["lightgbm>=4"]


def test_the_core_needs_nothing_beyond_its_own_lock():
    assert beyond_the_core(load_inventory(), CORE) == []


def test_each_group_has_a_lock_of_what_it_needs_and_no_address_of_a_registry():
    for group in load_inventory().groups:
        wanted = {Requirement(one).name for one in beyond_the_core(load_inventory(), group)}
        text = (LOCKS_FOLDER / f"{group}.lock").read_text() if wanted else ""
        assert wanted <= set(re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE)), "run `make lock`"
        assert "://" not in text


def test_what_only_tests_need_is_in_a_lock_that_no_image_installs():
    for group in load_inventory().groups:
        needed = beyond_the_core(load_inventory(), group, needed=requirements_of_tests)
        wanted = {Requirement(one).name for one in needed}
        own, of_tests = (LOCKS_FOLDER / f"{group}{end}.lock" for end in ("", "-tests"))
        text = of_tests.read_text() if wanted else ""
        assert wanted <= set(re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE)), "run `make lock`"
        in_images = own.read_text() if own.exists() else ""
        assert wanted.isdisjoint(re.findall(r"^([a-z0-9-]+)==", in_images, re.MULTILINE))
