"""The job evaluate, on a small dataset, a hand-made ONNX model, a real checkpoint and finished lists."""

import json
import math
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from numpy.typing import NDArray
from pyspark.sql import SparkSession

from jobs import evaluate
from seqrec.export.export_onnx import export
from seqrec.models.transformer import Transformer
from seqrec.storage import versions
from seqrec.tables import io, schemas
from seqrec.tables.schemas import IDS
from seqrec.training import checkpoint
from seqrec.training.checkpoint import Checkpoint
from tests.metas import dataset_meta, lists_meta
from tests.scoring.toy import write_model
from tests.single_target import single_target_metrics

RUN_ID, VERSION = "20260101T000000Z-0000", "20260102T000000Z-0000"
BIGINT = IDS["bigint"]
V, DIM, MAX_LEN = 12, 4, 4
IDS_OF_ITEMS = list(range(100, 100 + V))
COUNTS = [9, 8, 7, 6, 5, 4, 4, 3, 2, 1, 1, 0]
STEP = {"size": V, "hash": f"hash-{V}"}
# items, seen, target: a plain user, a long history, one seen again, one that is new, one without a training event, nothing
USERS = [([2, 3], 4), ([5, 6, 7, 8, 9, 10], 3), ([4, 2], 4), ([2, 3, 4], 12), ([6], 13), ([], 5)]


