"""docker-compose.yml, .env.example and the images' lock: valid, up to date, and at one with the
native stack.
"""

import json
import re
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft7Validator

from local_stack.compose import COMPOSE_FILE
from local_stack.credentials import scopes_of
from local_stack.dotenv import DOTENV_FILE
from local_stack.generation import generated_files
from local_stack.inventory import ALL, CORE, INFRASTRUCTURE, load_inventory
from local_stack.layout import CHECKOUT
from local_stack.locks import IMAGES_FILE, LOCK_FILE
from local_stack.stack import Stack

OBSERVABILITY = {
    "otel-collector": "collector_otlp",
    "jaeger": "jaeger_web",
    "prometheus": "prometheus_web",
    "grafana": "grafana_web",
    "loki": None,
}
SCHEMA_FILE = Path(__file__).parent / "compose-spec" / "compose-spec.json"


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load(COMPOSE_FILE.read_text())


@pytest.fixture(scope="module")
def ours(compose):
    """The containers that run our own processes, by name."""
    others = {*INFRASTRUCTURE, *OBSERVABILITY, "prepare"}
    return {name: one for name, one in compose["services"].items() if name not in others}


@pytest.fixture(scope="module")
def native(tmp_path_factory):
    return Stack(0, tmp_path_factory.mktemp("stack"))


@pytest.mark.parametrize("path", generated_files(), ids=lambda path: path.name)
def test_a_generated_file_is_up_to_date(path):
    assert path.read_text() == generated_files()[path], "run `make generate`"


def test_the_compose_file_is_valid_by_the_specifications_schema(compose):
    validator = Draft7Validator(json.loads(SCHEMA_FILE.read_text()))
    assert [error.message for error in validator.iter_errors(compose)] == []


def test_the_compose_schema_rejects_an_unknown_field(compose):
    bent = compose | {"services": {"gateway": {"imagine": "x"}}}
    assert not Draft7Validator(json.loads(SCHEMA_FILE.read_text())).is_valid(bent)


def test_compose_runs_the_same_services_as_the_native_stack(ours, native):
    assert list(ours) == list(native.inventory.services)


def test_a_container_without_a_profile_is_of_the_core_and_any_other_of_its_group(ours, native):
    for name, container in ours.items():
        group = native.inventory.service(name).group
        assert container.get("profiles", []) == ([] if group == CORE else [group, ALL])


def test_compose_publishes_the_same_ports(compose, ours, native):
    for name, container in ours.items():
        port = native.ports.of(name)
        assert container["ports"] == [f"127.0.0.1:{port}:{port}"]
    for name in INFRASTRUCTURE:
        published = compose["services"][name]["ports"]
        assert published[0].split(":")[1] == str(native.inventory.ports[name])
    partners = native.ports.kafka_partners_of(0)
    assert compose["services"]["kafka"]["ports"][1:] == [f"127.0.0.1:{partners}:{partners}"]


def test_compose_publishes_observability_at_the_ports_of_the_inventory(compose, native):
    for name, port in OBSERVABILITY.items():
        published = compose["services"][name].get("ports", [])
        wanted = [f"127.0.0.1:{native.inventory.ports[port]}"] if port else []
        assert [one.rpartition(":")[0] for one in published] == wanted


def test_every_file_that_is_mounted_exists(compose):
    for container in compose["services"].values():
        for volume in container.get("volumes", []):
            source = volume.partition(":")[0]
            assert not source.startswith("./") or (CHECKOUT / source).exists(), volume


def test_no_service_depends_on_observability(ours):
    for container in ours.values():
        assert not OBSERVABILITY.keys() & container.get("depends_on", {}).keys()


def test_observability_containers_have_limits_and_no_privileges(compose):
    for name in OBSERVABILITY:
        container = compose["services"][name]
        assert container["restart"] == "unless-stopped"
        assert container["read_only"] is True
        assert container["cap_drop"] == ["ALL"]
        assert set(container["deploy"]["resources"]["limits"]) == {"cpus", "memory"}


def test_compose_gives_each_service_the_same_settings(ours, native):
    for name, container in ours.items():
        service = native.inventory.service(name)
        given = {*native.environment_of(name), *service.options, *native.inventory.options}
        assert set(container["environment"]) == given


def test_compose_demands_the_profile_in_so_many_words(ours):
    demanded = {one["environment"]["PROFILE"] for one in ours.values()}
    assert demanded == {"${PROFILE:?start with make up, or set it to dev or prod}"}


def test_a_user_changes_a_setting_under_the_same_name_in_compose(ours):
    environment = ours["gateway"]["environment"]
    assert environment["TRACE_SAMPLE"] is None
    assert environment["RATE_LIMIT_PER_MINUTE"] is None


def test_a_setting_that_the_user_empties_stays_empty(ours):
    for container in ours.values():
        assert container["environment"]["OTLP_ENDPOINT"] == "${OTLP_ENDPOINT-otel-collector:4317}"


def test_one_container_builds_each_image(compose):
    built = [one["image"] for one in compose["services"].values() if "build" in one]
    assert len(built) == len(set(built))
    used = {one["image"] for one in compose["services"].values()}
    assert {image for image in used if image.startswith("countersign/")} == set(built)


def test_every_container_keeps_a_bounded_log(compose):
    for container in compose["services"].values():
        assert container["logging"]["options"] == {"max-size": "10m", "max-file": "3"}


def test_every_third_party_image_is_pinned_to_one_release(compose):
    base = re.findall(
        r"^FROM (\S+:\S+)", (CHECKOUT / "deploy/Dockerfile").read_text(), re.MULTILINE
    )
    others = [one["image"] for one in compose["services"].values() if "build" not in one]
    for image in {*base, *others}:
        assert image.startswith("countersign/") or re.search(r":v?\d+\.\d+", image), image


