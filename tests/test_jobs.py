"""The jobs, end to end: simulated ratings to documents and vectors in the embedded stores, through the real mains."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.dataset
import pytest
from pyspark.sql import SparkSession

from dump import write_milvus, write_mongo
from jobs import (
    batch_recommend,
    build_candidates,
    build_features,
    build_sequences,
    evaluate,
    export_onnx,
    item_similarity,
    publish,
    train,
    train_two_tower,
)
from seqrec.chains.chain_file import read_chain
from seqrec.chains.run import plan
from seqrec.chains.status import Comparison
from seqrec.command.config import load_config
from seqrec.serving.recommender import Recommender
from seqrec.serving.stored import StoredItems, StoredLists
from seqrec.settings.build_sequences import BuildSequences
from seqrec.settings.stores import Milvus, Mongo
from seqrec.simulate import Simulation, write_ratings
from seqrec.storage import versions
from seqrec.stores import milvus_alias
from seqrec.stores.milvus_neighbours import find_neighbours
from seqrec.stores.mongo import find_documents
from seqrec.stores.open_stores import Addresses, OpenStores, connect
from seqrec.training import checkpoint

ROOT = Path(__file__).parents[1]
JOBS = {
    "build_sequences": build_sequences,
    "train": train,
    "export_onnx": export_onnx,
    "evaluate": evaluate,
    "batch_recommend": batch_recommend,
    "publish": publish,
    "build_features": build_features,
    "item_similarity": item_similarity,
    "train_two_tower": train_two_tower,
    "build_candidates": build_candidates,
}
CHAIN = ["build_sequences", "train", "export_onnx", "evaluate", "batch_recommend"]
USERS, ITEMS, TOP = 60, 120, 7
TINY = [
    "encoder.dim=16",
    "encoder.blocks=1",
    "batch_size=32",
    "max_epochs=2",
    "precision=fp32",
    "tensorboard=false",
    "plots=false",
]


def run(job: str, *overrides: str) -> None:
    """Run a job with its template of conf/, as spark-submit does."""
    JOBS[job].main(["--conf", str(ROOT / "conf" / f"{job}.yaml"), *overrides])


def error_of(job: str, *overrides: str) -> str:
    """The one line that a job ends with."""
    with pytest.raises(SystemExit) as ended:
        run(job, *overrides)
    assert isinstance(ended.value.code, str)
    assert len(ended.value.code.splitlines()) == 1
    return ended.value.code


def table(folder: Path, name: str) -> list[dict[str, Any]]:
    """All rows of a table in a folder's current version."""
    rows: list[dict[str, Any]] = pyarrow.dataset.dataset(f"{versions.resolve(str(folder))}/{name}").to_table().to_pylist()
    return rows


