"""hyper_param into a space: for each key of a job a list of values, or a range.

    optimizer.lr: {low: 0.0005, high: 0.02, log: true}     a Span
    hidden_units: [[1024, 512], [1024]]                    Choices, of lists
    encoder: {dim: [32, 64]}                               the key encoder.dim

A trial is Optuna's, of which only suggest_categorical, suggest_float and suggest_int are used: choices are named by their text,
as an override would be written, because Optuna stores no lists.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, get_origin

from pydantic import BaseModel, ValidationError, create_model
from pydantic.fields import FieldInfo

from seqrec.command.config import Strict, kinds_in
from seqrec.command.story import show_setting
from seqrec.errors import UserError
from seqrec.settings.tuned import leaves, nested_keys

RANGE = {"low", "high", "log", "step"}
MOST_COMBINATIONS = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Choices:
    """Values of a key, named by their text."""

    key: str
    values: dict[str, Any]

    def draw(self, trial: Any) -> Any:
        """The value that an Optuna trial takes."""
        return self.values[trial.suggest_categorical(self.key, list(self.values))]

    def on_grid(self) -> list[Any]:
        """What Optuna's grid has of the key."""
        return list(self.values)

    def value_of(self, drawn: Any) -> Any:
        """The value behind what Optuna stores."""
        return self.values[drawn]

    def __str__(self) -> str:
        """The values as they are shown, such as `32 | 64`."""
        return " | ".join(self.values)


