"""All jobs' settings: what no number may be, whichever model it is in."""

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError

import seqrec.settings
from seqrec.command.config import Strict
from seqrec.settings.train import Train

MODELS = sorted(
    {
        value
        for module in pkgutil.iter_modules(seqrec.settings.__path__)
        for value in vars(importlib.import_module(f"seqrec.settings.{module.name}")).values()
        if isinstance(value, type) and issubclass(value, Strict) and value is not Strict
    },
    key=lambda model: model.__name__,
)


def classes(annotation: Any) -> set[type]:
    inner = [kind for argument in get_args(annotation) for kind in classes(argument)]
    return {*inner, *([annotation] if isinstance(annotation, type) else [])}


def fields(kind: type) -> Iterator[Any]:
    """Model and field's name, for each field of all settings that takes the kind."""
    for model in MODELS:
        for name, field in model.model_fields.items():
            if kind in classes(field.annotation):
                yield pytest.param(model, name, id=f"{model.__name__}.{name}")


def problems(model: type[BaseModel], name: str, value: Any) -> list[str]:
    """What is said about the field, when the model gets the value for it alone."""
    with pytest.raises(ValidationError) as raised:
        model.model_validate({name: value})
    return [problem["msg"] for problem in raised.value.errors() if problem["loc"][0] == name]


@pytest.mark.parametrize(("model", "name"), fields(float))
def test_no_number_is_infinite_or_nan(model: type[BaseModel], name: str) -> None:
    for value in (float("inf"), float("-inf"), float("nan"), "inf", "nan", "-Infinity", "1e999"):
        assert problems(model, name, value), value


@pytest.mark.parametrize(("model", "name"), [*fields(int), *fields(float)])
def test_no_number_is_a_boolean_or_beyond_64_bits(model: type[BaseModel], name: str) -> None:
    kinds, values = classes(model.model_fields[name].annotation), [10**30]
    if bool not in kinds:
        values += [True]
    for value in values:
        wrapped: Any = {"M": value} if dict in kinds or "params" in name else [value] if name == "cutoffs" else value
        if float not in kinds or value is True:
            assert problems(model, name, wrapped), value


@pytest.mark.parametrize(("model", "name"), [field for field in fields(int) if ".seed" in str(field.id)])
def test_seeds_are_those_that_every_library_takes(model: type[BaseModel], name: str) -> None:
    for value in (-1, 2**31, "-1", 1.5, None):
        assert problems(model, name, value), value


@pytest.mark.parametrize(
    ("job", "name", "value", "said"),
    [
        ("BatchRecommend", "top_k", 10**8, "less than or equal to 10000"),
        ("TrainTwoTower", "top_k", 10**8, "less than or equal to 10000"),
        ("ItemSimilarity", "top_n", 10**8, "less than or equal to 10000"),
        ("BuildCandidates", "top_n", 10**8, "less than or equal to 10000"),
        ("SequenceShape", "dropout", 0.999, "less than or equal to 0.99"),
        ("TowerShape", "dropout", 0.999, "less than or equal to 0.99"),
        ("Optimizer", "beta2", 1.0, "less than 1"),
        ("Optimizer", "lr", "1e9", "less than or equal to 100"),
    ],
)
def test_values_that_would_fail_later_are_refused(job: str, name: str, value: Any, said: str) -> None:
    [model] = [model for model in MODELS if model.__name__ == job]
    assert said in " ".join(problems(model, name, value))


def test_nesterov_needs_momentum() -> None:
    [optimizer] = [model for model in MODELS if model.__name__ == "Optimizer"]
    with pytest.raises(ValidationError, match="nesterov=true needs a momentum above 0"):
        optimizer.model_validate({"name": "sgd", "nesterov": True, "momentum": 0})


def test_processes_that_nothing_starts_are_refused() -> None:
    """Several processes are those of torchrun, which are no setting, or those that Spark starts."""
    keys = {"data": "a", "model": "b", "processes": 2}
    with pytest.raises(ValidationError, match="processes=2 are started by Spark alone: set distributor=spark, or leave"):
        Train.model_validate(keys)
    assert Train.model_validate({**keys, "distributor": "spark"}).processes == 2
