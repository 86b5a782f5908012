"""The kinds of panels of the dashboards.

Every panel has a title, a description and a unit; its queries are PromQL.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders import common, logs, loki, stat, timeseries
from grafana_foundation_sdk.builders import dashboard as builder
from grafana_foundation_sdk.builders import prometheus as prom
from grafana_foundation_sdk.models import common as models
from grafana_foundation_sdk.models.dashboard import DashboardCursorSync, DataSourceRef

METRICS = DataSourceRef(type_val="prometheus", uid="prometheus")
LOGS = DataSourceRef(type_val="loki", uid="loki")
RATE = "$__rate_interval"
_HEIGHT = 8
_STAT_HEIGHT = 4


@dataclass(frozen=True, slots=True)
class Query:
    """PromQL and the legend of its series; `exemplars` shows traces as dots."""

    expr: str
    legend: str = "__auto"
    exemplars: bool = False


@dataclass(frozen=True, slots=True)
class PanelText:
    """A panel's title and description, and the unit of its values (Grafana's name)."""

    title: str
    description: str
    unit: str


def graph(
    text: PanelText, *queries: Query, span: int = 12, stacked: bool = False
) -> timeseries.Panel:
    """Return a graph over time; a `span` of 24 is the full width."""
    panel = (
        timeseries.Panel()
        .title(text.title)
        .description(text.description)
        .unit(text.unit)
        .datasource(METRICS)
        .span(span)
        .height(_HEIGHT)
        .min(0)
        .line_width(1)
        .fill_opacity(15)
        .tooltip(_tooltip())
        .legend(_legend())
    )
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(models.StackingMode.NORMAL))
    for target in _targets(queries):
        panel = panel.with_target(target)
    return panel


def number(text: PanelText, expr: str, span: int = 4) -> stat.Panel:
    """Return a panel with the latest value."""
    return (
        stat.Panel()
        .title(text.title)
        .description(text.description)
        .unit(text.unit)
        .datasource(METRICS)
        .span(span)
        .height(_STAT_HEIGHT)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .with_target(_target(Query(expr), "A"))
    )


def lines(text: PanelText, filters: str, height: int = _HEIGHT) -> logs.Panel:
    """Return a panel of the services' log lines that pass LogQL's filters.

    A line shows time, service, event, reason and payment; opened, all fields and the link to its
    trace.
    """
    target = (
        loki.Dataquery().expr(f"{_OUR_SERVICES} {filters} {_LINE}").ref_id("A").datasource(LOGS)
    )
    panel = (
        logs.Panel()
        .title(text.title)
        .description(text.description)
        .datasource(LOGS)
        .span(24)
        .height(height)
        .with_target(target)
    )
    for show in (panel.show_time, panel.enable_log_details, panel.wrap_log_message):
        show(True)  # noqa: FBT003 - the SDK's signature
    return panel


_OUR_SERVICES = '{service_namespace="countersign"}'
# Missing fields of a line are empty.
_LINE = '| line_format "{{.service_name}} {{__line__}} {{.reason}} {{.payment_id}}"'


def dashboard(
    title: str,
    uid: str,
    rows: Sequence[tuple[str, Sequence[Any]]],
    variables: Mapping[str, str] | None = None,
) -> builder.Dashboard:
    """Return a dashboard of rows: (heading, panels).

    `variables` are text inputs for the reader or a link: name → label.
    """
    built = (
        builder.Dashboard(title)
        .uid(uid)
        .tags(["countersign", "generated"])
        .readonly()
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .refresh("30s")
        .time("now-30m", "now")
        .timezone("browser")
    )
    for name, label in (variables or {}).items():
        built = built.with_variable(builder.TextBoxVariable(name).label(label).default_value(""))
    for heading, panels in rows:
        built = built.with_row(builder.Row(heading))
        for panel in panels:
            built = built.with_panel(panel)
    return built


def quantiles(metric: str, *, by: str = "", selector: str = "") -> list[Query]:
    """Return p50, p95 and p99 of a histogram; the p99 with exemplars."""
    labels = f"le, {by}" if by else "le"
    name = f" {{{{{by}}}}}" if by else ""
    return [
        Query(
            f"histogram_quantile({share}, sum by ({labels})"
            f" (rate({metric}_bucket{{{selector}}}[{RATE}])))",
            f"p{round(share * 100)}{name}",
            exemplars=share == _TRACED_SHARE,
        )
        for share in (0.5, 0.95, _TRACED_SHARE)
    ]


_TRACED_SHARE = 0.99


def _targets(queries: Sequence[Query]) -> list[prom.Dataquery]:
    return [_target(query, chr(ord("A") + number)) for number, query in enumerate(queries)]


def _target(query: Query, ref: str) -> prom.Dataquery:
    target = (
        prom.Dataquery()
        .expr(query.expr)
        .legend_format(query.legend)
        .ref_id(ref)
        .datasource(METRICS)
    )
    return target.exemplar(True) if query.exemplars else target  # noqa: FBT003 - the SDK's signature


def _tooltip() -> common.VizTooltipOptions:
    options = common.VizTooltipOptions()
    return options.mode(models.TooltipDisplayMode.MULTI).sort(models.SortOrder.DESCENDING)


def _legend() -> common.VizLegendOptions:
    return (
        common.VizLegendOptions()
        .display_mode(models.LegendDisplayMode.TABLE)
        .placement(models.LegendPlacement.BOTTOM)
        .show_legend(True)  # noqa: FBT003 - the SDK's signature
        .calcs(["lastNotNull", "max"])
    )
