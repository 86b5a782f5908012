"""Line charts as SVG, without a library."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

_WIDTH, _HEIGHT = 720, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 130, 46, 56
_BARS_LEFT, _ROW = 110, 24
_LEAST_SHARE = 0.02
"""Of the largest bar; a smaller value is not drawn."""
_COLOURS = ("#1f6fb4", "#d1662b", "#2f8f4e", "#8a4fb0", "#b03a48")
_TEXT = 'font-family="sans-serif" font-size="12" fill="#333"'


@dataclass(frozen=True, slots=True)
class Line:
    """One named curve."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis; a logarithmic one needs positive values."""

    name: str
    logarithmic: bool = False


def write_chart(path: Path, title: str, axes: tuple[Axis, Axis], lines: Sequence[Line]) -> None:
    """Draw the lines that have points; write no file without any."""
    drawn = [line for line in lines if line.points]
    if drawn:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_chart(title, axes, drawn))


def _chart(title: str, axes: tuple[Axis, Axis], lines: Sequence[Line]) -> str:
    across = _Scale(axes[0], [x for line in lines for x, _ in line.points], _LEFT, _WIDTH - _RIGHT)
    up = _Scale(axes[1], [y for line in lines for _, y in line.points], _HEIGHT - _BOTTOM, _TOP)
    parts = [
        *_frame(title, _HEIGHT),
        *(_grid_up(tick, across) for tick in across.ticks()),
        *(_grid_across(tick, up) for tick in up.ticks()),
        _axis_names(axes),
        *(_curve(line, colour, across, up) for line, colour in zip(lines, _COLOURS, strict=False)),
        *(_legend(line, place) for place, line in enumerate(lines)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def write_bars(path: Path, title: str, values: Mapping[str, float]) -> None:
    """Draw a bar for each value, the largest first, with its figure."""
    rows = sorted(values.items(), key=lambda one: -one[1])
    rows = [(name, value) for name, value in rows if value >= _LEAST_SHARE * rows[0][1]]
    height = _TOP + _ROW * len(rows)
    across = _Scale(Axis(""), [value for _, value in rows], _BARS_LEFT, _WIDTH - _RIGHT)
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = [*_frame(title, height), *(_bar(row, place, across) for place, row in enumerate(rows))]
    path.write_text("\n".join([*parts, "</svg>"]) + "\n")


def _bar(row: tuple[str, float], place: int, across: "_Scale") -> str:
    name, value = row
    y, end = _TOP + _ROW * place, across.at(value)
    return (
        f'<text x="{_BARS_LEFT - 8}" y="{y + 13}" {_TEXT} text-anchor="end">{escape(name)}</text>'
        f'<rect x="{_BARS_LEFT}" y="{y}" width="{end - _BARS_LEFT:.1f}" height="{_ROW - 6}"'
        f' fill="{_COLOURS[0]}"/><text x="{end + 6:.1f}" y="{y + 13}" {_TEXT}>{value:,.0f}</text>'
    )


def _frame(title: str, height: int) -> list[str]:
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}">',
        f'<rect width="{_WIDTH}" height="{height}" fill="white"/>',
        f'<text x="16" y="24" {_TEXT} font-weight="bold">{escape(title)}</text>',
    ]


class _Scale:
    """Maps values to coordinates."""

    def __init__(self, axis: Axis, values: Sequence[float], start: float, end: float) -> None:
        self._logarithmic = axis.logarithmic
        self._start, self._end = start, end
        if axis.logarithmic:
            self._low = 10.0 ** math.floor(math.log10(min(values)))
            self._high = max(10 * self._low, 10.0 ** math.ceil(math.log10(max(values)) - 1e-9))
        else:
            self._low, self._high = 0.0, _rounded_up(max(values))

    def at(self, value: float) -> float:
        low, high = self._measure(self._low), self._measure(self._high)
        return self._start + (self._measure(value) - low) / (high - low) * (self._end - self._start)

    def ticks(self) -> list[float]:
        if not self._logarithmic:
            return [self._high * part / 5 for part in range(6)]
        decades = round(math.log10(self._high / self._low))
        return [self._low * 10**decade for decade in range(decades + 1)]

    def _measure(self, value: float) -> float:
        return math.log10(value) if self._logarithmic else value


def _rounded_up(value: float) -> float:
    """Return the next of 1, 1.5, 2, 2.5, 5, 10, … so that ticks are round."""
    unit = 10.0 ** math.floor(math.log10(value or 1))
    return next(unit * step for step in (1, 1.5, 2, 2.5, 5, 10) if unit * step >= value)


def _grid_up(tick: float, across: _Scale) -> str:
    x, bottom = across.at(tick), _HEIGHT - _BOTTOM
    return (
        f'<line x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{bottom}" stroke="#e4e4e4"/>'
        f'<text x="{x:.1f}" y="{bottom + 18}" {_TEXT} text-anchor="middle">{tick:,.10g}</text>'
    )


def _grid_across(tick: float, up: _Scale) -> str:
    y, right = up.at(tick), _WIDTH - _RIGHT
    return (
        f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" stroke="#e4e4e4"/>'
        f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" {_TEXT} text-anchor="end">{tick:,.10g}</text>'
    )


def _axis_names(axes: tuple[Axis, Axis]) -> str:
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    return (
        f'<text x="{middle}" y="{_HEIGHT - 14}" {_TEXT} text-anchor="middle">'
        f"{escape(axes[0].name)}</text>"
        f'<text x="8" y="{_TOP - 8}" {_TEXT}>{escape(axes[1].name)}</text>'
    )


def _curve(line: Line, colour: str, across: _Scale, up: _Scale) -> str:
    places = [(across.at(x), up.at(y)) for x, y in line.points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>{dots}'


def _legend(line: Line, place: int) -> str:
    x, y = _WIDTH - _RIGHT + 14, _TOP + 12 + 20 * place
    return (
        f'<line x1="{x}" y1="{y - 4}" x2="{x + 18}" y2="{y - 4}" stroke="{_COLOURS[place]}"'
        f' stroke-width="2"/><text x="{x + 24}" y="{y}" {_TEXT}>{escape(line.name)}</text>'
    )
