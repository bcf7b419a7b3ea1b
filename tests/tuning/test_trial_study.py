"""A study in a file: stopped and continued as if it hadn't been; repeated values; other studies; a journal torn by a kill."""

import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from seqrec.errors import UserError
from seqrec.settings.train import Train
from seqrec.storage import files
from seqrec.tuning.space import Dimension, read_space
from seqrec.tuning.trial_outcome import Outcome
from seqrec.tuning.trial_study import Drawn, Search, TrialStudy, open_study

SPACE = read_space({"encoder.dim": [16, 32, 64], "optimizer.lr": {"low": 0.001, "high": 0.1, "log": True}}, Train)
SMALL = read_space({"encoder.dim": [16, 32], "encoder.blocks": [1, 2]}, Train)


def opened(
    folder: Path, *, method: Any = "tpe", space: list[Dimension] = SPACE, name: str = "study", **facts: Any
) -> AbstractContextManager[TrialStudy]:
    search = Search(method=method, seed=7, parallel=1, pruning="median", startup_trials=1, warmup_validations=1)
    return open_study(str(folder), name=name, space=space, search=search, lower=False, facts={"dataset": "1", **facts})


def outcome(drawn: Drawn) -> Outcome:
    """A result that follows from the values, so that TPE has something to go by."""
    return Outcome.of_metrics({"m": drawn.values["encoder.dim"] / 100}, metric="m", seconds=1.0)


def tried(study: TrialStudy, count: int) -> Iterator[dict[str, Any]]:
    """Draw and finish trials; their values."""
    for _ in range(count):
        drawn = study.draw()
        assert drawn is not None
        study.finish(drawn, outcome(drawn))
        yield drawn.values


@pytest.mark.parametrize(("method", "space"), [("tpe", SPACE), ("random", SPACE), ("grid", SMALL)])
def test_a_stopped_study_goes_on_as_if_it_had_not_been(method: str, space: list[Dimension], tmp_path: Path) -> None:
    count = 4 if method == "grid" else 14  # TPE draws its first ten at random
    with opened(tmp_path / "whole", method=method, space=space) as study:
        whole = list(tried(study, count))
    parts: list[dict[str, Any]] = []
    for each in (1, count - 3, 2):
        with opened(tmp_path / "parts", method=method, space=space) as study:
            parts += tried(study, each)
            rows = study.rows()
    assert parts == whole
    assert [row.values for row in rows] == whole
    assert [row.reached for row in rows] == [values["encoder.dim"] / 100 for values in whole]
    assert len({str(values) for values in whole}) == count


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("method", "expected"), [("grid", [0.1, 0.2, 0.3]), ("random", [0.1, 0.2, 0.3, 0.4])])
def test_steps_are_tried_as_their_decimals_are_written(method: str, expected: list[float], tmp_path: Path) -> None:
    """In binary, 0.1 + 2 * 0.1 is above 0.3: out of a range that ends there, as Optuna warns."""
    space = read_space({"encoder.dim": [8], "encoder.dropout": {"low": 0.1, "high": expected[-1], "step": 0.1}}, Train)
    with opened(tmp_path, method=method, space=space) as study:
        values = [values["encoder.dropout"] for values in tried(study, len(expected))]
        assert sorted(values) == expected
        assert [row.values["encoder.dropout"] for row in study.rows()] == values


def test_a_trial_that_ran_at_the_stop_goes_on_with_its_values(tmp_path: Path) -> None:
    with opened(tmp_path) as study:
        list(tried(study, 2))
        running = study.draw()
        assert running is not None
        running.handle.report(0.25, 0)
    with opened(tmp_path) as study:
        [again] = study.interrupted()
        assert (again.number, again.values) == (2, running.values)
        assert study.rows()[2].state == "running"
        study.finish(again, outcome(again))
        assert study.interrupted() == []
        assert [row.state for row in study.rows()] == ["complete"] * 3


