"""The kinds of panels that the dashboards are made of.

Every panel has a title, a sentence that says what it shows, and a unit; its queries are PromQL.
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
    """PromQL and how its series are called; `exemplars` shows traces as dots."""

    expr: str
    legend: str = "__auto"
    exemplars: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """What a reader is told about a panel, and the unit of its values (Grafana's name of it)."""

    title: str
    description: str
    unit: str


def graph(told: Told, *queries: Query, span: int = 12, stacked: bool = False) -> timeseries.Panel:
    """A graph over time; `span` of 24 is the whole width."""
    panel = (
        timeseries.Panel()
        .title(told.title)
        .description(told.description)
        .unit(told.unit)
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


def number(told: Told, expr: str, span: int = 4) -> stat.Panel:
    """The latest value, large."""
    return (
        stat.Panel()
        .title(told.title)
        .description(told.description)
        .unit(told.unit)
        .datasource(METRICS)
        .span(span)
        .height(_STAT_HEIGHT)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .with_target(_target(Query(expr), "A"))
    )


def lines(told: Told, wanted: str, height: int = _HEIGHT) -> logs.Panel:
    """Log lines of ours that pass LogQL's filters: time, service, event, and what it is about.

    A line that is opened shows its details, and the link to its trace.
    """
    target = loki.Dataquery().expr(f"{_OURS} {wanted} {_LINE}").ref_id("A").datasource(LOGS)
    panel = (
        logs.Panel()
        .title(told.title)
        .description(told.description)
        .datasource(LOGS)
        .span(24)
        .height(height)
        .with_target(target)
    )
    for show in (panel.show_time, panel.enable_log_details, panel.wrap_log_message):
        show(True)  # noqa: FBT003 - the SDK's own
    return panel


_OURS = '{service_namespace="countersign"}'
# What is left of a line's fields: those that it lacks are empty.
_LINE = '| line_format "{{.service_name}} {{__line__}} {{.reason}} {{.payment_id}}"'


def dashboard(
    title: str,
    uid: str,
    rows: Sequence[tuple[str, Sequence[Any]]],
    asked: Mapping[str, str] | None = None,
) -> builder.Dashboard:
    """A dashboard of rows: (heading, panels).

    `asked` are variables that its reader, or the link to it, fills in: name → label.
    """
    made = (
        builder.Dashboard(title)
        .uid(uid)
        .tags(["countersign", "generated"])
        .readonly()
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .refresh("30s")
        .time("now-30m", "now")
        .timezone("browser")
    )
    for name, label in (asked or {}).items():
        made = made.with_variable(builder.TextBoxVariable(name).label(label).default_value(""))
    for heading, panels in rows:
        made = made.with_row(builder.Row(heading))
        for panel in panels:
            made = made.with_panel(panel)
    return made


def quantiles(metric: str, *, by: str = "", selector: str = "") -> list[Query]:
    """p50, p95 and p99 of a histogram; the p99 with exemplars."""
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
    return target.exemplar(True) if query.exemplars else target  # noqa: FBT003 - the SDK's own


def _tooltip() -> common.VizTooltipOptions:
    options = common.VizTooltipOptions()
    return options.mode(models.TooltipDisplayMode.MULTI).sort(models.SortOrder.DESCENDING)


def _legend() -> common.VizLegendOptions:
    return (
        common.VizLegendOptions()
        .display_mode(models.LegendDisplayMode.TABLE)
        .placement(models.LegendPlacement.BOTTOM)
        .show_legend(True)  # noqa: FBT003 - the SDK's own
        .calcs(["lastNotNull", "max"])
    )
