"""The trials of a study: some at a time, errors recorded, models of all but the best removed; what is written of them."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from seqrec.errors import UserError
from seqrec.settings.train import Train
from seqrec.tuning.list_trials import ListTrial
from seqrec.tuning.run_study import HOPELESS, StudyLimits, StudyRun, forget_study, require_complete
from seqrec.tuning.space import read_space
from seqrec.tuning.study_picture import draw_study
from seqrec.tuning.study_report import write_summary
from seqrec.tuning.trial_outcome import Outcome, TrialRow, best_trial, in_rank
from seqrec.tuning.trial_study import Drawn, Search, open_study

SPACE = read_space({"encoder.dim": [8, 16, 24, 32], "encoder.heads": [1, 3]}, Train)


class Trial:
    """Stands for a running trial: it is over when it is asked for the second time. Those of 24 fail."""

    most = 0
    alive = 0
    goes_on = True

    def __init__(self, drawn: Drawn, folder: Path) -> None:
        self.drawn, self.asked, self.stopped = drawn, 0, False
        (folder / "model").mkdir(parents=True)
        Trial.alive += 1
        Trial.most = max(Trial.most, Trial.alive)

    def poll(self) -> Outcome | None:
        self.asked += 1
        if self.asked < 2:
            return None
        Trial.alive -= 1
        dim = self.drawn.values["encoder.dim"]
        if dim == 24:
            return Outcome(state="failed", value=None, seconds=1.0, error="it was killed")
        return Outcome.of_metrics({"m": dim / 100, "n": 1.0}, metric="m", seconds=1.0)

    def stop(self) -> None:
        self.stopped = True
        Trial.alive -= 1


def run(
    folder: Path,
    *,
    trials: int = 8,
    parallel: int = 1,
    keeps_all: bool = False,
    start: Any = None,
    minutes: float | None = None,
    obstacle: Callable[[], str | None] = lambda: None,
) -> list[TrialRow]:
    """Run trials of SPACE in a folder; heads of 3 don't divide dims, and are refused at the start."""

    def begin(drawn: Drawn, place: str) -> Trial:
        if drawn.values["encoder.heads"] == 3 and drawn.values["encoder.dim"] != 24:
            raise UserError("encoder.dim is no multiple of encoder.heads")
        return Trial(drawn, Path(place))

    Trial.most = Trial.alive = 0
    search = Search(method="grid", seed=1, parallel=parallel, pruning="none", startup_trials=0, warmup_validations=0)
    with open_study(str(folder), name="s", space=SPACE, search=search, lower=False, facts={}) as study:
        return StudyRun(
            study=study,
            limits=StudyLimits(trials=trials, parallel=parallel, minutes=minutes),
            start=start or begin,
            report=lambda rows: write_summary(str(folder), rows, metric="m", lower=False),
            metric="m",
            lower=False,
            keeps_all=keeps_all,
            obstacle=obstacle,
        ).run()


@pytest.mark.parametrize("parallel", [1, 3])
def test_trials_run_some_at_a_time_and_a_failed_one_ends_alone(parallel: int, tmp_path: Path) -> None:
    rows = run(tmp_path, parallel=parallel)
    assert Trial.most == parallel
    assert sorted((row.values["encoder.dim"], row.values["encoder.heads"], row.state) for row in rows) == [
        (dim, heads, "failed" if heads == 3 or dim == 24 else "complete") for dim in (8, 16, 24, 32) for heads in (1, 3)
    ]
    errors = {row.outcome.error for row in rows if row.outcome and row.outcome.error}
    assert errors == {"it was killed", "encoder.dim is no multiple of encoder.heads"}
    best = require_complete(rows, lower=False)
    assert (best.values, best.reached) == ({"encoder.dim": 32, "encoder.heads": 1}, 0.32)
    assert [path.parent.name for path in (tmp_path / "trials").glob("*/model")] == [str(best.number)]
    written = json.loads((tmp_path / "trials" / str(best.number) / "trial.json").read_text())
    assert written == {
        "trial": best.number,
        "values": best.values,
        "state": "complete",
        "value": 0.32,
        "metrics": {"m": 0.32, "n": 1.0},
        "seconds": 1.0,
        "error": None,
    }


def test_all_models_stay_where_that_is_wanted(tmp_path: Path) -> None:
    run(tmp_path, keeps_all=True)
    assert len(list((tmp_path / "trials").glob("*/model"))) == 5


def test_more_trials_go_on_and_enough_are_enough(tmp_path: Path) -> None:
    assert len(run(tmp_path, trials=3)) == 3
    assert len(run(tmp_path, trials=3)) == 3
    assert len(run(tmp_path, trials=5)) == 5


def test_an_error_stops_the_running_trials_which_go_on_later(tmp_path: Path) -> None:
    begun: list[Trial] = []

    def start(drawn: Drawn, place: str) -> Trial:
        if len(begun) == 2:
            raise KeyboardInterrupt
        begun.append(Trial(drawn, Path(place)))
        return begun[-1]

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, parallel=3, start=start)
    assert [trial.stopped for trial in begun] == [True, True]
    again: list[int] = []

    def goes_on(drawn: Drawn, place: str) -> Trial:
        again.append(drawn.number)
        return Trial(drawn, Path(place, str(len(again))))

    run(tmp_path, parallel=3, trials=4, start=goes_on)
    assert again == [0, 1, 2, 3]