def test_values_are_not_tried_twice_and_a_space_has_an_end(tmp_path: Path) -> None:
    with opened(tmp_path, method="random", space=SMALL) as study:
        combinations = {str(values) for values in tried(study, 4)}
        assert len(combinations) == 4
        assert study.draw() is None
        assert len(study.rows()) == 4


def test_values_of_trials_that_still_run_are_not_drawn_again(tmp_path: Path) -> None:
    with opened(tmp_path, method="random", space=SMALL) as study:
        running = [study.draw() for _ in range(4)]
        assert len({str(drawn.values) for drawn in running if drawn}) == 4
        assert study.draw() is None


def test_failed_and_pruned_trials_are_kept_with_their_reason(tmp_path: Path) -> None:
    with opened(tmp_path) as study:
        for state, error in (("failed", "it was killed"), ("pruned", None)):
            drawn = study.draw()
            assert drawn is not None
            drawn.handle.report(0.1, 0)
            study.finish(drawn, Outcome(state=state, value=0.1, seconds=2.0, error=error))  # type: ignore[arg-type]
    with opened(tmp_path) as study:
        outcomes = [row.outcome for row in study.rows()]
    assert [(each.state, each.error, each.value) for each in outcomes if each] == [
        ("failed", "it was killed", 0.1),
        ("pruned", None, 0.1),
    ]


def test_another_study_is_refused(tmp_path: Path) -> None:
    with opened(tmp_path) as study:
        list(tried(study, 1))
    before = (tmp_path / "study.journal").read_bytes()
    with pytest.raises(UserError, match=r"settings \(dataset: 1 there, 2 here\), .* take another name \(app_name=study2\)"):
        opened(tmp_path, dataset="2").__enter__()
    with pytest.raises(UserError, match=r"hyper_param.encoder.blocks: None there, 1 \| 2 here"):
        opened(tmp_path, space=SMALL).__enter__()
    with pytest.raises(UserError, match=r"study.journal holds the study study, not mine"):
        opened(tmp_path, name="mine").__enter__()
    assert (tmp_path / "study.journal").read_bytes() == before


def test_what_is_no_journal_is_refused(tmp_path: Path) -> None:
    (tmp_path / "study.journal").write_text("trial,value\n1,2\n")
    with pytest.raises(UserError, match=r"study.journal is no journal of Optuna's .*start over with resume=false"):
        opened(tmp_path).__enter__()


def test_a_line_that_a_kill_has_torn_and_its_lock_are_no_hindrance(tmp_path: Path) -> None:
    with opened(tmp_path) as study:
        [first] = tried(study, 1)
    journal = tmp_path / "study.journal"
    with journal.open("ab") as torn:
        torn.write(b'{"op_code":4,"work')
    journal.with_name("study.journal.lock").symlink_to(journal)
    with opened(tmp_path) as study:
        assert [row.values for row in study.rows()] == [first]
        list(tried(study, 1))
    with opened(tmp_path) as study:
        assert len(study.rows()) == 2


def test_the_journal_of_a_remote_study_is_put_back_after_each_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder stands for a remote one: it is reached by put and fetch alone."""
    monkeypatch.setattr(files, "is_local", lambda path: False)
    monkeypatch.setattr(files, "exists", lambda path: Path(path).exists())
    monkeypatch.setattr(files, "fetch", lambda path, folder: shutil.copy(path, folder))
    monkeypatch.setattr(files, "put", lambda source, path: shutil.copy(source, path))
    put = tmp_path / "study.journal"
    with opened(tmp_path) as study:
        assert study.journal != put
        [values] = tried(study, 1)
        kept = put.read_bytes()
        assert kept == study.journal.read_bytes()
        study.draw()
        assert put.read_bytes() != kept
    with opened(tmp_path) as study:
        assert study.rows()[0].values == values
        assert len(study.interrupted()) == 1
