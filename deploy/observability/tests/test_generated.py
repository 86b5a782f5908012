"""What is generated is up to date, and what is written by hand fits the rest of the system."""

import json
import re

import pytest
import yaml

from local_stack.inventory import load_inventory
from local_stack.layout import CHECKOUT
from local_stack.telemetry.vmui import filled_in, page, write_pages
from observability.alerts import alerts
from observability.generate import DASHBOARDS, dashboard_text, generated_files
from observability.rules import rule_files
from observability.timing import Timing, seconds_of

ALERTING = ["rules/alerts.rules.yml", "grafana/provisioning/alerting/rules.yaml"]
SPECIFIED = [
    "Transactions a minute",
    "OTP success and failure",
    "Risk distribution",
    "Kafka lag",
    "HTTP errors",
]


def _dashboard(name):
    return json.loads(dashboard_text(DASHBOARDS[name]()))


def _panels(name):
    return [panel for panel in _dashboard(name)["panels"] if panel["type"] != "row"]


@pytest.mark.parametrize("path", generated_files(), ids=lambda path: path.name)
def test_a_generated_file_is_up_to_date(path):
    assert path.read_text() == generated_files()[path], "run `make generate`"


def test_no_dashboard_is_left_over():
    present = {path.stem for path in (CHECKOUT / "grafana-dashboards").glob("*.json")}
    assert present == set(DASHBOARDS)


def test_the_five_specified_panels_come_first():
    assert [panel["title"] for panel in _panels("payment-confirm")[:5]] == SPECIFIED


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_panel_says_what_it_shows_and_in_which_unit(name):
    for panel in _panels(name):
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["type"] == "logs" or panel["fieldConfig"]["defaults"]["unit"]
        assert panel["targets"]


@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_title_is_used_once_in_a_dashboard(name):
    titles = [panel["title"] for panel in _panels(name)]
    assert len(titles) == len(set(titles))


@pytest.mark.parametrize("name", DASHBOARDS)
def test_the_native_page_shows_every_panel_of_metrics_in_its_row(name):
    converted = page(_dashboard(name))
    shown = [panel["title"] for row in converted["rows"] for panel in row["panels"]]
    metrics = [one for one in _panels(name) if one["datasource"]["type"] == "prometheus"]
    assert shown == [panel["title"] for panel in metrics]
    expressions = [e for row in converted["rows"] for one in row["panels"] for e in one["expr"]]
    assert not [expr for expr in expressions if "$" in expr]


def test_a_window_of_grafanas_becomes_one_of_prometheus():
    assert filled_in("rate(x[$__rate_interval])") == "rate(x[1m])"


def test_http_errors_are_those_of_our_services_and_not_of_the_mocks():
    """The native page warns of more than twenty lines in one graph."""
    titles = ("HTTP errors", "HTTP refusals")
    panels = [one for one in _panels("payment-confirm") if one["title"] in titles]
    assert [one["title"] for one in panels] == [*titles]
    ours = [one.name for one in load_inventory().ours]
    for panel in panels:
        assert len(ours) * len(panel["targets"]) <= 20
        for target in panel["targets"]:
            asked = set(re.findall(r'service_name=~"([^"]*)"', target["expr"]))
            assert asked == {"|".join(ours)}


@pytest.mark.parametrize("alert", alerts(Timing()), ids=lambda alert: alert.name)
def test_every_alert_has_a_runbook_of_four_headings(alert):
    text = (CHECKOUT / alert.runbook).read_text()
    assert text.startswith(f"# {alert.name}\n")
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings == ["What it means", "Look first", "Commands", "Ways out"]


@pytest.mark.parametrize("path", ALERTING)
def test_an_alert_carries_an_address_that_can_be_opened_from_anywhere(path):
    text = (CHECKOUT / "deploy/observability" / path).read_text()
    urls = set(re.findall(r"runbook_url: (\S+)", text))
    assert urls == {f"http://localhost:3030/runbooks/{one.name}" for one in alerts(Timing())}


def test_no_runbook_is_left_over():
    present = {path.stem for path in (CHECKOUT / "docs/runbooks").glob("[A-Z]*.md")}
    assert present == {alert.name for alert in alerts(Timing())}


def test_every_make_target_of_a_runbook_exists():
    targets = set(re.findall(r"^([a-z-]+):", (CHECKOUT / "Makefile").read_text(), re.MULTILINE))
    for path in (CHECKOUT / "docs/runbooks").glob("*.md"):
        used = set(re.findall(r"(?:`|^)make ([a-z-]+)", path.read_text(), re.MULTILINE))
        assert used <= targets, path.name


def test_prometheus_asks_every_service_at_its_port():
    # Those of other groups are added when they start.
    ours = [one for one in load_inventory().core if not one.mock]
    jobs = yaml.safe_load((CHECKOUT / "prometheus.yml").read_text())["scrape_configs"]
    (services,) = [job for job in jobs if job["job_name"] == "services"]
    assert services["static_configs"][0]["targets"] == [f"{one.name}:{one.port}" for one in ours]


