"""The settings of trials and of best.yaml: which layer counts, what a study sets itself, and that the job takes the file."""

from pathlib import Path
from typing import Any

import pytest

from seqrec.command.config import load_config
from seqrec.errors import UserError
from seqrec.settings.build_candidates import BuildCandidates
from seqrec.settings.train import Train
from seqrec.settings.tune import Tune
from seqrec.tuning.study_report import write_best
from seqrec.tuning.trial_outcome import Outcome, TrialRow
from seqrec.tuning.tuned_jobs import TUNED, base_settings, best_settings, metric_of, search_space, trial_settings


@pytest.fixture(autouse=True)
def _root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQREC_ROOT", "/root")
    monkeypatch.setenv("MONGODB_URI", "none")
    monkeypatch.setenv("MILVUS_URI", "none")


def tune(**given: Any) -> Tune:
    return Tune.model_validate({"data": "/root/dataset", "samples": "/root/samples", "result_path": "/root/tuning", **given})


def test_values_win_over_common_param_and_that_over_the_template() -> None:
    cfg = tune(common_param={"max_epochs": 3, "encoder.dim": 16, "encoder": {"blocks": 1}}, metric="recall@20")
    settings: Any = trial_settings(cfg, {"encoder.dim": 32}, source="/root/dataset/1", read={}, folder="/root/t/0")
    assert (settings.encoder.dim, settings.encoder.blocks, settings.max_epochs, settings.encoder.mlp) == (32, 1, 3, "gated")
    assert (settings.data, settings.model, settings.metric) == ("/root/dataset/1", "/root/t/0/model", "recall@20")
    assert metric_of(cfg, base_settings(cfg)) == "recall@20"
    assert metric_of(tune(), base_settings(tune())) == "ndcg@10"


@pytest.mark.parametrize("model_name", TUNED)
def test_the_space_of_each_model_is_one_of_its_job(model_name: str) -> None:
    cfg = tune(model_name=model_name)
    space = search_space(cfg)
    assert len(space) >= 4
    values = {part.key: part.value_of(part.on_grid()[0]) if hasattr(part, "values") else part.low for part in space}
    trial_settings(cfg, values, source="/root/dataset/1", read={}, folder="/root/t/0")


def test_a_key_of_a_models_space_is_left_out_by_null() -> None:
    keys = {part.key for part in search_space(tune(hyper_param={"encoder": {"dim": None}}))}
    assert "encoder.dim" not in keys
    assert "encoder.blocks" in keys


@pytest.mark.parametrize("model_name", ["sasrec", "bert4rec"])
def test_the_job_takes_best_yaml_as_it_is(model_name: str, tmp_path: Path) -> None:
    """bert4rec's preset lies above a file: were it named in best.yaml, its rate would win over the best one."""
    cfg = tune(model_name=model_name)
    best = TrialRow(number=4, values={"optimizer.lr": 0.007, "encoder.dim": 32}, outcome=Outcome(state="complete", value=0.5))
    write_best(str(tmp_path), best_settings(cfg, best.values), best, job="train", metric="ndcg@10")
    taken = load_config(Train, str(tmp_path / "best.yaml"), [])
    assert (taken.optimizer.lr, taken.encoder.dim, taken.preset) == (0.007, 32, None)
    assert (taken.data, taken.model, taken.objective) == (
        "/root/dataset",
        "/root/model",
        "masked_items" if model_name == "bert4rec" else "next_item",
    )
    assert "trial 4 of a study of train" in (tmp_path / "best.yaml").read_text()


def test_candidates_are_those_of_valid_in_every_trial() -> None:
    settings = trial_settings(tune(model_name="candidates"), {"max_seeds": 3}, source="/d/1", read={}, folder="/t/0")
    assert isinstance(settings, BuildCandidates)
    assert (settings.history, settings.max_seeds) == ("valid", 3)


def test_each_model_needs_what_it_reads_alone() -> None:
    assert Tune.model_validate({"data": "d", "result_path": "r"}).samples is None
    assert Tune.model_validate({"samples": "s", "result_path": "r", "model_name": "lightgbm"}).data is None
    for model_name, key in (("sasrec", "data"), ("wide_deep", "samples")):
        with pytest.raises(ValueError, match=f"model_name={model_name} needs {key}=FOLDER"):
            Tune.model_validate({"result_path": "r", "model_name": model_name})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"common_param": {"data": "x"}}, "common_param.data: all trials read the same, which is the key data of tune"),
        ({"common_param": {"processes": 2}}, "common_param.processes: a study sets processes itself"),
        ({"common_param": {"stages": []}}, "common_param.stages: a study sets stages itself"),
        (
            {"common_param": {"encoder.dims": 1}},
            r"hyper_param: unknown key encoder.dims; did you mean encoder.dim\?",
        ),
        ({"metric": "auc"}, "metric='auc'"),
        ({"hyper_param": {"model": ["a", "b"]}}, "hyper_param.model: a study sets model itself"),
        ({"hyper_param": {"metric": ["ndcg@10", "ndcg@20"]}}, "hyper_param.metric: a study sets metric itself"),
        ({"model_name": "item_cf", "hyper_param": {"method": ["swing"]}}, "hyper_param.method: a study sets method itself"),
        ({"model_name": "item_cf", "hyper_param": {"history": ["full"]}}, "hyper_param.history: a study sets history itself"),
        ({"model_name": "candidates", "common_param": {"history": "test"}}, "common_param.history: a study sets history itself"),
    ],
)
def test_what_a_study_sets_itself_is_refused(given: dict[str, Any], said: str) -> None:
    cfg = tune(**given)
    with pytest.raises(UserError, match=said):
        base_settings(cfg), search_space(cfg)
