"""make demo and make recommend: where they run, what they do again and what not, and that newer ratings are what they are for."""

import json
import os
import shlex
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from jobs import batch_recommend, build_sequences, evaluate, export_onnx, report, train
from seqrec import chain
from seqrec.chains import run, start
from seqrec.chains.run import Choice
from seqrec.errors import UserError
from seqrec.simulate import Simulation, write_ratings
from seqrec.storage import versions

ROOT = Path(__file__).parents[1]
JOBS = {
    "build_sequences": build_sequences,
    "train": train,
    "export_onnx": export_onnx,
    "evaluate": evaluate,
    "batch_recommend": batch_recommend,
    "report": report,
}
TINY = ["encoder.dim=16", "encoder.blocks=1", "batch_size=32", "max_epochs=2", "tensorboard=false", "plots=false"]


@pytest.fixture
def no_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGODB_URI", "none")
    monkeypatch.setenv("MILVUS_URI", "none")


class Runs:
    """Lists the jobs, and runs them in this process but for one that is left out."""

    def __init__(self, fails_at: str = "", left_out: str = "") -> None:
        self.jobs: list[str] = []
        self.fails_at, self.left_out = fails_at, left_out

    def __call__(self, job: str, *words: str) -> None:
        if job == self.fails_at:
            raise KeyboardInterrupt
        self.jobs.append(job)
        if job != self.left_out:
            JOBS[job].main(list(words))


def run_ids(root: Path) -> tuple[str, str, str]:
    """The dataset that stands, the model's, and the published output's."""
    dataset, output = (versions.read_meta(versions.resolve(f"{root}/{name}")) for name in ("dataset", "output"))
    return dataset["run_id"], output["dataset"], output["model_run_id"]