@pytest.fixture(scope="module")
def data(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset with the users above in test and one in valid."""
    folder = tmp_path_factory.mktemp("data")
    held_out = [(user, items, sorted(set(items)), [target]) for user, (items, target) in enumerate(USERS)]
    events = [
        (user, item, None, place, place, "train") for user, (items, _) in enumerate(USERS) for place, item in enumerate(items)
    ]
    items = list(zip(IDS_OF_ITEMS, range(2, V + 2), COUNTS, strict=True))
    tables = {
        "test": (held_out, schemas.held_out(BIGINT)),
        "valid": (held_out[:0], schemas.held_out(BIGINT)),
        "events": (events, schemas.events(BIGINT)),
        "items": (items, schemas.items(BIGINT)),
        "sequences": ([(user, row, row, seen) for user, row, seen, _ in held_out], schemas.sequences(BIGINT)),
    }
    for name, (rows, schema) in tables.items():
        io.write_table(spark.createDataFrame(rows, schema), f"{folder}/{RUN_ID}/{name}", schema)
    meta = dataset_meta(RUN_ID, size=V, item="bigint", vocabulary={**STEP, "lineage": [STEP]})
    versions.write_meta(f"{folder}/{RUN_ID}", {**meta, "max_len": MAX_LEN})
    versions.commit(str(folder), RUN_ID, keep=1)
    return folder


@pytest.fixture(scope="module")
def matrix() -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=(V + 2, DIM)).astype(np.float32)


@pytest.fixture(scope="module")
def model(matrix: NDArray[np.float32], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported model whose query is the sum of the last items' rows; padding adds nothing."""
    matrix[0] = 0
    folder = tmp_path_factory.mktemp("model")
    write_model(folder, matrix, IDS_OF_ITEMS, COUNTS, max_len=MAX_LEN)
    return folder


def template(tmp_path: Path, **keys: Any) -> str:
    """A configuration file; keys with the value None are null in it."""
    path = tmp_path / "evaluate.yaml"
    path.write_text(json.dumps(keys))
    return str(path)


def naive_ranks(scores: list[NDArray[Any]]) -> list[int]:
    """Ranks in a double loop over users and items; scores are of items 2 to V + 1 by index; misses are 0."""
    ranks = []
    for (items, target), row in zip(USERS, scores, strict=True):
        rank = 1
        for item in range(2, V + 2):
            if item != target and item not in items and row[item] >= row[target]:
                rank += 1
        ranks.append(rank if COUNTS[target - 2] else 0)
    return ranks


def by_popularity() -> NDArray[Any]:
    return np.array([0, 0, *COUNTS])


def written(output: Path) -> Mapping[str, Mapping[str, float]]:
    """The metrics of the current version."""
    found: dict[str, dict[str, float]] = json.loads(Path(versions.resolve(str(output)), "metrics.json").read_text())["metrics"]
    return found


def test_an_onnx_model_and_the_baselines_are_measured_alike(
    spark: SparkSession, data: Path, model: Path, matrix: NDArray[np.float32], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    conf = template(tmp_path, data=str(data), model=str(model), output=str(tmp_path / "out"))
    evaluate.main(
        ["--conf", conf, "onnx=true", "popularity=true", "markov=true", "save_predictions=true", "cutoffs=[1, 5, 10, 100]"]
    )

    scores = [matrix @ matrix[items[-MAX_LEN:]].sum(axis=0) if items else by_popularity() for items, _ in USERS]
    expected = naive_ranks(scores)
    assert len(set(expected)) > 3
    found = written(tmp_path / "out")
    assert list(found) == ["toy", "popularity", "markov"]
    for name, ranks in {"toy": expected, "popularity": naive_ranks([by_popularity()] * len(USERS))}.items():
        accuracy = single_target_metrics(ranks)
        assert {metric: found[name][metric] for metric in accuracy} == pytest.approx(accuracy)
    assert {name: row["misses"] for name, row in found.items()} == {"toy": 1, "popularity": 1, "markov": 1}

    saved = spark.read.parquet(f"{versions.resolve(str(tmp_path / 'out'))}/predictions").collect()
    assert [row["ranks"] for row in sorted(saved, key=lambda row: row["user_id"])] == [[rank] for rank in expected]
    assert {row["user_id"]: row["targets"] for row in saved} == {user: [98 + target] for user, (_, target) in enumerate(USERS)}
    best = {entry["item_id"] for row in saved for entry in row["items"]}
    assert found["toy"]["coverage@10"] == len(best) / V
    screen = capsys.readouterr().out
    assert screen.splitlines()[1].split() == ["toy", "popularity", "markov"]
    assert f"test of dataset {RUN_ID}" in screen


def test_a_model_that_is_called_as_a_baseline_does_not_replace_it(
    spark: SparkSession, data: Path, matrix: NDArray[np.float32], tmp_path: Path
) -> None:
    write_model(tmp_path / "model", matrix, IDS_OF_ITEMS, COUNTS, max_len=MAX_LEN, name="popularity")
    conf = template(tmp_path, data=str(data), model=str(tmp_path / "model"), output=str(tmp_path / "out"))
    evaluate.main(["--conf", conf, "onnx=true", "popularity=true"])
    found = written(tmp_path / "out")
    assert list(found) == ["popularity (model)", "popularity"]
    baseline = single_target_metrics(naive_ranks([by_popularity()] * len(USERS)))
    assert {name: found["popularity"][name] for name in baseline} == pytest.approx(baseline)
    assert found["popularity (model)"]["ndcg@10"] != found["popularity"]["ndcg@10"]


LONG_NAME = "sasrec-ce-d4-l5-ffn2-lr0.01-bs16-9f2c41d8"


def test_a_checkpoint_has_the_ranks_of_its_torch_model(
    data: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And it is exported for them once, by evaluate or by export_onnx before it."""
    torch.manual_seed(1)
    arguments: dict[str, Any] = {
        "vocab_size": V,
        "max_len": MAX_LEN,
        "dim": DIM,
        "blocks": 1,
        "heads": 1,
        "ffn": 2,
        "dropout": 0.0,
    }
    encoder = Transformer(**arguments).eval()
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "vocabulary.parquet").write_bytes((model / "vocabulary.parquet").read_bytes())
    ids, vocabulary = {"user": "bigint", "item": "bigint"}, {**STEP, "lineage": [STEP]}
    meta = {"run_id": VERSION, "name": LONG_NAME, "dataset": RUN_ID, "id_types": ids, "vocabulary": vocabulary}
    weights = encoder.state_dict()
    content = Checkpoint(architecture="sasrec", model=weights, arguments=arguments, meta=meta, step=1, epoch=1)
    checkpoint.save(content, str(folder), checkpoint.LAST)

    conf = template(tmp_path, data=str(data), model=str(folder), output=str(tmp_path / "out"), checkpoint="last")
    evaluate.main(["--conf", conf])

    said, header = capsys.readouterr().out.splitlines()[1:4:2]
    assert (said, header.strip()) == (f"the model: {LONG_NAME}", "the model")
    scores: list[NDArray[Any]] = []
    for items, _ in USERS:
        padded = torch.tensor([[0] * MAX_LEN + items])[:, -MAX_LEN:]
        with torch.no_grad():
            scores.append((encoder.query(padded) @ encoder.item_matrix().T)[0].numpy() if items else by_popularity())
    found = written(tmp_path / "out")[LONG_NAME]
    expected = single_target_metrics(naive_ranks(scores))
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert sorted(path.name for path in folder.iterdir()) == ["checkpoints", "vocabulary.parquet"]

    exported: list[str] = []
    monkeypatch.setattr(evaluate, "export", lambda *_, **__: exported.append("evaluate"))
    made = export(str(folder), data=str(data), checkpoint="last")
    evaluate.main(["--conf", conf])
    assert not exported
    again = json.loads(Path(versions.resolve(str(tmp_path / "out")), "metrics.json").read_text())
    assert again["metrics"][LONG_NAME] == found
    assert versions.read_meta(versions.resolve(str(tmp_path / "out")))["sources"][LONG_NAME]["export"] == made.meta.export


def test_finished_lists_are_measured_down_to_their_end(spark: SparkSession, data: Path, tmp_path: Path) -> None:
    output = tmp_path / "lists"
    table(spark, output, [(0, [(102, 2.0), (103, 1.0)]), (1, [(105, 2.0), (101, 2.0)]), (2, [(110, 1.0)])])
    conf = template(tmp_path, data=str(data), table=str(output), output=str(tmp_path / "out"))
    evaluate.main(["--conf", conf])
    found = written(tmp_path / "out")["toy (table)"]
    assert (found["users"], found["misses"]) == (6, 1)
    assert found["ndcg@1"] == pytest.approx(1 / 6)
    assert found["hit_rate@5"] == pytest.approx(2 / 6)
    assert found["mrr@5"] == pytest.approx((1 + 1 / 2) / 6)
    assert "ndcg@10" not in found


def test_pipelines_are_compared_on_the_same_users(
    spark: SparkSession,
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Targets are 102, 101, 102, 110, 111 and 103: lists of `better` have the first four at the top, those of `first` one."""
    table(spark, tmp_path / "first", [(0, [(102, 2.0), (103, 1.0)]), (1, [(105, 2.0), (101, 1.0)])])
    second = {"ranker": VERSION, "method": "lightgbm", "candidates": VERSION, "features": VERSION, "sources": ["cf"]}
    best = [(0, [(102, 2.0)]), (1, [(101, 2.0)]), (2, [(102, 2.0)]), (3, [(110, 1.0)])]
    table(spark, tmp_path / "better", best, second_stage=second)
    candidates(spark, tmp_path / "proposed", [(user, [100]) for user in range(6)])
    given = {"data": str(data), "table": str(tmp_path / "first")}
    compared = {"two_stage": str(tmp_path / "better"), "retrieval": str(tmp_path / "proposed"), "none": None}
    tracked: dict[str, Any] = {}
    monkeypatch.setattr(evaluate, "add_metrics", lambda values, prefix: tracked.setdefault(prefix, values))
    evaluate.main(["--conf", template(tmp_path, **given, compared=compared, output=str(tmp_path / "out"))])
    found = written(tmp_path / "out")
    assert list(found) == ["toy (table)", "two_stage", "retrieval"]
    assert tracked == dict(zip(("", "two_stage/", "retrieval/"), found.values(), strict=True))
    assert {name: metrics["users"] for name, metrics in found.items()} == dict.fromkeys(found, 6)
    content = json.loads(Path(versions.resolve(str(tmp_path / "out")), "metrics.json").read_text())
    both = {name: {one["measure"]: one for one in rows} for name, rows in content["compared"].items()}
    sources = versions.read_meta(versions.resolve(str(tmp_path / "out")))["sources"]
    assert sources["two_stage"]["second_stage"] == {**second, "samples": None}
    first = (1 + 1 / math.log2(3)) / 6
    for name, ndcg, recall, changed in (("two_stage", 4 / 6, 4 / 6, 3), ("retrieval", 0.0, 0.0, 2)):
        by = both[name]
        assert (by["ndcg"]["ours"], by["ndcg"]["theirs"]) == pytest.approx((ndcg, first))
        assert (by["recall"]["ours"], by["recall"]["theirs"]) == pytest.approx((recall, 2 / 6))
        assert (by["ndcg"]["changed"], by["ndcg"]["users"], by["ndcg"]["baseline"]) == (changed, 6, "toy (table)")
        for measure in ("ndcg", "recall"):
            assert by[measure]["low"] < by[measure]["ours"] - by[measure]["theirs"] < by[measure]["high"]
            assert 0.05 < by[measure]["p"] < 1
    novelty = both["two_stage"][
        "novelty"
    ]  # of users 0 and 1, who have a list of both: 102 beside 102, 103, and 101 beside 105, 101
    assert (novelty["users"], novelty["depth"], novelty["changed"]) == (2, 5, 2)
    bits = {item: -math.log2(max(1, count) / sum(COUNTS)) for item, count in zip(IDS_OF_ITEMS, COUNTS, strict=True)}
    means = [(bits[102] + bits[101]) / 2, (bits[102] + bits[103] + bits[105] + bits[101]) / 4]
    assert (novelty["ours"], novelty["theirs"]) == pytest.approx(means)
    assert set(both["retrieval"]) == {"ndcg", "recall"}  # its lists are measured down to the tenth item, the others to the fifth
    screen = capsys.readouterr().out
    assert "compared with toy (table), over 6 users; intervals of the difference with 95 % confidence" in screen
    assert any(line.startswith("retrieval ") and "not told apart" in line for line in screen.splitlines())
    table(spark, tmp_path / "subset", [(0, [(102, 2.0)])], users=["0"])
    (tmp_path / "out").rename(tmp_path / "done")
    few, lists, of_sources = f"{tmp_path}/subset/{VERSION}", str(tmp_path / "better"), {"candidates": str(tmp_path / "proposed")}
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("compared.few: .* has lists for users=.'0'. alone", {**given, "compared": {"few": few}}),
        ("table: .* has lists for users=.'0'. alone", {"table": few, "compared": {"two_stage": lists}}),
        ("compared.markov: a baseline has that name", {**given, "compared": {"markov": lists}}),
        (r"compared.toy \(table\): another method has that name", {**given, "compared": {"toy (table)": lists}}),
        ("compared.merged: another method has that name", {**of_sources, "compared": {"merged": lists}}),
        ("compared.cf: another method has that name, take another than merged, cf", {**of_sources, "compared": {"cf": lists}}),
    ]
    for message, keys in wrong:
        refused(tmp_path, message, **{"data": str(data), **keys})
    refused(tmp_path, "compared needs what is compared with", data=str(data), popularity=True, compared=compared)


def test_lists_are_measured_beyond_accuracy_and_by_segments(
    spark: SparkSession, data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ranks are 1, 2, none, 1, none and none; user 4 is recommended what he had, twice, and user 5 nothing at all."""
    lists = [(0, [(102, 2.0), (103, 1.0)]), (1, [(111, 2.0), (101, 1.0)]), (3, [(110, 1.0)]), (4, [(104, 2.0), (104, 1.0)])]
    table(spark, tmp_path / "lists", lists, top_k=10)
    genres = {102: "War|Drama", 103: " Drama", 111: "War", 101: "Comedy", 104: "War"}
    rows = "".join(f"{item},{text},\n" for item, text in genres.items())
    (tmp_path / "films.csv").write_text(f"movieId,genres,mood\n{rows}")
    vectors = {102: [2.0, 0.0], 103: [0.0, 3.0], 111: [1.0, 0.0], 101: [-2.0, 0.0]}
    pairs = pa.array(list(vectors.values()), pa.list_(pa.float64(), 2))
    pq.write_table(pa.table({"item_id": list(vectors), "embedding": pairs}), tmp_path / "vectors.parquet")
    (tmp_path / "people.csv").write_text("user_id,sex,job\n0,F,x\n1,M,x\n2,F,x\n3,M,x\n4,,x\nnobody,F,x\n")
    keys: dict[str, Any] = {"items": {"path": f"{tmp_path}/films.csv"}, "vectors": f"{tmp_path}/vectors.parquet"}
    keys |= {"users": {"path": f"{tmp_path}/people.csv"}, "segments": ["history", "popularity", "sex"]}
    out = {"data": str(data), "table": str(tmp_path / "lists"), "output": str(tmp_path / "out")}
    evaluate.main(["--conf", template(tmp_path, **out, **keys)])
    found = written(tmp_path / "out")["toy (table)"]
    shown = [[item for item, _ in entries] for _, entries in lists]
    counts = dict(zip(IDS_OF_ITEMS, COUNTS, strict=True))
    bits = [[-math.log2(max(1, counts[item]) / sum(COUNTS)) for item in entries] for entries in shown]
    assert found["novelty@10"] == pytest.approx(sum(np.mean(each) for each in bits) / 4)
    assert found["popularity@10"] == pytest.approx(np.mean([6.5, 4.0, 1.0, 5.0]))
    assert found["long_tail@10"] == pytest.approx(np.mean([0, 1 / 2, 1, 0]))
    assert found["genre_diversity@10"] == pytest.approx(np.mean([1 / 2, 1, 0]))
    assert found["vector_diversity@10"] == pytest.approx(np.mean([1, 2]))
    # Ranks by popularity are 3, 2 and 10 (two items have one event), those in the lists 1, 2 and 1; user 4's target is no hit.
    assert found["serendipity@10"] == pytest.approx((2 / V + 0 + 9 / V + 0) / 10 / 4)
    faults = ("short_lists", "repeated_items", "seen_items", "unknown_items")
    assert [found[name] for name in faults] == [6, 1, 1, 0]
    assert "toy (table): the lists of 1 users have an item twice" in caplog.text
    assert "people.csv: 1 of 6 rows have no id of a user: they are left out" in caplog.text
    content = json.loads(Path(versions.resolve(str(tmp_path / "out")), "metrics.json").read_text())
    low, high = content["intervals"]["toy (table)"]["novelty@10"]
    assert low < found["novelty@10"] < high
    by_segment = content["segments"]["toy (table)"]
    second = 1 / math.log2(3)
    ndcg = {name: {group: (of["users"], of["ndcg@10"]) for group, of in groups.items()} for name, groups in by_segment.items()}
    assert ndcg == {
        "history": {"0–1": (2, 0.0), "2": (2, 0.5), "3–6": (2, pytest.approx((1 + second) / 2))},
        "popularity": {"head": (4, pytest.approx((1 + second) / 4)), "tail": (1, 1.0), "cold": (1, 0.0)},
        "sex": {"F": (2, 0.5), "M": (2, pytest.approx((1 + second) / 2)), "no value": (2, 0.0)},
    }
    assert by_segment["sex"]["M"]["popularity@10"] == 2.5
    assert "popularity@10" not in by_segment["popularity"]["head"]
    screen = capsys.readouterr().out
    assert "NDCG@10 by sex, with intervals of 95 % confidence" in screen
    (tmp_path / "out").rename(tmp_path / "done")
    wrong: list[tuple[str, dict[str, Any]]] = [
        (
            "films.csv has no column 'kinds', which items.genres names; it has movieId, genres, mood",
            {"items": {"genres": "kinds"}},
        ),
        ("films.csv: column mood has no ", {"items": {"genres": "mood"}}),
        ("people.csv has no column 'age', which segments names", {"segments": ["age"]}),
        ("people.csv: none of 6 values of job is a bigint", {"users": {"id": "job"}}),
        ("strangers.csv: none of its 5 ids .* is of an item of the dataset", {"items": {"path": f"{tmp_path}/strangers.csv"}}),
        ("column embedding is list<.*string>, expected lists of numbers", {"vectors": f"{tmp_path}/bad.parquet"}),
        (
            r"others.csv: none of the 6 evaluated users .0, 1, 2, …. has a row; its ids are 70, 71, 72, …: give",
            {"users": {"path": f"{tmp_path}/others.csv"}},
        ),
        ("has none of the tables item_vectors, item_embeddings", {"vectors": str(data)}),
    ]
    (tmp_path / "strangers.csv").write_text((tmp_path / "films.csv").read_text().replace("1", "77"))
    pq.write_table(pa.table({"item_id": [102], "embedding": [["War"]]}), tmp_path / "bad.parquet")
    (tmp_path / "others.csv").write_text("user_id,sex\n70,F\n71,M\n72,F\n73,F\n")
    for message, changed in wrong:
        merged = {name: keys[name] | value if isinstance(value, dict) else value for name, value in changed.items()}
        refused(tmp_path, message, data=str(data), table=str(tmp_path / "lists"), **{**keys, **merged})


def test_lists_of_a_ranker_are_called_by_it_and_refused_where_it_learned_the_targets(
    spark: SparkSession, data: Path, tmp_path: Path
) -> None:
    samples = {"table": "ranker_samples", "run_id": VERSION, "dataset": RUN_ID, "history": "valid", "rows": {"train": 9}}
    versions_of = dict.fromkeys(("ranker", "candidates", "features"), VERSION)
    second: dict[str, Any] = {**versions_of, "method": "lightgbm", "sources": ["cf"], "samples": samples}
    lists = [(0, [(102, 2.0)])]
    table(spark, tmp_path / "ranked", lists, second_stage=second)
    evaluate.main(["--conf", template(tmp_path, data=str(data), table=str(tmp_path / "ranked"), output=str(tmp_path / "out"))])
    version = versions.resolve(str(tmp_path / "out"))
    sources = versions.read_meta(version)["sources"]
    assert list(sources) == [f"lightgbm {VERSION} (table)"] == list(written(tmp_path / "out"))
    assert sources[f"lightgbm {VERSION} (table)"]["second_stage"] == second
    (tmp_path / "out").rename(tmp_path / "done")
    table(spark, tmp_path / "learned", lists, second_stage={**second, "samples": {**samples, "history": "test"}})
    message = f"its ranker {VERSION} learned which items split=test holds out .samples {VERSION}.: make lists with"
    refused(tmp_path, message, data=str(data), table=str(tmp_path / "learned"))
    compared = {"compared": {"two_stage": str(tmp_path / "learned")}}
    refused(tmp_path, message, data=str(data), table=str(tmp_path / "ranked"), **compared)


def test_candidates_of_a_ranker_that_learned_the_targets_are_refused(spark: SparkSession, data: Path, tmp_path: Path) -> None:
    learned = {"table": "ranker_samples", "run_id": VERSION, "history": "test"}
    candidates(spark, tmp_path / "telling", [(0, [102])], learned=learned)
    message = "the ranker of its source cf learned which items split=test holds out: .* without it .sources.cf=null"
    refused(tmp_path, message, data=str(data), candidates=str(tmp_path / "telling"))
    candidates(spark, tmp_path / "fitting", [(0, [102])], learned={**learned, "history": "valid"})
    conf = template(tmp_path, data=str(data), candidates=str(tmp_path / "fitting"), output=str(tmp_path / "out"))
    evaluate.main(["--conf", conf])
    assert written(tmp_path / "out")["cf"]["hit_rate@1"] == pytest.approx(1 / 6)


def test_baselines_beside_lists_of_some_users_are_measured_on_these(spark: SparkSession, data: Path, tmp_path: Path) -> None:
    """Users 0 and 1: the target of 0 is the most popular item that he hasn't had, that of 1 the second. No item is 999."""
    table(spark, tmp_path / "some", [(0, [(105, 1.0)]), (1, [(101, 1.0), (999, 0.5)])], users=["0", "1"], top_k=10)
    keys = {"data": str(data), "table": str(tmp_path / "some" / VERSION), "output": str(tmp_path / "out")}
    conf = template(tmp_path, **keys, segments=["history"])
    evaluate.main(["--conf", conf, "popularity=true", "markov=true"])
    found = written(tmp_path / "out")
    assert {name: metrics["users"] for name, metrics in found.items()} == dict.fromkeys(
        ("toy (table)", "popularity", "markov"), 2
    )
    assert (found["toy (table)"]["hit_rate@1"], found["popularity"]["hit_rate@1"]) == (0.5, 0.5)
    assert (found["toy (table)"]["coverage@10"], found["toy (table)"]["unknown_items"]) == (2 / V, 1)
    content = json.loads(Path(versions.resolve(str(tmp_path / "out")), "metrics.json").read_text())
    groups = content["segments"]["popularity"]["history"]
    assert {group: of["users"] for group, of in groups.items()} == {"2": 1, "6": 1}  # quarters of the two users alone


def candidates(spark: SparkSession, output: Path, lists: list[tuple[int, list[int]]], **of_source: Any) -> None:
    """An output of build_candidates with the given lists, of one source."""
    merged = [
        (user, [(item, item - 98, 1 / place, [("cf", place, 1.0)]) for place, item in enumerate(items, 1)])
        for user, items in lists
    ]
    of_cf = [(user, "cf", [(item, item - 98, 1.0) for item in items]) for user, items in lists]
    for name, rows, schema in (
        ("candidates", merged, schemas.candidates(BIGINT, BIGINT)),
        ("candidate_lists", of_cf, schemas.candidate_lists(BIGINT, BIGINT)),
    ):
        io.write_table(spark.createDataFrame(rows, schema), f"{output}/{VERSION}/{name}", schema)
    facts = {"run_id": VERSION, "id_types": {"user": "bigint", "item": "bigint"}, "dataset": RUN_ID, "history": "test"}
    sources = {"cf": {"run_id": VERSION, "kind": "similar_items", "weight": 1.0, **of_source}}
    versions.write_meta(f"{output}/{VERSION}", {**facts, "filter_seen": True, "top_n": 20, "sources": sources})
    versions.commit(str(output), VERSION, keep=1)


def test_a_sample_is_of_the_asked_size(data: Path, tmp_path: Path) -> None:
    conf = template(tmp_path, data=str(data), output=str(tmp_path / "out"))
    evaluate.main(["--conf", conf, "popularity=true", "sample_users=3"])
    assert written(tmp_path / "out")["popularity"]["users"] == 3


def table(spark: SparkSession, output: Path, lists: list[tuple[int, list[tuple[int, float]]]], **meta: Any) -> None:
    """An output of batch_recommend with the given lists."""
    now = datetime.now(UTC)
    rows = [(user, row, "model", "toy", VERSION, now) for user, row in lists]
    schema = schemas.recommendations(BIGINT, BIGINT)
    io.write_table(spark.createDataFrame(rows, schema), f"{output}/{VERSION}/recommendations", schema)
    facts = {**lists_meta(VERSION, item="bigint"), "model": "toy", "dataset": RUN_ID, "history": "test", "top_k": 5}
    versions.write_meta(f"{output}/{VERSION}", {**facts, **meta})
    versions.commit(str(output), VERSION, keep=1)


@pytest.mark.parametrize(
    ("lists", "meta", "message"),
    [
        ([(0, [(102, 1.0)])], {"history": "full"}, "history=full, not test"),
        ([(0, [(102, float("nan"))])], {}, "the lists of 1 users have scores that aren't finite"),
        ([(77, [(102, 1.0)])], {"users": ["77"]}, "has a list for none of the held-out users"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(
    spark: SparkSession, data: Path, tmp_path: Path, lists: list[Any], meta: dict[str, Any], message: str
) -> None:
    table(spark, tmp_path / "lists", lists, **meta)
    refused(tmp_path, message, data=str(data), table=f"{tmp_path}/lists/{VERSION}")


def test_scores_that_are_not_finite_are_an_error(
    spark: SparkSession, data: Path, matrix: NDArray[np.float32], tmp_path: Path
) -> None:
    broken = matrix.copy()
    broken[7, 0] = np.nan
    write_model(tmp_path / "model", broken, IDS_OF_ITEMS, COUNTS, max_len=MAX_LEN)
    refused(tmp_path, "toy gives scores that aren't finite", data=str(data), model=str(tmp_path / "model"), onnx=True)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({}, "nothing to evaluate"),
        ({"popularity": True, "save_predictions": True}, "save_predictions needs"),
        ({"popularity": True, "predictions_k": 20}, "predictions_k says how many items save_predictions=true writes"),
        ({"popularity": True, "onnx": True}, "onnx=true needs model"),
        ({"popularity": True, "segments": ["sex"]}, "segments=sex is a column of a table of users: set users.path=FILE"),
        ({"popularity": True, "segments": ["history", "history"]}, "segments names history twice"),
        ({"popularity": True, "segments": ["user_id"], "users": {"path": "p"}}, "segments=user_id is the id of a user"),
        ({"popularity": True, "users": {"path": "people.csv"}}, "users.path has the columns that segments=.*names"),
        ({"popularity": True, "split": "valid"}, "holds nobody out"),
        ({"model": "nowhere", "onnx": True}, "nowhere holds no exported model"),
        ({"model": "nowhere"}, "has no best checkpoint"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(spark: SparkSession, data: Path, tmp_path: Path, keys: Any, message: str) -> None:
    refused(tmp_path, message, data=str(data), **keys)


def test_a_model_that_may_have_learned_what_is_held_out_is_refused(
    spark: SparkSession, data: Path, model: Path, tmp_path: Path
) -> None:
    shutil.copytree(model, tmp_path / "newer")
    path = tmp_path / "newer"
    versions.write_meta(str(path), versions.read_meta(str(path)) | {"dataset": "29990101T000000Z-0000"})
    said = "the model toy was trained on the dataset 29990101T000000Z-0000, newer than .*: it may have learned what is held out"
    refused(tmp_path, said, data=str(data), model=str(tmp_path / "newer"), onnx=True)


def refused(tmp_path: Path, message: str, **keys: Any) -> None:
    """The job ends with the message and without an output."""
    with pytest.raises(SystemExit, match=message):
        evaluate.main(["--conf", template(tmp_path, output=str(tmp_path / "out"), **keys)])
    assert not (tmp_path / "out").exists()