@dataclass(frozen=True, kw_only=True)
class Span:
    """Numbers of a key from low to high, both included: whole ones, or by steps, or evenly on a scale of logarithms."""

    key: str
    low: float
    high: float
    log: bool
    step: float | None
    whole: bool

    def draw(self, trial: Any) -> Any:
        """The value that an Optuna trial takes."""
        if self.whole:
            return trial.suggest_int(self.key, int(self.low), int(self.high), log=self.log, step=int(self.step or 1))
        return self.value_of(trial.suggest_float(self.key, self.low, self.high, log=self.log, step=self.step))

    def on_grid(self) -> list[Any]:
        """What a grid has of the key; UserError for a range without steps."""
        if self.step is None:
            raise UserError(f"hyper_param: search=grid needs a list of values, or a step in {self.key}: {self}")
        low, high, step = (Decimal(str(number)) for number in (self.low, self.high, self.step))
        values = [self._at(place) for place in range(int((high - low) // step) + 1)]
        return [int(value) for value in values] if self.whole else values

    def value_of(self, drawn: Any) -> Any:
        """The value behind what Optuna stores: itself, or the nearest step as its decimals are written.

        >>> Span(key="encoder.dropout", low=0.1, high=0.5, log=False, step=0.1, whole=False).value_of(0.1 + 2 * 0.1)
        0.3
        """
        return drawn if self.whole or self.step is None else self._at(round((drawn - self.low) / self.step))

    def _at(self, place: int) -> float:
        """The value of a step, counted from 0 at low; added as decimals, since 0.1 + 2 * 0.1 is above 0.3 in binary."""
        return float(Decimal(str(self.low)) + place * Decimal(str(self.step)))

    def __str__(self) -> str:
        """The range as it is shown, such as `0.001 to 0.1, log`."""
        return f"{self.low:g} to {self.high:g}{', log' if self.log else ''}{f', step {self.step:g}' if self.step else ''}"


Dimension = Choices | Span


def read_space(hyper_param: dict[str, Any], settings: type[BaseModel]) -> list[Dimension]:
    """The space of a job's settings; keys that are null are left out.

    Raises UserError, which names the key, for one that the job doesn't have, for what is no list or range, and for a value that
    the job doesn't take, whatever its other settings are.
    """
    space = [_dimension(key, value, settings) for key, value in leaves(nested_keys(hyper_param)) if value is not None]
    if not space:
        raise UserError("hyper_param names nothing to search: give keys a list of values or a range")
    return space


def count_grid(space: Sequence[Dimension]) -> int:
    """The combinations of a grid; UserError if a range has no steps, or if there are too many to list."""
    count = math.prod(len(dimension.on_grid()) for dimension in space)
    if count > MOST_COMBINATIONS:
        raise UserError(f"hyper_param: a grid of {count:,} combinations is too large: take search=random or fewer values")
    return count


def field_at(settings: type[BaseModel], key: str) -> FieldInfo | None:
    """The field of a dotted key; None if there is none. Below a mapping, such as sources, any name is one.

    >>> from seqrec.settings.train import Train
    >>> field_at(Train, "encoder.blocks").annotation, field_at(Train, "encoder.blockss")
    (<class 'int'>, None)
    """
    first, _, rest = key.partition(".")
    field = settings.model_fields.get(first)
    if field is None or not rest:
        return field
    kinds = kinds_in(field.annotation)
    inner = next((kind for kind in kinds if issubclass(kind, BaseModel)), None)
    if get_origin(field.annotation) is dict:
        rest = rest.partition(".")[2]
    return field_at(inner, rest) if inner is not None and rest else None


def _dimension(key: str, value: Any, settings: type[BaseModel]) -> Dimension:
    """A key's values or range, typed as the settings want it."""
    field = field_at(settings, key)
    if field is None:
        parent = key.rpartition(".")[0]
        wrong = " (a range has low and high, and may have log and step)" if parent and field_at(settings, parent) else ""
        raise UserError(f"hyper_param: {settings.__name__} has no key {key}{wrong}: `--help` of its job lists them")
    if isinstance(value, list) and value:
        values = [_typed(key, each, field) for each in value]
        texts = [show_setting(each) for each in values]
        if twice := sorted({text for text in texts if texts.count(text) > 1}):
            raise UserError(f"hyper_param: {key} has the value {twice[0]} twice")
        return Choices(key=key, values=dict(zip(texts, values, strict=True)))
    if isinstance(value, dict) and {"low", "high"} <= value.keys() <= RANGE:
        return _span(key, value, field)
    raise UserError(
        f"hyper_param: {key}: {show_setting(value)} is neither a list of values, as in [1, 2], nor a range, as in "
        "{low: 1, high: 8}, with log: true or a step if wanted"
    )


def _span(key: str, value: dict[str, Any], field: FieldInfo) -> Span:
    """A range, checked."""
    kinds = kinds_in(field.annotation)
    if not kinds & {int, float}:
        raise UserError(f"hyper_param: {key} takes no numbers, so it has no range: give a list of values")
    whole = float not in kinds
    low, high = (_typed(key, value[end], field) for end in ("low", "high"))
    step, log = value.get("step"), str(value.get("log", False)).lower()
    try:
        step = None if step is None else float(step)
        if step is not None and whole:
            if not step.is_integer():
                raise ValueError
            step = int(step)
    except (ValueError, TypeError):
        raise UserError(f"hyper_param: {key}: step={step} is no {'whole ' if whole else ''}number") from None
    if low is None or high is None or not low < high or log not in ("true", "false"):
        raise UserError(f"hyper_param: {key}: a range goes from low to a higher high, and log is true or false, not {value}")
    if log == "true" and (low <= 0 or step is not None):
        raise UserError(f"hyper_param: {key}: log: true needs a low above 0, and no step")
    if step is not None and not 0 < step <= high - low:
        raise UserError(f"hyper_param: {key}: step={step} leads nowhere between {low} and {high}")
    if whole and step is None and log == "false":
        step = 1
    return Span(key=key, low=low, high=high, log=log == "true", step=step, whole=whole)


def _typed(key: str, value: Any, field: FieldInfo) -> Any:
    """A value as the settings have it; UserError if this key never takes it."""
    definition: Any = (field.annotation, field)
    one = create_model("One", __base__=Strict, value=definition)
    try:
        checked = one.model_validate({"value": value})
    except ValidationError as error:
        said = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        raise UserError(f"hyper_param: {key}={show_setting(value)}: {said}") from None
    return checked.model_dump(mode="json")["value"]