@pytest.mark.usefixtures("no_stores")
def test_newer_ratings_make_a_new_dataset_and_a_new_model(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root, ratings = tmp_path / "root", tmp_path / "it's $HOME.csv"
    monkeypatch.setenv("SEQREC_ROOT", str(root))
    shown: list[Any] = []
    monkeypatch.setattr(chain, "call", shown.append)
    write_ratings(ratings, Simulation(users=60, items=120, events=700, seed=1))
    left_out, measured = "report", list(JOBS)[:-1]

    def go(*, fails_at: str = "", keys: str = "", **choice: Any) -> list[str]:
        runs = Runs(fails_at, left_out=left_out)
        monkeypatch.setattr(run, "submit", runs)
        with pytest.raises(KeyboardInterrupt) if fails_at else nullcontext():
            chain.recommend(str(ratings), keys=f"k_core.items=0 {keys}", train=" ".join(TINY), choice=Choice(**choice))
        return runs.jobs

    assert go(dry_run=True) == []
    assert not root.exists()
    assert go(fails_at="train") == ["build_sequences"]
    assert go() == list(JOBS)[1:]  # the dataset of the chain that was killed is taken again
    first = run_ids(root)
    assert first[0] == first[1]
    ratings.touch()
    assert go() == [left_out]
    assert len(shown) == 2
    assert go(only=["report"]) == [left_out]
    assert len(shown) == 2  # of one step alone nothing is shown
    assert go(keys="min_rating=2", dry_run=True) == []
    assert "build_sequences  stale: settings min_rating changed null → 2" in capsys.readouterr().out
    assert run_ids(root) == first

    write_ratings(ratings, Simulation(users=60, items=120, events=800, seed=1))
    assert go(fails_at="batch_recommend") == measured[:-1]
    assert go() == ["batch_recommend", left_out]
    second = run_ids(root)
    assert second[0] == second[1]
    assert second[0] > first[0]
    assert second[2] != first[2]


@pytest.mark.usefixtures("no_stores")
def test_the_demo_says_how_near_it_came(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SEQREC_ROOT", str(tmp_path))
    runs, sizes = Runs(), "--users 60 --items 120 --events 700"
    monkeypatch.setattr(run, "submit", runs)
    chain.demo(sizes, train=" ".join(TINY))
    metrics = json.loads(Path(versions.resolve(f"{tmp_path}/evaluation"), "metrics.json").read_text())["metrics"]
    best = json.loads((tmp_path / "ratings.json").read_text())["drawn_ndcg@10"]["test"]
    assert runs.jobs == list(JOBS)
    (model, *baselines), reached = metrics, {name: row["ndcg@10"] for name, row in metrics.items()}
    assert baselines == ["popularity", "markov"]
    said = f"test NDCG@10: {model} {reached[model]:.4f} ({100 * reached[model] / best:.0f} %), popularity "
    (line,) = [line for line in capfd.readouterr().out.splitlines() if line.startswith(said)]
    assert line.endswith(f"; the best possible is {best:.4f}")
    assert " no. 1" in (tmp_path / "report.html").read_text()  # titles stand there
    chain.demo(sizes, train=" ".join(TINY))
    assert runs.jobs == list(JOBS)  # the same ratings again are no reason to build and train again
    assert said in capfd.readouterr().out


def make(tmp_path: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run make with this Python in place of .venv's, and what `make setup` leaves; with RECORD=FILE no chain is run.

    The file gets the chain's arguments, each with a null after it.
    """
    python = tmp_path / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True, exist_ok=True)
    record = """[ "$2" = seqrec.chain ] && [ "$RECORD" ] && printf '%s\\0' "$@" > "$RECORD" && exit"""
    python.write_text(f'#!/bin/sh\n{record}\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    command = ["make", f"VENV={tmp_path}/venv", *arguments]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SEQREC", "SPARK", "PYSPARK", "MAKE"))}
    spark = {name: os.environ[name] for name in ("SPARK_LOCAL_IP", "SPARK_SUBMIT_OPTS")}
    environment = {**kept, **spark, "SPARK_DRIVER_MEMORY": "1g", "SEQREC_ENV_FILE": "", **variables}
    planned = subprocess.run([*command, "-n"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False).stdout
    if "touch " in planned:
        Path(planned[planned.index("touch ") :].split()[1]).touch()
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_make_recommend_runs_again(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Through make and spark-submit.sh, with awkward names; then what make starts, here: nothing is made again."""
    ratings, root = tmp_path / "it's #1 $HOME.2024.csv", tmp_path / "a #b: 50% \\'$HOME' ä&"
    write_ratings(ratings, Simulation(users=40, items=80, events=400, seed=1))
    titles = tmp_path / "the titles, of $it.csv"
    titles.write_text("code,name\n1,Heat\n")
    given = ["recommend", f"RATINGS={ratings}", f"TITLES={titles}", "TITLE_COLUMNS=code,name"]
    given += ["INPUT=k_core={users: 5, items: 0}  min_rating=null", f"TRAIN={' '.join(TINY)}"]
    stores = {"MONGODB_URI": "none", "MILVUS_URI": "none", "SEQREC_ROOT": str(root)}
    first = make(tmp_path, *given, **stores)
    assert first.returncode == 0, first.stdout + first.stderr
    assert f"1 titles in {titles}: column name, by code\n" in first.stderr
    carried = {"item_table": str(titles), "item_columns": ["title=name"], "item_key": "code"}
    settings = versions.read_meta(versions.resolve(f"{root}/output"))["settings"]["mongo"]
    assert {key: settings[key] for key in carried} == carried
    assert f" --titles {shlex.quote(str(titles))} --title-columns code,name" in first.stderr
    assert f"the chain's folder is {root}\n" in first.stderr
    dataset, *_ = run_ids(root)
    assert versions.read_meta(versions.resolve(f"{root}/dataset"))["settings"]["input"]["path"] == str(ratings)
    recorded, runs = tmp_path / "arguments", Runs()
    assert make(tmp_path, *given, **stores, RECORD=str(recorded)).returncode == 0
    for name, value in stores.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(run, "submit", runs)
    chain.main(recorded.read_text().split("\0")[2:-1])
    assert runs.jobs == []
    assert f"build_sequences  up to date: {dataset}" in caplog.text
    assert "recommend: nothing ran, 6 steps up to date" in caplog.text
    assert not list((ROOT / ".seqrec").glob("it_s*"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "error: say which ratings: make recommend RATINGS=ratings.csv\n"),
        (["RATINGS=/none $HOME's.csv"], "/none $HOME's.csv"),
        (["RATINGS=x", "TITLES=/none.csv"], "error: /none.csv: no such file; give a CSV"),
        (["RATINGS=x", "TITLE_COLUMNS=a"], "error: TITLE_COLUMNS=ID,TITLE says how a file of titles is read: give that file too"),
        (
            ["RATINGS=README.md", "TRAIN=max_epoch=3"],
            "recommend.yaml, with max_epoch=3 over it: unknown key max_epoch; did you mean",
        ),
        (["RATINGS=x", "INPUT=a b=1"], "error: `a` in `a b=1` is not key=value; a value with blanks is quoted: key='a b'\n"),
        (["RATINGS=x", "INPUT=data=/y"], "error: INPUT sets data, but a chain's folders lie in SEQREC_ROOT: set that instead\n"),
        (["RATINGS=x", "TRAIN=model=/y"], "error: TRAIN sets model, but a chain's folders lie in SEQREC_ROOT"),
    ],
)
def test_make_recommend_says_what_is_wrong(tmp_path: Path, arguments: list[str], said: str) -> None:
    done = make(tmp_path, "--silent", "recommend", *arguments, SEQREC_ROOT=str(tmp_path / "root"))
    lines = [line for line in done.stderr.splitlines(keepends=True) if not line.startswith("make: ")]
    assert len(lines) == 1
    assert said in lines[0]
    assert done.returncode == 2


def test_no_two_files_share_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files = [
        "ratings.2024.csv",
        "ratings.2025.csv",
        "ratings.csv",
        "x/ratings.csv",
        "it's.csv",
        "it_s.csv",
        ".csv",
        "/ratings.csv",
    ]
    folders = [chain.folder_of(file) for file in files]
    assert len(set(folders)) == len(files)
    assert chain.folder_of(str(tmp_path / "ratings.csv")) == folders[2]
    assert all(folder.startswith(f"{ROOT}/.seqrec/") for folder in folders)
    assert "ratings.2024.csv-" in folders[0]


def test_a_failing_job_ends_the_chain_with_its_status() -> None:
    with pytest.raises(SystemExit) as ended:
        start.call(["bash", "-c", "exit 3"])
    assert ended.value.code == 3
    with pytest.raises(SystemExit) as ended:
        start.call(["bash", "-c", "kill -TERM $$"])
    assert ended.value.code == 143


def test_a_signal_to_the_chain_reaches_its_job(tmp_path: Path) -> None:
    code = (
        "from seqrec.command.entry import command_line\n"
        "from seqrec.chains.start import call\n"
        "with command_line():\n"
        f"    call(['bash', '-c', 'trap \"touch {tmp_path}/ended; exit 143\" TERM; touch {tmp_path}/on; sleep 20 & wait'])\n"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as started:
        while not (tmp_path / "on").exists():
            time.sleep(0.05)
        started.terminate()
    assert started.returncode == 143
    assert (tmp_path / "ended").exists()


@pytest.mark.usefixtures("no_stores")
def test_one_chain_works_in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQREC_ROOT", str(tmp_path))
    said = f"{tmp_path}: held by process .*; wait until it ends, or set another SEQREC_ROOT"
    with run.alone(), pytest.raises(UserError, match=said):
        chain.demo("", train="")
