"""The columns that rules name, as arrays by the row of an item in its table. Row I, after the last, is an item without a row."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqrec.errors import UserError
from seqrec.ragged import Ragged
from seqrec.reranking.rules import Boost, Quota, Rules

BOOLEANS = {"true": ("true", "True", "TRUE"), "false": ("false", "False", "FALSE")}  # as files write them
Values = Sequence[Sequence[str]]  # of each item, its distinct values of a column as text


@dataclass(frozen=True, kw_only=True)
class ItemValues:
    """Of I items: for each cap the numbers of their values, from 1; for each quota whether they count; the sum of the boosts."""

    caps: tuple[Ragged, ...]  # I + 1 lists each
    quotas: tuple[NDArray[np.bool_], ...]  # (I + 1,) each
    boost: NDArray[np.float64]  # (I + 1,)

    @classmethod
    def of(cls, rules: Rules, columns: Mapping[str, Values], items: int) -> "ItemValues":
        """Of the columns of so many items; UserError for a boost or a minimum by a column that has no number."""
        boost = np.zeros(items + 1)
        for rule in rules.boosts:
            boost[:items] += rule.weight * scaled(_some_numbers(columns[rule.column], rule))
        return cls(
            caps=tuple(numbered(columns[cap.column]) for cap in rules.caps),
            quotas=tuple(np.append(_counts(columns[quota.column], quota), False) for quota in rules.quotas),
            boost=boost,
        )

    @property
    def missing(self) -> int:
        """The row of an item that has none."""
        return len(self.boost) - 1


def numbered(values: Values) -> Ragged:
    """The values as numbers from 1, in the order in which they first occur, and an empty list at the end.

    >>> numbers = numbered([["Drama", "War"], [], ["War"]])
    >>> numbers.values.tolist(), numbers.lengths.tolist()
    ([1, 2, 2], [2, 0, 1, 0])
    """
    numbers: dict[str, int] = {}
    for listed in values:
        for value in listed:
            numbers.setdefault(value, len(numbers) + 1)
    return Ragged.of([[numbers[value] for value in listed] for listed in values] + [[]])


def scaled(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Numbers (I,) from 0, the least, to 1, the greatest; 0 for nan, and for all of them if they are equal.

    >>> scaled(np.array([1990.0, 2000.0, np.nan, 1995.0])).tolist()
    [0.0, 1.0, 0.0, 0.5]
    """
    known = np.isfinite(numbers)
    least, greatest = numbers[known].min(initial=np.inf), numbers[known].max(initial=-np.inf)
    if not greatest > least:
        return np.zeros(len(numbers))
    shares: NDArray[np.float64] = np.where(known, (numbers - least) / (greatest - least), 0.0)
    return shares


def numbers_of(values: Values) -> NDArray[np.float64]:
    """A column as numbers (I,), nan where it has none, or several values.

    >>> numbers_of([["12.5"], ["12 €"], [], ["1", "2"]]).tolist()
    [12.5, nan, nan, nan]
    """
    return np.array([_number(listed[0]) if len(listed) == 1 else math.nan for listed in values], dtype=np.float64)


def _some_numbers(values: Values, rule: Boost | Quota) -> NDArray[np.float64]:
    """A column as numbers (I,); UserError if it has no number at all."""
    numbers = numbers_of(values)
    if not np.isfinite(numbers).any():
        shown = next((listed[0] for listed in values if listed), "null")
        raise UserError(
            f"column {rule.column} holds no number, such as {shown!r}: a boost and a quota's minimum take a number column"
        )
    return numbers


def _number(text: str) -> float:
    """The number in a text; nan if it holds none, or none that is finite."""
    try:
        number = {"true": 1.0, "false": 0.0}.get(text.strip().lower())
        number = float(text) if number is None else number
    except ValueError:
        return math.nan
    return number if math.isfinite(number) else math.nan


def _counts(values: Values, quota: Quota) -> NDArray[np.bool_]:
    """Whether each item (I,) counts for a quota; UserError if none does."""
    if quota.minimum is None:
        texts = {quota.equals, *BOOLEANS.get(str(quota.equals).lower(), ())}
        marks = np.array([not texts.isdisjoint(listed) for listed in values], dtype=bool)
        wanted = f"{quota.column}={quota.equals}"
    else:
        marks = _some_numbers(values, quota) >= quota.minimum
        wanted = f"{quota.column} of at least {quota.minimum:g}"
    if not marks.any():
        raise UserError(f"quota {quota.name}: no item has {wanted}; check the value, or leave the quota out")
    return marks