@pytest.fixture(scope="module")
def root(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """SEQREC_ROOT after the whole chain on simulated ratings."""
    root = tmp_path_factory.mktemp("seqrec")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEQREC_ROOT", str(root))
        patch.setenv("MONGODB_URI", "embedded")
        patch.setenv("MILVUS_URI", "embedded")
        write_ratings(root / "ratings.csv", Simulation(users=USERS, items=ITEMS, events=700, seed=1))
        run("build_sequences", "k_core.items=0")
        run("train", *TINY)
        run("export_onnx")
        run("evaluate", "onnx=true", "popularity=true", "markov=true", "save_predictions=true", "predictions_k=15")
        run("batch_recommend", f"top_k={TOP}", "write=[recommendations, user_embeddings]")
        yield root


@pytest.fixture
def stores(root: Path) -> Iterator[OpenStores]:
    with connect(None, Addresses(mongodb="embedded", milvus="embedded")) as stores:
        yield stores


def documents(stores: OpenStores) -> list[dict[str, Any]]:
    """All documents that MongoDB holds, by user."""
    collection = stores.require_mongodb().collection(Mongo().database, Mongo().collection)
    return find_documents(collection, list(range(1, USERS + 1)))


def test_a_chain_of_these_jobs_is_up_to_date(root: Path) -> None:
    """Each job's version says what it was made from, also where no chain ran it; run first, before other tests add versions."""
    keys = {
        "build_sequences": ["k_core.items=0"],
        "train": TINY,
        "evaluate": ["onnx=true", "save_predictions=true", "predictions_k=15"],
        "batch_recommend": [f"top_k={TOP}", "write=[recommendations, user_embeddings]"],
    }
    chain = read_chain("demo", [f"{step}.{key}" for step, words in keys.items() for key in words])
    planned = plan(chain, Comparison(records=None), only=CHAIN)
    assert [status.reasons for status in planned] == [()] * 5
    later = plan(read_chain("demo"), Comparison(records=None), only=CHAIN)
    assert "settings encoder.dim changed 16 → null" in later[1].reasons


def test_every_user_has_a_document_with_what_the_table_has(root: Path, stores: OpenStores) -> None:
    rows = {row["user_id"]: row for row in table(root / "output", "recommendations")}
    found = documents(stores)
    assert [one["_id"] for one in found] == sorted(rows) == list(range(1, USERS + 1))
    for one in found:
        assert one["items"] == rows[one["_id"]]["items"]
        assert (one["source"], one["run_id"]) == ("model", rows[one["_id"]]["run_id"])
        scores = [item["score"] for item in one["items"]]
        assert len(scores) == TOP
        assert scores == sorted(scores, reverse=True)


def test_nothing_that_was_rated_is_recommended(root: Path) -> None:
    rated: dict[int, set[int]] = {}
    for line in (root / "ratings.csv").read_text().splitlines()[1:]:
        user, item, *_ = line.split(",")
        rated.setdefault(int(user), set()).add(int(item))
    for row in table(root / "output", "recommendations"):
        assert rated[row["user_id"]].isdisjoint(item["item_id"] for item in row["items"])


def test_one_user_from_code_gets_what_the_batch_stored(root: Path, stores: OpenStores) -> None:
    ids = {row["item_idx"]: row["item_id"] for row in table(root / "dataset", "items")}
    histories = {row["user_id"]: [ids[item] for item in row["items"]] for row in table(root / "dataset", "sequences")}
    recommender = Recommender.load(str(root / "model"))
    for one in documents(stores)[:5]:
        found = recommender.recommend(histories[one["_id"]], k=TOP)
        assert [item for item, _ in found] == [item["item_id"] for item in one["items"]]
        assert [score for _, score in found] == pytest.approx([item["score"] for item in one["items"]], rel=1e-4)


def test_milvus_holds_every_item_and_agrees_on_neighbours(root: Path, stores: OpenStores) -> None:
    embeddings = table(root / "output", "item_embeddings")
    assert sorted(row["item_idx"] for row in embeddings) == list(range(2, len(embeddings) + 2))
    alias = stores.require_milvus().alias(Milvus().alias)
    item = embeddings[0]["item_id"]
    unknown = {row["item_id"] for row in table(root / "dataset", "items") if not row["count"]}  # the stores hold these too
    nearest = [entry["item_id"] for entry in find_neighbours(alias, item, k=5 + len(unknown))]
    assert [one for one in nearest if one not in unknown][:5] == [
        one for one, _ in Recommender.load(str(root / "model")).neighbours(item, 5)
    ]


def test_a_service_reads_what_was_published(root: Path, stores: OpenStores) -> None:
    popular = Recommender.load(str(root / "model")).recommend([], TOP)
    lists = StoredLists.open(stores.require_mongodb().uri, popular=popular)
    for one in documents(stores)[:3]:
        assert lists.of_user(one["_id"], k=3) == {**one, "items": one["items"][:3]}
    assert [(entry["item_id"], entry["score"]) for entry in lists.of_user(USERS + 1)["items"]] == popular
    items, alias = StoredItems.open(stores.require_milvus().uri), stores.require_milvus().alias(Milvus().alias)
    assert items.neighbours(popular[0][0], k=5) == find_neighbours(alias, popular[0][0], k=5)
    among = {row["item_id"] for row in table(root / "output", "item_embeddings") if row["item_idx"] < 30}
    assert {entry["item_id"] for entry in items.neighbours(popular[0][0], k=50, where="item_idx < 30")} == among - {popular[0][0]}


def test_the_metrics_are_those_of_the_saved_predictions(root: Path) -> None:
    path = Path(versions.resolve(str(root / "evaluation")))
    content = json.loads((path / "metrics.json").read_text())
    ours, popularity, markov = content["metrics"].values()
    compared = {
        found["baseline"]: (found["ours"], found["theirs"], found["users"]) for found in content["verdict"]["comparisons"]
    }
    assert compared == {
        "popularity": pytest.approx((ours["ndcg@10"], popularity["ndcg@10"], USERS)),
        "markov": pytest.approx((ours["ndcg@10"], markov["ndcg@10"], USERS)),
    }
    predictions = table(root / "evaluation", "predictions")
    hits = [rank <= 10 for row in predictions for rank in row["ranks"] if rank > 0]
    assert {len(row["items"]) for row in predictions} == {15}
    assert ours["users"] == popularity["users"] == markov["users"] == USERS
    assert ours["hit_rate@10"] == pytest.approx(sum(hits) / USERS)
    assert markov["ndcg@10"] > popularity["ndcg@10"]


def test_the_chain_from_features_to_candidates_and_documents(root: Path) -> None:
    """What the README's listing does, on the ratings of the others: every source is evaluated, and what serving needs dumped."""
    people = "".join(f"{user}|{18 + user}|{'FM'[user % 2]}\n" for user in range(1, USERS + 1))
    (root / "users.psv").write_text(people)
    genres = ["Drama", "War", "Drama|War", "Comedy"]
    films = "".join(f"{item}::Film {item}::{genres[item % 4]}\n" for item in range(1, ITEMS + 1))
    (root / "films.dat").write_text(films)
    run(
        "build_features",
        *(f"users.path={root}/users.psv", "users.delimiter=|", "users.header=false", "users.names=[user_id, age, gender]"),
        *("users.discrete=[gender]", "users.continuous=[age]", f"items.path={root}/films.dat", "items.delimiter=::"),
        *("items.header=false", "items.names=[item_id, title, genres]", "items.text=[title]", "genres.column=genres"),
    )
    run("item_similarity")
    run("item_similarity", "method=swing", f"output={root}/swing")
    run("train_two_tower", "encoder.dim=8", "max_epochs=2", "precision=fp32", "tensorboard=false", "plots=false", "history=test")
    run("batch_recommend", "history=test", f"output={root}/output_test", "publish=false")
    candidates = f"{root}/candidates_test"
    run("build_candidates", "history=test", f"output={candidates}", f"sources.sequence.path={root}/output_test")
    run("evaluate", f"candidates={candidates}", "cutoffs=[20, 50, 100]", "popularity=true", f"output={root}/of_candidates")
    found = json.loads(Path(versions.resolve(f"{root}/of_candidates"), "metrics.json").read_text())["metrics"]
    assert set(found) == {"merged", "item_cf", "swing", "two_tower", "sequence", "popularity"}
    assert {metrics["users"] for metrics in found.values()} == {USERS}
    assert all({"hit_rate@20", "hit_rate@50", "hit_rate@100", "ndcg@20"} <= set(metrics) for metrics in found.values())
    assert found["merged"]["hit_rate@20"] > found["popularity"]["hit_rate@20"]

    dumped = {"item_features": f"{root}/features", "users": f"{root}/features", "similar_items": f"{root}/swing"}
    for origin, folder in dumped.items():
        key = "user_id" if origin == "users" else "item_id"
        write_mongo.main(["--origin", origin, "--dest", origin, "--queryid", key, "--data", folder])
    towers = ["--origin", "user_embeddings", "--queryid", "user_id", "--data", f"{root}/two_tower_output"]
    write_milvus.main([*towers, "--dest", "tower_users"])
    with connect(None, Addresses(mongodb="embedded", milvus="embedded")) as stores:
        for origin, folder in dumped.items():
            rows = {row["user_id" if origin == "users" else "item_id"]: row for row in table(Path(folder), origin)}
            documents = find_documents(stores.require_mongodb().collection(Mongo().database, origin), sorted(rows))
            stored = {document["_id"]: {name: document[name] for name in rows[document["_id"]]} for document in documents}
            assert stored == rows
        with milvus_alias.connected(stores.require_milvus().alias("tower_users"), "reading failed") as client:
            client.load_collection("tower_users")
            found = client.get("tower_users", ids=[7], output_fields=["user_id", "embedding"])
        [vector] = [row["embedding"] for row in table(root / "two_tower_output", "user_embeddings") if row["user_id"] == 7]
        assert found[0]["embedding"] == pytest.approx(vector)


def test_every_version_says_what_it_was_made_from(root: Path) -> None:
    dataset = versions.read_meta(versions.resolve(str(root / "dataset")))
    model = versions.read_meta(str(root / "model"))
    output = versions.read_meta(versions.resolve(str(root / "output")))
    assert model["dataset"] == output["dataset"] == dataset["run_id"]
    assert model["vocabulary"]["hash"] == dataset["vocabulary"]["hash"]
    exported = versions.resolve(str(root / "model" / "exports"))
    assert (output["model"], output["model_run_id"]) == (model["name"], model["run_id"])
    assert output["export"] == versions.read_meta(exported)["export"] == Path(exported).name
    assert output["counts"]["users"] == USERS


def test_a_new_version_is_published_and_an_older_one_put_back(root: Path) -> None:
    older = versions.resolve(str(root / "output")).rsplit("/", 1)[-1]
    run("batch_recommend", "top_k=3", "publish=false")
    newer = versions.resolve(str(root / "output")).rsplit("/", 1)[-1]
    assert older < newer
    for version, count in ((newer, 3), (older, TOP)):
        run("publish", f"version={version}")
        with connect(None, Addresses(mongodb="embedded", milvus="embedded")) as stores:
            assert {(one["run_id"], len(one["items"])) for one in documents(stores)} == {(version, count)}


def test_the_best_checkpoint_says_of_valid_what_evaluate_says(root: Path, tmp_path: Path) -> None:
    """One user's target is an item that nobody else has had."""
    ratings, folders = tmp_path / "ratings.csv", [f"{name}={tmp_path / name}" for name in ("data", "model", "output")]
    others = (root / "ratings.csv").read_text()
    start = int(others.splitlines()[1].rpartition(",")[2])
    own = "".join(f"1000,{item},5,{start + place}\n" for place, item in enumerate([1, 2, 3, 4, 5, 5555, 6]))
    ratings.write_text(others + own)
    run("build_sequences", "k_core.items=0", f"input.path={ratings}", folders[0])
    run("train", *TINY, *folders[:2])
    run("evaluate", "split=valid", *folders)
    (measured,) = json.loads(Path(versions.resolve(str(tmp_path / "output")), "metrics.json").read_text())["metrics"].values()
    best = checkpoint.load(checkpoint.find(str(tmp_path / "model"), "best")).metrics
    assert best["misses"] == measured["misses"] == 1
    for name, same in {"ndcg@10": "ndcg@10", "recall@10": "hit_rate@10", "recall@1": "hit_rate@1"}.items():
        assert best[name] == pytest.approx(measured[same], abs=1e-9)


def test_training_again_finds_the_model_trained(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = {path.name: path.read_bytes() for path in (root / "model" / "checkpoints").iterdir()}
    run("train", *TINY)
    assert {path.name: path.read_bytes() for path in (root / "model" / "checkpoints").iterdir()} == before
    assert "seed" in error_of("train", *TINY, "seed=7")


@pytest.mark.parametrize(
    ("job", "overrides", "said"),
    [
        ("build_sequences", ["input.columns.item_id=movie"], "movie"),
        ("build_sequences", ["input.path=${SEQREC_ROOT}/none.csv"], "none.csv"),
        ("build_sequences", ["k_core.user=5"], "unknown key k_core.user; did you mean k_core.users?"),
        ("train", ["data=${SEQREC_ROOT}/none"], "none has no finished version (no file CURRENT)"),
        ("export_onnx", ["checkpoint=${SEQREC_ROOT}/none.pt"], "none.pt"),
        ("evaluate", ["model=${SEQREC_ROOT}/none"], "none"),
        ("batch_recommend", ["model=${SEQREC_ROOT}/none"], "none"),
        ("batch_recommend", ["stores.mongodb_uri=embedded"], "MONGODB_URI"),
        ("publish", ["version=20200101T000000Z-0000"], "has no version 20200101T000000Z-0000"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(root: Path, job: str, overrides: list[str], said: str) -> None:
    before = sorted(root.rglob("*"))
    assert said in error_of(job, *overrides)
    assert sorted(root.rglob("*")) == before


def test_stores_are_tried_before_the_scoring(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = versions.run_ids(str(root / "output"))
    monkeypatch.setenv("MONGODB_URI", "mongodb://user:hidden@127.0.0.1:1/?serverSelectionTimeoutMS=200")
    said = error_of("batch_recommend")
    assert "127.0.0.1:1" in said
    assert "hidden" not in said
    monkeypatch.delenv("MONGODB_URI")
    assert "MONGODB_URI is unset or empty" in error_of("batch_recommend")
    assert versions.run_ids(str(root / "output")) == before


def test_a_model_of_another_vocabulary_is_refused(root: Path, tmp_path: Path) -> None:
    write_ratings(tmp_path / "other.csv", Simulation(users=USERS, items=ITEMS, events=700, seed=2))
    run("build_sequences", f"input.path={tmp_path}/other.csv", f"data={tmp_path}/other", "k_core.items=0")
    for job in ("evaluate", "batch_recommend", "export_onnx"):
        assert "vocabulary" in error_of(job, f"data={tmp_path}/other")


def test_spark_submit_runs_a_job_and_ends_with_its_error(root: Path, tmp_path: Path) -> None:
    """Through the script: a version is written, then a missing column is one line on stderr and status 1."""
    options = ["--", "--master", "local[1]", "--conf", "spark.ui.enabled=false"]
    command = [str(ROOT / "spark-submit.sh"), "build_sequences", f"data={tmp_path}/data"]
    environment = {**os.environ, "PYSPARK_PYTHON": sys.executable}
    done = subprocess.run([*command, *options], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    version = versions.resolve(f"{tmp_path}/data")
    assert f"  {version}\nnext: ./spark-submit.sh train data={tmp_path}/data\n" in done.stderr
    assert "next: ./spark-submit.sh train" in Path(version, "log.txt").read_text()
    built = load_config(BuildSequences, f"{version}/config.yaml", [])
    assert (built.data, built.k_core.items) == (f"{tmp_path}/data", 5)
    assert len(pyarrow.dataset.dataset(f"{versions.resolve(f'{tmp_path}/data')}/sequences").to_table()) == USERS
    wrong = [*command, "input.columns.user_id=who", *options]
    done = subprocess.run(wrong, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "who" in line
    assert len(versions.run_ids(f"{tmp_path}/data")) == 1