def test_every_port_is_published_on_this_machine_alone(compose):
    for container in compose["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in container.get("ports", ()))


def test_two_folders_never_share_a_compose_project(compose):
    assert compose["name"].startswith("${COMPOSE_PROJECT_NAME:?")


def test_dockerignore_has_no_wildcard_in_an_exception():
    """buildah and the classic builder find no file by a wildcard inside an exception."""
    lines = (CHECKOUT / ".dockerignore").read_text().splitlines()
    assert not [line for line in lines if line.startswith("!") and "*" in line]


def test_no_history_and_no_settings_of_a_checkout_are_sent_to_the_builder():
    first, *lines = [
        line
        for line in (CHECKOUT / ".dockerignore").read_text().splitlines()
        if not line.startswith("#")
    ]
    assert first == "*"
    assert not [line for line in lines if line.startswith(("!.", "!*"))]


def test_an_example_that_is_copied_to_the_settings_holds_in_a_container():
    first, _, _ = DOTENV_FILE.read_text().partition("# Set by the stack")
    assert "127.0.0.1" not in first


def test_every_secret_that_a_setting_names_is_mounted_and_no_other(compose, ours):
    for container in ours.values():
        values = [value for value in container["environment"].values() if value]
        named = set(re.findall(r"/run/secrets/([\w-]+)", " ".join(values)))
        # Its path is the engine's to fill in: empty without TLS.
        by_tls = {"KAFKA_TLS_CA", "HTTP_TLS_CA"} & container["environment"].keys()
        named |= {"tls-ca"} if by_tls else set()
        assert set(container.get("secrets", [])) == named
        assert named <= set(compose["secrets"])


def test_prometheus_presents_a_mounted_credential_with_the_scope_of_metrics_alone(compose):
    jobs = yaml.safe_load((CHECKOUT / "prometheus.yml").read_text())["scrape_configs"]
    (services,) = [job for job in jobs if job["job_name"] == "services"]
    file = Path(services["authorization"]["credentials_file"])

    assert file.parent == Path("/run/secrets")
    assert file.name in compose["services"]["prometheus"]["secrets"]
    assert file.name in compose["secrets"]
    assert scopes_of(load_inventory())[file.name.removeprefix("internal-credential-")] == [
        "metrics.read"
    ]


def test_every_service_has_the_credentials_of_its_callers(ours, native):
    for service in native.inventory.ours:
        environment = ours[service.name]["environment"]
        assert environment["INTERNAL_CREDENTIALS_FILE"] == "/run/secrets/internal-credentials"


def test_every_address_in_a_container_names_a_container(compose, ours, native):
    """Those that browsers are given name this machine, where Compose publishes them."""
    names = set(compose["services"]) | {
        alias for one in ours.values() for alias in one["networks"]["payment-net"]["aliases"]
    }
    for name, container in ours.items():
        templates = native.inventory.service(name).environment
        for setting, value in container["environment"].items():
            for_browsers = re.search(r"\{browser:|\{traces\}", templates.get(setting, ""))
            known = names | ({"localhost"} if for_browsers else set())
            for host in re.findall(r"(?:://|@)(?:\w+@)?([a-z][a-z_-]+)[:/]", value or ""):
                assert host in known, f"{name}: {value}"


def test_service_containers_have_limits_health_checks_and_no_privileges(ours):
    for container in ours.values():
        assert container["restart"] == "unless-stopped"
        assert container["read_only"] is True
        assert container["cap_drop"] == ["ALL"]
        assert container["security_opt"] == ["no-new-privileges:true"]
        assert set(container["deploy"]["resources"]["limits"]) == {"cpus", "memory"}
        assert "/ready" in container["healthcheck"]["test"][-1]


def test_a_service_starts_after_the_infrastructure_that_it_needs(ours, native):
    for name, container in ours.items():
        needs = native.inventory.service(name).needs
        waits = container.get("depends_on", {})
        assert set(waits) == ({"prepare", *needs} if needs else set())


def test_the_partner_banks_ledger_is_on_a_volume(compose, ours):
    (volume,) = ours["partner_bank"]["volumes"]
    name, _, folder = volume.partition(":")
    assert name in compose["volumes"]
    assert folder == ours["partner_bank"]["environment"]["MOCK_STATE"]


def test_every_setting_is_in_the_example_with_a_meaning():
    lines = DOTENV_FILE.read_text().splitlines()
    listed = {line[1:].partition("=")[0] for line in lines if re.match(r"#[A-Z0-9_]+=", line)}
    assert listed == set(load_inventory().meanings)
    assert all(
        lines[number - 1].startswith("# ")
        for number, line in enumerate(lines)
        if re.match(r"#[A-Z0-9_]+=", line)
    )


def test_images_contain_the_services_packages_and_no_development_tools():
    packages = re.findall(r"^([a-z0-9-]+)==", IMAGES_FILE.read_text(), re.MULTILINE)
    assert {"aiokafka", "fastapi", "psycopg-binary", "uvloop", "twilio", "sendgrid"} <= set(
        packages
    )
    assert not {"pytest", "mypy", "ruff", "hypothesis", "uv"} & set(packages)


def test_images_are_pinned_by_the_same_hashes_as_the_checkout():
    lock = LOCK_FILE.read_text()
    pins = re.findall(r"^[a-z0-9-]+==.*|--hash=\S+", IMAGES_FILE.read_text(), re.MULTILINE)
    assert len(pins) > 500
    assert all(pin in lock for pin in pins)


def test_the_image_never_runs_as_root():
    stages = (CHECKOUT / "deploy" / "Dockerfile").read_text().split("\nFROM ")
    for stage in stages:
        if "\nCMD " in stage:
            assert "\nUSER countersign\n" in stage