def test_at_the_end_of_the_minutes_trainings_stop_and_others_end(tmp_path: Path) -> None:
    begun: list[Trial] = []

    def start(drawn: Drawn, place: str) -> Trial:
        begun.append(Trial(drawn, Path(place, str(len(begun)))))
        begun[-1].goes_on = len(begun) == 1
        return begun[-1]

    rows = run(tmp_path, parallel=2, start=start, minutes=1e-9)
    assert not begun
    assert not rows
    rows = run(tmp_path, parallel=2, start=start, minutes=0.002)
    assert [trial.stopped for trial in begun] == [True, False]
    assert rows[0].state == "running"
    assert rows[1].state != "running"
    assert len(rows) == 2
    assert len(run(tmp_path, trials=3, start=start)) == 3
    assert [trial.drawn.number for trial in begun] == [0, 1, 0, 2]


def test_a_study_ends_where_no_trial_can_run_and_goes_on_with_that_trial(tmp_path: Path) -> None:
    handles: list[Any] = []
    works = False

    def measure() -> dict[str, float]:
        if not works:
            raise OSError("connection refused")
        return {"m": 0.5}

    def start(drawn: Drawn, place: str) -> ListTrial:
        handles.append(drawn.handle)
        return ListTrial(measure=measure, metric="m", handle=drawn.handle, spark_has_ended=lambda: not works)

    def ended() -> str | None:
        return None if works else "Spark has ended"

    for _ in range(2):  # the second time the trial has failed
        with pytest.raises(UserError, match="Spark has ended"):
            run(tmp_path, trials=4, start=start, obstacle=ended)
    works = True
    rows = run(tmp_path, trials=4, start=start, obstacle=ended)
    assert [handle.number for handle in handles] == [0, 0, 1, 2, 3]
    assert [row.state for row in rows] == ["failed", "complete", "complete", "complete"]
    assert rows[0].outcome is not None
    assert rows[0].outcome.error == "OSError: connection refused"


def test_the_summary_has_all_trials_best_first(tmp_path: Path) -> None:
    run(tmp_path)
    rows = list(csv.DictReader((tmp_path / "summary.csv").open()))
    assert [row["state"] for row in rows] == ["complete"] * 3 + ["failed"] * 5
    assert [row["m"] for row in rows[:4]] == ["0.32", "0.16", "0.08", ""]
    assert (rows[0]["encoder.dim"], rows[0]["encoder.heads"], rows[0]["n"], rows[0]["seconds"]) == ("32", "1", "1.0", "1.0")
    assert {row["error"] for row in rows[3:]} == {"it was killed", "encoder.dim is no multiple of encoder.heads"}


def test_without_a_complete_trial_there_is_no_best() -> None:
    failed = [
        TrialRow(number=number, values={}, outcome=Outcome(state="failed", value=None, error=error))
        for number, error in enumerate(("rare", "most often", "most often"))
    ]
    with pytest.raises(UserError, match="none of 3 trials came to its end, so there is no best one: most often"):
        require_complete(failed, lower=False)


def test_the_earliest_of_equal_trials_is_the_best_and_a_metric_that_is_not_finite_fails() -> None:
    metrics: list[dict[str, float]] = [{"m": 0.2}, {"m": 0.3}, {"m": 0.3}, {"m": float("nan")}, {}]
    outcomes = [Outcome.of_metrics(each, metric="m", seconds=1.0) for each in metrics]
    rows = [TrialRow(number=number, values={}, outcome=each) for number, each in enumerate(outcomes)]
    assert [row.state for row in rows] == ["complete", "complete", "complete", "failed", "failed"]
    assert [getattr(best_trial(rows, lower=lower), "number", None) for lower in (False, True)] == [1, 0]
    assert [row.number for row in in_rank(rows[::-1], lower=False)] == [1, 2, 0, 3, 4]


def test_a_new_study_removes_what_the_last_one_wrote_and_nothing_else(tmp_path: Path) -> None:
    run(tmp_path)
    (tmp_path / "mine.txt").touch()
    forget_study(str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_the_picture_has_a_dot_for_each_measured_trial_in_each_plot() -> None:
    values: list[dict[str, Any]] = [{"lr": 0.001, "units": [8, 4]}, {"lr": 0.1, "units": [8]}, {"lr": 0.01, "units": [8]}]
    states: list[Any] = [("complete", 0.1), ("pruned", 0.05), ("failed", None)]
    rows = [
        TrialRow(number=number, values=each, outcome=Outcome(state=state, value=value))
        for number, (each, (state, value)) in enumerate(zip(values, states, strict=True))
    ]
    root = ElementTree.fromstring(draw_study(rows, metric="ndcg@10", lower=False, title="a < b"))
    space = "{http://www.w3.org/2000/svg}"
    dots = root.findall(f"{space}circle")
    assert [dot.get("fill") for dot in dots] == ["#4878a8", "white"] * 3
    assert float(str(dots[0].get("cy"))) < float(str(dots[1].get("cy")))  # a better one stands higher
    texts = {text.text for text in root.findall(f"{space}text")}
    assert {"a < b", "lr", "units", "[8, 4]", "0.001", "0.1"} <= texts


def test_a_study_whose_trials_all_fail_alike_ends_and_says_how_to_begin_anew(tmp_path: Path) -> None:
    def start(drawn: Drawn, place: str) -> Trial:
        raise UserError("no such folder")

    rows = run(tmp_path, start=start)
    assert len(rows) == HOPELESS
    with pytest.raises(UserError, match=r"none of 5 trials .*: no such folder \(when that is mended, .* resume=false\)"):
        require_complete(rows, lower=False)
