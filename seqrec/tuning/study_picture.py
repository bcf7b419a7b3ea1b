"""A study as a picture, SVG without a library for plots: what the trials reached, in their order and by each hyper-parameter.

┌─────────────────────────┐     a dot a trial, the line is the best so far; pruned trials are hollow
└─────────────────────────┘
┌──────┐ ┌──────┐ ┌──────┐      a panel a hyper-parameter: its value, and what the trial reached
└──────┘ └──────┘ └──────┘
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import accumulate
from typing import Any

from seqrec.tuning.study_report import shown_value
from seqrec.tuning.trial_outcome import TrialRow

PICTURE = "trials.svg"
WIDE, HIGH, PANEL, ACROSS = 860, 220, 200, 4  # pixels: the upper plot, a panel, and how many panels stand beside each other
LEFT, BELOW, GAP = 56, 34, 20
LOG_FROM = 10.0  # numbers of which the highest is so many times the lowest are drawn on a scale of logarithms
ENDS = {0.0: "start", 1.0: "end"}  # how labels at the ends of an axis lie, so that they run into no other
DOT, BEST_LINE = "#4878a8", "#c05020"


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A rectangle of a picture, and the range of the metric in it."""

    x: float
    y: float
    width: float
    height: float
    lowest: float
    highest: float

    def down(self, value: float) -> float:
        """The pixel of a metric."""
        share = (value - self.lowest) / ((self.highest - self.lowest) or 1.0)
        return round(self.y + self.height * (1 - share), 1)

    def across(self, share: float) -> float:
        """The pixel of a place between left (0) and right (1), away from both edges."""
        return round(self.x + self.width * (0.04 + 0.92 * share), 1)

    def frame(self, title: str) -> list[str]:
        """The rectangle, the ends of the metric's range, and what the axis below says."""
        return [
            f'<rect x="{self.x}" y="{self.y}" width="{self.width}" height="{self.height}" fill="none" stroke="#bbb"/>',
            _text(self.x - 5, self.down(self.highest) + 4, f"{self.highest:.4g}", anchor="end"),
            _text(self.x - 5, self.down(self.lowest) + 4, f"{self.lowest:.4g}", anchor="end"),
            _text(self.x + self.width / 2, self.y + self.height + 28, title, anchor="middle"),
        ]


def draw_study(rows: Sequence[TrialRow], *, metric: str, lower: bool, title: str) -> str:
    """The picture of all trials that have a metric."""
    measured = [row for row in rows if row.reached is not None]
    keys = list(dict.fromkeys(key for row in measured for key in row.values))
    values = [row.reached for row in measured if row.reached is not None] or [0.0]
    range_of = {"lowest": min(values), "highest": max(values)}
    above = Plot(x=LEFT, y=40, width=WIDE - LEFT - GAP, height=HIGH, **range_of)
    lines = [_text(8, 20, title, weight="bold"), *_history(above, measured, metric=metric, lower=lower)]
    side = (WIDE - GAP) / ACROSS - LEFT - 6
    for place, key in enumerate(keys):
        column, row_number = place % ACROSS, place // ACROSS
        x, y = LEFT + column * (side + LEFT + 6), 40 + HIGH + BELOW + GAP + row_number * (PANEL + BELOW + GAP)
        lines += _panel(Plot(x=round(x, 1), y=y, width=round(side, 1), height=PANEL, **range_of), measured, key)
    height = 40 + HIGH + BELOW + GAP + math.ceil(len(keys) / ACROSS) * (PANEL + BELOW + GAP)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDE}" height="{height}" font-family="sans-serif" font-size="11">'
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *lines, "</svg>", ""])


def _history(plot: Plot, rows: Sequence[TrialRow], *, metric: str, lower: bool) -> list[str]:
    """Each trial's metric by its number, and the best so far."""
    lines = plot.frame(f"{metric} of valid, by trial")
    last = max((row.number for row in rows), default=0) or 1
    complete = [row for row in rows if row.state == "complete" and row.reached is not None]
    best = accumulate((row.reached or 0.0 for row in complete), min if lower else max)
    points = " ".join(f"{plot.across(row.number / last)},{plot.down(value)}" for row, value in zip(complete, best, strict=True))
    lines.append(f'<polyline points="{points}" fill="none" stroke="{BEST_LINE}" stroke-width="1.5"/>')
    lines += [_dot(plot.across(row.number / last), plot, row) for row in rows]
    return [
        *lines,
        _text(plot.across(0), plot.y + plot.height + 14, "0"),
        _text(plot.across(1), plot.y + plot.height + 14, str(last)),
    ]


def _panel(plot: Plot, rows: Sequence[TrialRow], key: str) -> list[str]:
    """Each trial's metric by a hyper-parameter: along a scale for numbers, else a column a value."""
    those = [row for row in rows if key in row.values]
    places, labels = place_values([row.values[key] for row in those])
    lines = plot.frame(key)
    lines += [_dot(plot.across(place), plot, row) for place, row in zip(places, those, strict=True)]
    below = plot.y + plot.height + 14
    return lines + [_text(plot.across(place), below, label, anchor=ENDS.get(place, "middle")) for place, label in labels]


def place_values(values: Sequence[Any]) -> tuple[list[float], list[tuple[float, str]]]:
    """Where each value stands between 0 and 1, and the labels below: the ends of a scale of numbers, or each of few values.

    >>> place_values([10, 1000, 100])
    ([0.0, 1.0, 0.5], [(0.0, '10'), (1.0, '1000')])
    >>> place_values([None, "a", None])
    ([1.0, 0.0, 1.0], [(0.0, 'a'), (1.0, 'null')])
    """
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    if numbers and len(set(values)) > 1:
        lowest, highest = min(values), max(values)
        scaled = math.log if lowest > 0 and highest / lowest >= LOG_FROM else float
        width = scaled(highest) - scaled(lowest)
        places = [round((scaled(value) - scaled(lowest)) / width, 6) for value in values]
        return places, [(0.0, shown_value(lowest)), (1.0, shown_value(highest))]
    names = [shown_value(value) for value in values]
    order = sorted(set(names))
    last = max(1, len(order) - 1)
    return [order.index(name) / last for name in names], [(place / last, name) for place, name in enumerate(order)]


def _dot(x: float, plot: Plot, row: TrialRow) -> str:
    """A trial; the tooltip says its number and values."""
    fill = DOT if row.state == "complete" else "white"
    values = ", ".join(f"{key}={shown_value(value)}" for key, value in row.values.items())
    tip = escape(f"trial {row.number}, {row.state}, {row.reached:.4f}: {values}")
    y = plot.down(row.reached or 0.0)
    return f'<circle cx="{x}" cy="{y}" r="4" fill="{fill}" stroke="{DOT}" fill-opacity="0.8"><title>{tip}</title></circle>'


def _text(x: float, y: float, text: str, *, anchor: str = "start", weight: str = "normal") -> str:
    """A text."""
    return f'<text x="{round(x, 1)}" y="{round(y, 1)}" text-anchor="{anchor}" font-weight="{weight}">{escape(text)}</text>'