def test_the_collector_is_built_with_every_component_that_it_is_told_to_run():
    folder = CHECKOUT / "deploy/observability"
    built = (folder / "otelcol-builder.yaml").read_text()
    for path in (CHECKOUT / "otel-collector-config.yaml", folder / "collector-native.yaml"):
        document = yaml.safe_load(path.read_text())
        for kind in ("extension", "receiver", "processor", "connector", "exporter"):
            for name in document.get(f"{kind}s", {}):
                module = name.partition("/")[0].replace("_", "").replace("otlpgrpc", "otlp")
                assert f"/{module}{kind} " in built, name


LOG_PANELS = [
    (name, panel)
    for name in DASHBOARDS
    for panel in json.loads(dashboard_text(DASHBOARDS[name]()))["panels"]
    if panel["type"] == "logs"
]


@pytest.mark.parametrize(("name", "panel"), LOG_PANELS, ids=lambda one: str(one)[:15])
def test_a_panel_of_log_lines_shows_time_service_and_details(name, panel):
    options = panel["options"]
    assert options["showTime"]
    assert options["enableLogDetails"]
    assert options["wrapLogMessage"]
    (target,) = panel["targets"]
    assert target["expr"].startswith('{service_namespace="countersign"} |')
    assert "{{.service_name}} {{__line__}}" in target["expr"]


def test_what_leads_to_a_trace_leads_to_jaegers_page_which_asks_for_no_password():
    folder = CHECKOUT / "deploy/observability/grafana/provisioning/datasources"
    sources = yaml.safe_load((folder / "datasources.yaml").read_text())["datasources"]
    settings = {one["uid"]: one["jsonData"] for one in sources}
    page = f"http://localhost:{load_inventory().ports['jaeger_web']}/trace/$${{__value.raw}}"
    (field,) = settings["loki"]["derivedFields"]
    assert (field["matcherType"], field["matcherRegex"]) == ("label", "trace_id")
    assert (field["url"], "datasourceUid" in field) == (page, False)
    (exemplar,) = settings["prometheus"]["exemplarTraceIdDestinations"]
    assert (exemplar["url"], "datasourceUid" in exemplar) == (page, False)


def test_a_traces_link_to_its_log_lines_leads_to_a_dashboard_that_takes_its_id():
    """Explore is closed to whoever is not signed in; dashboards are open."""
    ui = json.loads((CHECKOUT / "deploy/observability/jaeger-ui.json").read_text())
    (link,) = ui["linkPatterns"]
    grafana = f"http://localhost:{load_inventory().ports['grafana_web']}"
    found = re.fullmatch(re.escape(grafana) + r"/d/(\w+)\?var-(\w+)=#\{traceID\}&.*", link["url"])
    made = _dashboard(found[1])
    assert made["uid"] == found[1]
    assert found[2] in [one["name"] for one in made["templating"]["list"]]
    assert f"${found[2]}" in made["panels"][1]["targets"][0]["expr"]


def test_the_native_page_of_dashboards_has_none_without_a_panel(tmp_path):
    write_pages(CHECKOUT / "grafana-dashboards", tmp_path)
    assert len(list(tmp_path.iterdir())) == len(DASHBOARDS) - 1
    assert not list(tmp_path.glob("*logs.json"))


def test_a_line_passes_the_same_processors_natively_before_it_is_given_its_traces_address():
    def logs(path):
        return yaml.safe_load((CHECKOUT / path).read_text())["service"]["pipelines"]["logs"]

    native = logs("deploy/observability/collector-native.yaml")
    common = logs("otel-collector-config.yaml")["processors"]
    assert native["processors"] == [*common, "transform/trace_url"]
    assert "otlp_http/victorialogs" in native["exporters"]


def test_a_shortened_rule_has_the_same_shape_as_the_real_one():
    real, short = (rule_files(timing) for timing in (Timing(), Timing(0.1, shortest_s=10)))
    for name in real:
        assert _shape(real[name]) == _shape(short[name])


def _shape(text):
    """The rules without lengths of time, and without the line breaks that lengths move."""
    return re.sub(
        r"\s+", " ", re.sub(r"(?<=\[)\d+[smhd](?=\])|(?<=for: |fset )\d+[smhd]", "", text)
    )


@pytest.mark.parametrize(
    ("length", "window", "hold"),
    [("5m", "30s", "30s"), ("1m", "10s", "6s"), ("0s", "10s", "0s"), ("1d", "8640s", "8640s")],
)
def test_a_shortened_window_keeps_room_for_two_samples_and_a_hold_needs_none(length, window, hold):
    timing = Timing(0.1, shortest_s=10)
    assert timing.window(length) == window
    assert timing.hold(length) == hold


def test_real_time_is_left_as_it_is_written():
    assert Timing().window("90s") == "90s"


@pytest.mark.parametrize("length", ["5", "m", "5 m", "1w", ""])
def test_a_length_that_is_none_is_refused(length):
    with pytest.raises(ValueError, match="is not a duration"):
        seconds_of(length)


@pytest.mark.parametrize("factor", [0, -1, 1.1])
def test_time_is_only_shortened(factor):
    with pytest.raises(ValueError, match="factor must be above 0 and at most 1"):
        Timing(factor)
