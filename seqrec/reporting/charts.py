"""Charts as inline SVG, in the colours of the page: lines, bars, and values with intervals.

A chart is WIDE units wide and scaled with the page, so its letters are readable on a phone and not too large on a desk. What it
shows stands in its title and description too, for those who don't see it; a bar and a point say their value when pointed at.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeGuard

from seqrec.reporting.markup import Markup, element
from seqrec.reporting.scales import Axis, axis, shown_mark

WIDE, HIGH = 440, 250
LEFT, RIGHT, TOP, BOTTOM = 60, 14, 14, 46  # from the edges to the rectangle of the values
ROW = 44  # of a chart of intervals
LETTER = 8.0  # the width of a letter on a phone, by which labels that would touch are left out


@dataclass(frozen=True, kw_only=True)
class Labels:
    """The words of a chart: what it shows, in a sentence, and what its axes are, with their units."""

    title: str
    description: str
    across: str
    up: str


@dataclass(frozen=True, kw_only=True)
class Series:
    """Points (x, y) that belong together, or heights of bars, and their name."""

    name: str
    points: Sequence[tuple[float, float]]


def is_finite(value: object) -> TypeGuard[float]:
    """Whether a value of a file can be drawn.

    >>> [is_finite(value) for value in (0.5, 3, float("nan"), None, "0.5")]
    [True, True, False, False, False]
    """
    return isinstance(value, int | float) and math.isfinite(value)


def line_chart(series: Sequence[Series], labels: Labels, *, best: int | None = None) -> Markup:
    """Lines over a common axis; the point number `best` of the first one is marked. There is at least one point."""
    places = [x for one in series for x, _ in one.points]
    across = axis(places, start=LEFT, end=WIDE - RIGHT, zero=True, tight=True)
    up = axis([y for one in series for _, y in one.points], start=HIGH - BOTTOM, end=TOP)
    drawn = [*_grid(up), *_marks_across(across)]
    for number, one in enumerate(series):
        points = [(across.at(x), up.at(y)) for x, y in one.points]
        drawn.append(element("polyline", points=" ".join(f"{x},{y}" for x, y in points), class_=f"line series-{number}"))
        for (x, y), (step, value) in zip(points, one.points, strict=True):
            tip = f"{one.name}: {value:.4g} at {step:,.0f}"
            marked = " best" if number == 0 and best is not None and (step, value) == series[0].points[best] else ""
            drawn.append(_titled("circle", tip, cx=x, cy=y, r=5 if marked else 2.5, class_=f"dot series-{number}{marked}"))
    return _framed([*drawn, *_axis_titles(labels)], labels, names=[one.name for one in series])


def bar_chart(names: Sequence[str], series: Sequence[Series], labels: Labels, *, percent: bool = False) -> Markup:
    """Bars over names, one a series side by side; with `percent`, heights are shares. There is at least one bar."""
    up = axis([y for one in series for _, y in one.points], start=HIGH - BOTTOM, end=TOP, zero=True, marks=5)
    slot = (WIDE - LEFT - RIGHT) / len(names)
    width = round(slot * (0.86 if slot > 4 else 1.0) / len(series), 2)
    drawn = _grid(up, percent=percent)
    for number, one in enumerate(series):
        for x, y in one.points:
            left = round(LEFT + slot * (x + 0.07) + number * width, 2)
            tip = f"{names[int(x)]}, {one.name}: " + (f"{100 * y:.3g} %" if percent else f"{y:,.0f}")
            top = up.at(y)
            drawn.append(
                _titled("rect", tip, x=left, y=top, width=width, height=round(up.start - top, 1), class_=f"bar series-{number}")
            )
    every = _label_every(names, slot)
    drawn += [
        _text(round(LEFT + slot * (place + 0.5), 1), HIGH - BOTTOM + 19, name, anchor="middle")
        for place, name in enumerate(names)
        if place % every == 0
    ]
    return _framed([*drawn, *_axis_titles(labels)], labels, names=[one.name for one in series])


@dataclass(frozen=True, kw_only=True)
class Span:
    """A value with the ends of its interval, or without an interval, and its name."""

    name: str
    value: float
    interval: tuple[float, float] | None


def interval_chart(spans: Sequence[Span], labels: Labels) -> Markup:
    """Values with their intervals, one below the other, each below its name, on an axis that begins at 0."""
    values = [value for span in spans for value in (span.value, *(span.interval or ()))]
    height = TOP + ROW * len(spans) + BOTTOM
    across = axis(values, start=14, end=WIDE - RIGHT - 14, zero=True)
    drawn = [
        element("line", x1=across.at(mark), x2=across.at(mark), y1=TOP, y2=height - BOTTOM, class_="grid")
        for mark in across.marks
    ]
    drawn += _marks_across(across, bottom=height - BOTTOM)
    for number, span in enumerate(spans):
        y = TOP + ROW * number + 32
        drawn.append(_text(14, y - 12, _cut(span.name)))
        if span.interval is not None:
            low, high = map(across.at, span.interval)
            drawn.append(element("line", x1=low, x2=high, y1=y, y2=y, class_=f"span series-{min(number, 1)}"))
        tip = f"{span.name}: {span.value:.4f}"
        drawn.append(_titled("circle", tip, cx=across.at(span.value), cy=y, r=5, class_=f"dot series-{min(number, 1)}"))
    drawn.append(_text(WIDE / 2, height - 8, labels.across, anchor="middle", class_="axis"))
    return _framed(drawn, labels, names=[], height=height)


def _framed(drawn: Sequence[Markup], labels: Labels, *, names: Sequence[str], height: int = HIGH) -> Markup:
    """A figure: its title, the drawing, and the names of its series where there are several."""
    described = [element("title", labels.title), element("desc", labels.description)]
    drawing = element(
        "svg", *described, *drawn, viewBox=f"0 0 {WIDE} {height}", role="img", aria_label=f"{labels.title}. {labels.description}"
    )
    keys = [element("span", name, class_=f"key series-{number}") for number, name in enumerate(names)] if len(names) > 1 else []
    legend = [element("div", *keys)] if keys else []
    caption = element("figcaption", element("strong", labels.title), element("span", labels.description), *legend)
    return element("figure", caption, drawing)


def _grid(up: Axis, *, percent: bool = False) -> list[Markup]:
    """A line and a number at each mark of the axis to the left."""
    drawn = []
    for mark in up.marks:
        y = up.at(mark)
        drawn.append(element("line", x1=LEFT, x2=WIDE - RIGHT, y1=y, y2=y, class_="grid"))
        drawn.append(_text(LEFT - 6, y + 4, f"{100 * mark:.4g} %" if percent else shown_mark(mark), anchor="end"))
    return drawn


def _marks_across(across: Axis, *, bottom: float = HIGH - BOTTOM) -> list[Markup]:
    """A number at each mark of the axis below."""
    return [_text(across.at(mark), bottom + 19, shown_mark(mark), anchor="middle") for mark in across.marks]


def _axis_titles(labels: Labels) -> list[Markup]:
    """The words below the axis across and, turned, beside the one up."""
    middle = (TOP + HIGH - BOTTOM) / 2
    turned = f"rotate(-90 12 {middle})"
    return [
        _text((LEFT + WIDE - RIGHT) / 2, HIGH - 8, labels.across, anchor="middle", class_="axis"),
        _text(12, middle, labels.up, anchor="middle", class_="axis", transform=turned),
    ]


def _label_every(names: Sequence[str], slot: float) -> int:
    """Of how many labels one is shown, so that none touches another.

    >>> _label_every(["1997-09", "1997-10", "1997-11"], 30)
    3
    """
    widest = max(map(len, names)) * LETTER + 8
    return max(1, -(-int(widest) // max(1, int(slot))))


def _cut(name: str, most: int = 60) -> str:
    """A name that fits into a chart."""
    return name if len(name) <= most else f"{name[: most - 1]}…"


def _text(x: float, y: float, text: str, *, anchor: str | None = None, **attributes: object) -> Markup:
    """A text of a chart."""
    return element("text", text, x=x, y=y, text_anchor=anchor, **attributes)


def _titled(name: str, tip: str, **attributes: object) -> Markup:
    """A shape that says its value when it is pointed at."""
    return element("g", element("title", tip), element(name, **attributes))
