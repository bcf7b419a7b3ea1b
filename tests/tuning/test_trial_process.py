"""Trials as processes: what each end of a process is to the study, pruning, and the end of a trial whose study is gone."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from seqrec.settings.train import Train
from seqrec.tuning import trial_process
from seqrec.tuning.space import read_space
from seqrec.tuning.trial_outcome import Outcome
from seqrec.tuning.trial_process import ProcessPlan, TrialProcess, start_process
from seqrec.tuning.trial_study import Search, TrialStudy, open_study

SPACE = read_space({"encoder.dim": list(range(2, 40, 2))}, Train)
SETTINGS = Train.model_validate({"data": "d", "model": "m"})


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TrialStudy]:
    """A study that prunes by the median from the second trial on, at once."""
    monkeypatch.setattr(trial_process, "RUN", "tests.tuning.toy_trial")
    monkeypatch.setattr(trial_process, "POLL_S", 0.01)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    search = Search(method="grid", seed=1, parallel=1, pruning="median", startup_trials=1, warmup_validations=1)
    with open_study(str(tmp_path / "study"), name="s", space=SPACE, search=search, lower=False, facts={}) as study:
        yield study


def start(study: TrialStudy, name: str, folder: Path) -> TrialProcess:
    drawn = study.draw()
    assert drawn is not None
    plan = ProcessPlan(model_name=name, metric="m", lower=False, records="model", threads=3)
    return start_process(plan, SETTINGS, drawn.handle, folder=str(folder), work=folder)


def ended(trial: TrialProcess) -> Outcome:
    """What becomes of a trial, within half a minute."""
    ends = time.monotonic() + 30
    while (outcome := trial.poll()) is None:
        assert time.monotonic() < ends
        time.sleep(0.01)
    return outcome


def test_a_process_that_ends_well_gives_its_metrics(study: TrialStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it recorded since the last look is reported at its end."""
    monkeypatch.setattr(trial_process, "POLL_S", 999)
    outcome = ended(start(study, "good", tmp_path / "0"))
    assert (outcome.state, outcome.value, outcome.metrics) == ("complete", 0.7, {"m": 0.7, "threads": 3})
    assert 0 < outcome.seconds < 30
    assert study.study.trials[0].intermediate_values == {0: 0.5, 1: 0.6, 2: 0.7}
    assert (tmp_path / "0" / "config.yaml").exists()


@pytest.mark.parametrize(
    ("name", "said"), [("hungry", "it was killed, most often for want of memory"), ("wrong", "lower optimizer.lr")]
)
def test_a_process_that_ends_badly_says_why(name: str, said: str, study: TrialStudy, tmp_path: Path) -> None:
    outcome = ended(start(study, name, tmp_path / "0"))
    assert (outcome.state, outcome.value, outcome.error) == ("failed", None, said)


def test_a_trial_that_lags_behind_is_stopped(study: TrialStudy, tmp_path: Path) -> None:
    first = start(study, "good", tmp_path / "0")
    for step, value in enumerate((0.5, 0.6, 0.7)):
        first.handle.report(value, step)
    study.study.tell(first.handle.number, 0.7)
    ended(first)
    trial = start(study, "bad", tmp_path / "1")
    outcome = ended(trial)
    assert (outcome.state, outcome.value) == ("pruned", 0.2)
    assert trial.process.returncode is not None


def test_a_trial_ends_with_its_study(study: TrialStudy, tmp_path: Path) -> None:
    trial = start(study, "bad", tmp_path / "0")
    assert trial.process.stdin is not None
    trial.process.stdin.close()
    assert trial.process.wait(timeout=30) == -15


def test_a_continued_trial_counts_its_earlier_time_and_reports_no_validation_twice(study: TrialStudy, tmp_path: Path) -> None:
    start(study, "bad", tmp_path / "0").handle.report(0.4, 0)
    [drawn] = study.interrupted()
    (tmp_path / "0" / "model").mkdir(exist_ok=True)
    (tmp_path / "0" / "model" / "epochs.jsonl").write_text('{"step": 1, "seconds": 90.0, "m": 0.4}\n')
    plan = ProcessPlan(model_name="good", metric="m", lower=False, records="model", threads=1)
    trial = start_process(plan, SETTINGS, drawn.handle, folder=str(tmp_path / "0"), work=tmp_path)
    outcome = ended(trial)
    assert outcome.seconds > 90
    assert study.study.trials[0].intermediate_values[0] == 0.4
