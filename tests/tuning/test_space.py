"""hyper_param: lists whose values may be lists, ranges, dotted and nested keys; what is refused before any trial."""

from typing import Any

import pytest

from seqrec.command.config import load_config
from seqrec.errors import UserError
from seqrec.settings.build_candidates import BuildCandidates
from seqrec.settings.train import Train
from seqrec.settings.train_ranker import TrainRanker
from seqrec.settings.tune import Tune
from seqrec.tuning.space import Choices, Span, count_grid, read_space

CONF = "conf/tune.yaml"


class Fixed:
    """Stands for a trial of Optuna: takes the first choice, or the low end, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: dict[str, Any] = {}

    def suggest_categorical(self, key: str, choices: list[Any]) -> Any:
        self.asked[key] = choices
        return choices[0]

    def suggest_int(self, key: str, low: int, high: int, **options: Any) -> int:
        self.asked[key] = (low, high, options)
        return low

    def suggest_float(self, key: str, low: float, high: float, **options: Any) -> float:
        self.asked[key] = (low, high, options)
        return low


def test_values_may_be_lists_and_null() -> None:
    space = read_space({"wide_deep": {"hidden_units": [[1024, 512], [1024]]}, "wide_deep.patience": [None, 3]}, TrainRanker)
    trial = Fixed()
    assert [part.draw(trial) for part in space] == [[1024, 512], None]
    assert trial.asked == {"wide_deep.hidden_units": ["[1024, 512]", "[1024]"], "wide_deep.patience": ["null", "3"]}


def test_nested_lists_on_the_command_line_are_read_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQREC_ROOT", "/r")
    overrides = ["hyper_param.wide_deep.hidden_units=[[1024, 512], [1024]]", "hyper_param.wide_deep.use_wide=[true, false]"]
    cfg = load_config(Tune, CONF, overrides)
    units, wide = read_space(cfg.hyper_param, TrainRanker)
    assert units == Choices(key="wide_deep.hidden_units", values={"[1024, 512]": [1024, 512], "[1024]": [1024]})
    assert wide == Choices(key="wide_deep.use_wide", values={"true": True, "false": False})


def test_booleans_in_a_file_are_values() -> None:
    cfg = Tune.model_validate({"data": "d", "samples": "s", "result_path": "r", "hyper_param": {"deterministic": [True, False]}})
    assert read_space(cfg.hyper_param, Train) == [Choices(key="deterministic", values={"true": True, "false": False})]


@pytest.mark.parametrize(
    ("key", "value", "asked"),
    [
        ("optimizer.lr", {"low": "1e-3", "high": "0.1", "log": "true"}, (0.001, 0.1, {"log": True, "step": None})),
        ("encoder.dropout", {"low": 0, "high": 0.5}, (0.0, 0.5, {"log": False, "step": None})),
        ("encoder.dropout", {"low": 0, "high": 0.5, "step": 0.1}, (0.0, 0.5, {"log": False, "step": 0.1})),
        ("encoder.dim", {"low": 16, "high": 64, "step": 16}, (16, 64, {"log": False, "step": 16})),
        ("encoder.dim", {"low": 16, "high": 64, "log": True}, (16, 64, {"log": True, "step": 1})),
        ("encoder.max_len", {"low": 10, "high": 12}, (10, 12, {"log": False, "step": 1})),
    ],
)
def test_a_range_is_whole_where_the_key_is(key: str, value: dict[str, Any], asked: Any) -> None:
    [part] = read_space({key: value}, Train)
    trial = Fixed()
    part.draw(trial)
    assert trial.asked == {key: asked}
    assert [type(end) for end in trial.asked[key][:2]] == [type(end) for end in asked[:2]]


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("encoder.dims", [1], "Train has no key encoder.dims"),
        ("encoder.dim", [64, 0], r"encoder.dim=0: .*greater than or equal to 1"),
        ("encoder.dim", [True], "encoder.dim=true: true and false are no value of it"),
        ("encoder.dim", [], "encoder.dim: .* is neither a list of values"),
        ("encoder.dim", 64, "encoder.dim: 64 is neither a list of values"),
        ("encoder.dim", [64, "64"], "encoder.dim has the value 64 twice"),
        ("encoder.dim", {"low": 8, "high": 4}, "encoder.dim: a range goes from low to a higher high"),
        ("encoder.dim", {"low": 8.5, "high": 16}, "encoder.dim=8.5: .*valid integer"),
        ("encoder.dim", {"low": 8, "high": 16, "step": 0.5}, "encoder.dim: step=0.5 is no whole number"),
        ("encoder.dim", {"low": 8, "high": 16, "step": 1.5}, "encoder.dim: step=1.5 is no whole number"),
        ("encoder.dim", {"low": 8, "high": 16, "step": [1]}, r"encoder.dim: step=\[1\] is no whole number"),
        ("encoder.dim", {"low": 8, "high": 16, "step": 0}, "encoder.dim: step=0 leads nowhere"),
        ("encoder.dim", {"low": 8, "high": 16, "base": 2}, "encoder.dim: .* is neither a list of values"),
        ("encoder.dim", {"low": 8}, r"Train has no key encoder.dim.low \(a range has low and high"),
        ("encoder.dropout", {"low": 0, "high": 0.5, "log": True}, "encoder.dropout: log: true needs a low above 0"),
        ("encoder.dropout", {"low": 0.1, "high": 2}, "encoder.dropout=2: .*less than or equal to 0.99"),
        ("loss.name", {"low": 1, "high": 2}, "loss.name takes no numbers"),
        ("loss.name", ["ce", "hinge"], "loss.name=hinge: "),
    ],
)
def test_what_no_trial_could_have_is_refused(key: str, value: Any, said: str) -> None:
    with pytest.raises(UserError, match=said):
        read_space({key: value}, Train)


def test_a_space_without_keys_is_refused() -> None:
    with pytest.raises(UserError, match="names nothing to search"):
        read_space({"encoder": {"dim": None}}, Train)


def test_keys_below_a_mapping_of_names_are_keys() -> None:
    [part] = read_space({"sources.item_cf.weight": {"low": 0.1, "high": 2.0}}, BuildCandidates)
    assert part == Span(key="sources.item_cf.weight", low=0.1, high=2.0, log=False, step=None, whole=False)
    with pytest.raises(UserError, match=r"no key sources.item_cf.wait"):
        read_space({"sources.item_cf.wait": [1]}, BuildCandidates)


def test_a_grid_counts_its_combinations_and_needs_steps() -> None:
    whole = read_space({"encoder.dim": [32, 64], "encoder.blocks": {"low": 1, "high": 3}}, Train)
    stepped = read_space({"encoder.dropout": {"low": 0.1, "high": 0.3, "step": 0.1}}, Train)
    assert (count_grid(whole), count_grid(stepped)) == (6, 3)
    assert stepped[0].on_grid() == [0.1, 0.2, 0.3], "0.1 + 2 * 0.1 is 0.30000000000000004, above high"
    assert whole[1].on_grid() == [1, 2, 3]
    with pytest.raises(UserError, match=r"search=grid needs a list of values, or a step in optimizer.lr: 0.001 to 0.1"):
        count_grid(read_space({"optimizer.lr": {"low": 0.001, "high": 0.1}}, Train))
