"""The stack in containers, as far as it can be judged without an engine: `docker` is a script."""

import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from local_stack import container_states, containers, layout
from local_stack.compose import compose_document
from local_stack.container_states import Container, Watch
from local_stack.containers import ComposeStack, builders
from local_stack.errors import StackError
from local_stack.inventory import load_inventory
from local_stack.status import Row

WELL = Container("gateway", "running", "healthy", 0, 0)


def _described(service, state, restarts=0):
    labels = {"com.docker.compose.service": service}
    return {"Config": {"Labels": labels}, "State": state, "RestartCount": restarts}


@pytest.fixture
def docker(tmp_path, monkeypatch):
    """Put a `docker` first in the path: it runs these lines of shell and logs its calls."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(layout, "_data_root", lambda: tmp_path / "data")
    # There is no Kafka behind this `docker` to add partner banks to.
    monkeypatch.setattr(containers, "add_banks", lambda *_: None)
    calls = tmp_path / "calls"

    def write(lines):
        program = tmp_path / "docker"
        program.write_text(f'#!/bin/sh\necho "$COMPOSE_PROJECT_NAME $*" >>{calls}\n{lines}\n')
        program.chmod(0o755)
        return calls

    return write


def test_each_folder_has_its_own_compose_project(monkeypatch):
    first = ComposeStack()
    monkeypatch.setattr(layout, "CHECKOUT", Path("/elsewhere/countersign"))
    second = ComposeStack()
    assert first.project != second.project
    assert first.layout.secrets != second.layout.secrets


def test_every_command_names_the_folders_project(docker):
    calls = docker("exit 0")
    stack = ComposeStack()
    stack.down()
    stack.reset()
    for call in calls.read_text().splitlines():
        assert call.startswith(f"{stack.project} ") or "compose version" in call


def test_a_docker_without_the_compose_plugin_is_reported_in_one_sentence(docker):
    docker("echo \"docker: 'compose' is not a docker command.\" >&2; exit 1")
    with pytest.raises(StackError, match=r"no `compose` command: install .*, or set STACK=native$"):
        ComposeStack().up()


def test_a_start_that_fails_ends_with_the_log_of_what_failed(docker, tmp_path):
    states = [
        _described("prepare", {"Status": "exited", "ExitCode": 1}),
        _described("gateway", {"Status": "created", "ExitCode": 0}),
    ]
    (tmp_path / "states.json").write_text(json.dumps(states))
    docker(
        f"""case "$*" in
        "compose up"*) exit 1 ;;
        "compose ps"*) echo 1234 ;;
        inspect*) cat {tmp_path}/states.json ;;
        "compose logs"*prepare) echo "error: PostgreSQL refuses the password" >&2 ;;
        esac"""
    )
    with pytest.raises(StackError) as caught:
        ComposeStack().up()
    assert "prepare (exited with status 1); its log ends:" in str(caught.value)
    assert "refuses the password" in str(caught.value)
    assert "gateway" not in str(caught.value)


def test_a_container_that_restarts_repeatedly_fails_the_start(monkeypatch):
    monkeypatch.setattr(container_states, "_LOOK_EVERY_S", 0.001)
    looks = ([WELL, Container("grafana", "restarting", "", 1, count)] for count in range(99))
    with pytest.raises(StackError, match=r"again and again: grafana \(.*\nno such plugin"):
        Watch(lambda: next(looks), lambda _: "no such plugin").wait(10)


def test_a_container_that_is_up_between_two_failures_is_not_healthy(monkeypatch):
    monkeypatch.setattr(container_states, "_LOOK_EVERY_S", 0.001)
    looks = ([Container("otel-collector", "running", "", 0, 7 + count)] for count in range(99))
    with pytest.raises(StackError, match=r"again and again: otel-collector"):
        Watch(lambda: next(looks), lambda _: "").wait(10)


def test_a_container_that_was_restarted_before_the_start_is_healthy(monkeypatch):
    monkeypatch.setattr(container_states, "_LOOK_EVERY_S", 0.001)
    killed = [WELL, Container("otel-collector", "running", "", 0, 7)]
    Watch(lambda: killed, lambda _: "").wait(10)


def test_a_container_that_stays_unhealthy_is_named_with_its_log(monkeypatch):
    monkeypatch.setattr(container_states, "_LOOK_EVERY_S", 0.001)
    ill = [WELL, Container("confirm", "running", "unhealthy", 0, 0)]
    with pytest.raises(StackError, match=r"confirm \(unhealthy\); its log ends:\nno broker"):
        Watch(lambda: ill, lambda _: "no broker").wait(0.01)


def test_a_job_that_exited_with_status_0_is_healthy():
    assert Container("prepare", "exited", "", 0, 0).is_well
    assert not Container("prepare", "exited", "", 1, 0).is_well


def test_building_a_service_builds_its_image_by_the_container_that_has_the_build():
    assert builders(["kyc"]) == ["prepare", "ofac"]
    assert builders([]) == []


def test_what_containers_mount_is_readable_after_umask_077(tmp_path):
    folder = tmp_path / "rules"
    folder.mkdir(mode=0o700)
    (folder / "alerts.yml").touch(mode=0o600)
    containers._make_readable([folder, folder / "alerts.yml"])
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    assert stat.S_IMODE((folder / "alerts.yml").stat().st_mode) == 0o644


@pytest.fixture
def extras():
    """A stack with a service of another group."""
    stack = ComposeStack()
    audit = stack.inventory.service("audit")
    spare = replace(audit, name="spare", module="spare", port=3900, group="extras")
    stack.inventory = replace(
        stack.inventory, services={**stack.inventory.services, "spare": spare}
    )
    return stack


def test_a_group_starts_by_its_profile_and_is_known_to_ops_and_prometheus(
    docker, tmp_path, monkeypatch, extras
):
    calls = docker(f'echo "$COMPOSE_PROFILES $ADMIN_URLS" >>{tmp_path}/settings')
    monkeypatch.setattr(extras, "_wait_for", lambda urls: None)
    core = [one.name for one in extras.inventory.core]

    extras.up(core)
    assert " compose up --detach\n" in calls.read_text()
    assert "spare" not in (tmp_path / "settings").read_text()
    extras.up([*core, "spare"])

    profile, owners = (tmp_path / "settings").read_text().splitlines()[-1].split(" ")
    assert profile == "extras"
    assert json.loads(owners)["spare"] == "http://spare:3900"
    started = json.loads((extras.layout.root / "targets/started.json").read_text())
    assert started == [{"targets": ["spare:3900"]}]
    assert extras.description().admins[-1] == "spare"


def test_a_container_of_another_group_has_its_profile_and_its_groups_packages(extras):
    container = compose_document(extras.inventory)["services"]["spare"]
    assert container["profiles"] == ["extras", "all"]
    assert container["build"]["args"] == {"SERVICE": "spare", "GROUP": "extras"}


def test_status_shows_the_memory_of_each_container(docker, tmp_path):
    stack = ComposeStack()
    running = {"Status": "running", "ExitCode": 0, "Health": {"Status": "healthy"}}
    (tmp_path / "states.json").write_text(json.dumps([_described("partner_bank", running)]))
    docker(
        f"""case "$*" in
        "compose ps"*) echo 1234 ;;
        inspect*) cat {tmp_path}/states.json ;;
        stats*) echo "{stack.project}-partner_bank-1 85.5MiB / 256MiB" ;;
        esac"""
    )
    assert stack.status() == [Row("partner_bank", "running", int(85.5 * 2**20), "healthy")]


def test_every_image_is_built_once(docker):
    calls = docker("exit 0")
    ComposeStack().build()
    (built,) = [one for one in calls.read_text().splitlines() if " compose build " in one]
    packages = load_inventory().packages
    assert len(built.split()) == len(["project", "compose", "build", "prepare", *packages])


@pytest.mark.parametrize(("profile", "warned"), [("prod", True), ("dev", False)])
def test_production_names_the_images_without_a_digest(docker, monkeypatch, capsys, profile, warned):
    docker("exit 0")
    monkeypatch.setenv("PROFILE", profile)
    monkeypatch.setattr(containers, "unpinned", lambda: ["a/b:1"])
    monkeypatch.setattr(ComposeStack, "_wait_for", lambda *_: None)
    ComposeStack().up()
    warning = "warning: not pinned by `make image-digests`: a/b:1\n"
    assert capsys.readouterr().out.startswith(warning) == warned
