"""Axes: round numbers for their marks, and where a value lies between the ends."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, kw_only=True)
class Axis:
    """A range of values on a range of pixels, and the values that are marked."""

    low: float
    high: float
    start: float  # the pixel of `low`
    end: float  # that of `high`
    marks: tuple[float, ...]

    def at(self, value: float) -> float:
        """The pixel of a value, to a tenth."""
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)


def axis(values: Sequence[float], *, start: float, end: float, marks: int = 5, zero: bool = False, tight: bool = False) -> Axis:
    """The axis of values between two pixels, with about so many marks at round numbers; with `zero` it begins at 0 or below.

    It ends at a mark or, if `tight`, at the highest value.

    >>> axis([0.071, 0.132], start=0, end=100).marks
    (0.06, 0.08, 0.1, 0.12, 0.14)
    >>> axis([3.0], start=0, end=100, zero=True).at(0)
    0.0
    """
    low, high = min(values, default=0.0), max(values, default=1.0)
    low = min(low, 0.0) if zero else low
    if low == high:
        low, high = (0.0, high or 1.0) if high >= 0 else (low, 0.0)
    step = round_step((high - low) / max(1, marks - 1))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    end_value = high if tight else last * step
    return Axis(
        low=first * step,
        high=end_value,
        start=start,
        end=end,
        marks=tuple(
            float(f"{number * step:.10g}") for number in range(first, last + 1) if number * step <= end_value + 1e-9 * step
        ),
    )


def round_step(step: float) -> float:
    """The round number from a step on.

    >>> round_step(0.013), round_step(210.0), round_step(1.0)
    (0.02, 250.0, 1.0)
    """
    scale = 10.0 ** math.floor(math.log10(step))
    return next(float(f"{factor * scale:.10g}") for factor in STEPS if factor * scale >= step * (1 - 1e-9))


def shown_mark(value: float) -> str:
    """A mark's number, short: thousands and millions by a letter.

    >>> [shown_mark(value) for value in (0.06, 0.5, 12.0, 2500.0, 250000.0, 3e6, 0.0)]
    ['0.06', '0.5', '12', '2.5k', '250k', '3M', '0']
    """
    for scale, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= scale:
            return f"{value / scale:.4g}{letter}"
    return f"{value:.4g}"
