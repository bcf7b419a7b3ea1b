"""batch_recommend with a ranker against a loop, and one user from code against both."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from pyspark.sql.classic.dataframe import DataFrame

from jobs import batch_recommend, build_ranker_samples
from seqrec.errors import UserError
from seqrec.serving.candidate_rows import ItemFeatures, candidate_rows, slices
from seqrec.serving.recommender import Recommender
from seqrec.storage import files, versions
from tests import two_stage

WITHOUT = {3, 9}  # users without candidates


@pytest.fixture(scope="module")
def root(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("two_stage")
    two_stage.write_dataset(root / "data")
    two_stage.write_model(root / "model")
    two_stage.write_ranker(root / "ranker")
    two_stage.write_candidates(root / "candidates", history="valid")
    two_stage.write_features(root / "features", history="valid")
    names = ("data", "model", "ranker", "candidates", "features")
    content: dict[str, Any] = {name: f"{root}/{name}" for name in names}
    content |= {"history": "valid", "publish": False, "top_k": 5, "output": f"{root}/output"}
    (root / "conf.json").write_text(json.dumps(content))
    return root


@pytest.fixture(autouse=True)
def _no_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGODB_URI", "none")
    monkeypatch.setenv("MILVUS_URI", "none")


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The plans that are asked for their partitions, for which Spark computes all joins in them."""
    plans: list[str] = []
    rdd: Any = vars(DataFrame)["rdd"].func

    def noted(plan: Any) -> Any:
        plans.append(plan._jdf.queryExecution().optimizedPlan().toString())
        return rdd(plan)

    monkeypatch.setattr(DataFrame, "rdd", property(noted))
    return plans


def recommend(root: Path, *overrides: str, output: str = "output") -> dict[int, dict[str, Any]]:
    """Run the job; the rows of its table, by user."""
    batch_recommend.main(["--conf", str(root / "conf.json"), f"output={root}/{output}", *overrides])
    table = pq.read_table(f"{versions.resolve(f'{root}/{output}')}/recommendations")
    return {row["user_id"]: row for row in table.to_pylist()}


def load(root: Path, *, ranker: Path | None = None) -> Recommender:
    return Recommender.load(
        str(root / "model"), candidates=f"{root}/candidates", features=f"{root}/features", ranker=str(ranker or root / "ranker")
    )


def by_loop(user: int, *, without: str = "") -> list[tuple[str, float]]:
    """The list that the ranker gives a user."""
    rows = [row for row in two_stage.described_rows(user) if row["item_id"] not in without]
    scored = zip((row["item_id"] for row in rows), two_stage.score(rows), strict=True)
    return sorted(scored, key=lambda entry: (-round(entry[1], 6), two_stage.index(entry[0])))


def test_the_ranker_ranks_the_candidates_and_the_model_serves_the_others(
    root: Path, caplog: pytest.LogCaptureFixture, counted: list[str]
) -> None:
    found, recommender, alone = recommend(root), load(root), Recommender.load(str(root / "model"))
    run_id = versions.resolve(f"{root}/output").rsplit("/", 1)[-1]
    for user in two_stage.USERS:
        listed = [(entry["item_id"], entry["score"]) for entry in found[user]["items"]]
        expected = alone.recommend(two_stage.history_of(user), 5) if user in WITHOUT else by_loop(user)
        assert [item for item, _ in listed] == [item for item, _ in expected]
        assert [score for _, score in listed] == pytest.approx([score for _, score in expected], rel=1e-5)
        from_code = recommender.recommend(two_stage.history_of(user), 5, user=user)
        assert [item for item, _ in from_code] == [item for item, _ in listed], "one user from code gets the job's list"
        assert [score for _, score in from_code] == pytest.approx([score for _, score in listed], rel=1e-6)
        by = ("model", "toy") if user in WITHOUT else ("ranker", f"{two_stage.METHOD} {two_stage.VERSION}")
        assert (found[user]["source"], found[user]["model"]) == by
        assert found[user]["run_id"] == run_id
    meta = versions.read_meta(versions.resolve(f"{root}/output"))
    assert meta["counts"] == {"users": 12, "popular": 0, "empty": 0, "ranked": 10, "item_embeddings": 6}
    of_version = dict.fromkeys(("ranker", "candidates", "features"), two_stage.VERSION)
    of_ranker = {"method": two_stage.METHOD, "samples": two_stage.SAMPLES, "sources": ["cf", "m"]}
    assert meta["second_stage"] == of_version | of_ranker
    assert {"Join" in plan for plan in counted} == {False}
    assert "the ranker learned which items history=valid holds out: evaluate will refuse these lists" in caplog.text
    assert recommender.recommend(two_stage.history_of(1), 5) == alone.recommend(two_stage.history_of(1), 5), "nobody named"


def test_features_at_scoring_are_those_of_the_samples_row_by_row(root: Path, counted: list[str]) -> None:
    """Written by the job on Spark, read for one user without it, and made by a loop: the same rows."""
    (root / "samples.json").write_text(
        json.dumps({name: f"{root}/{name}" for name in ("data", "candidates", "features")} | {"output": f"{root}/samples"})
    )
    build_ranker_samples.main(["--conf", str(root / "samples.json"), "valid_share=0.3"])
    assert {"Join" in plan for plan in counted} == {False}
    samples = pq.read_table(f"{versions.resolve(f'{root}/samples')}/ranker_samples")
    recommender, seen = load(root), []
    assert recommender.second is not None
    stage, ranker = recommender.second.stage, recommender.second.stage.score

    def noted(rows: pa.RecordBatch) -> Any:
        seen.append(rows)
        return ranker(rows)

    second = replace(recommender.second, stage=replace(stage, score=noted))
    users = sorted(set(samples["user_id"].to_pylist()))
    assert len(users) > 5
    for user in users:
        second.best(user, 5, allow=None, deny=pa.array([], pa.string()))
        of_user = samples.filter(pa.compute.equal(samples["user_id"], user)).drop_columns(["label", "split"])
        joined = [name for name in of_user.column_names if name in seen[-1].schema.names]
        assert {*two_stage.ENCODING.names, "item_id"} <= {*joined}
        assert {"last_item", "item_mean_rating"}.isdisjoint(joined), "what the ranker doesn't read isn't joined"
        scored = {row["item_id"]: row for row in seen[-1].select(joined).to_pylist()}
        assert scored == {row["item_id"]: row for row in of_user.select(joined).to_pylist()}
        ordered = [part.take(pa.compute.sort_indices(part["item_id"])) for part in (of_user, seen[-1])]
        written, given = (two_stage.ENCODING.encode(part) for part in ordered)
        np.testing.assert_array_equal(given, written)


def test_lists_of_items_leave_others_out(root: Path) -> None:
    (root / "allow.txt").write_text("\n".join("abcde"))
    (root / "deny.txt").write_text("c\n")
    found = recommend(root, f"allow={root}/allow.txt", f"deny={root}/deny.txt", "top_k=2", output="lists")
    recommender = load(root)
    for user in set(two_stage.USERS) - WITHOUT:
        history = two_stage.history_of(user)
        expected = by_loop(user, without="fc")[:2]
        listed = [(entry["item_id"], entry["score"]) for entry in found[user]["items"]]
        if expected:
            assert [item for item, _ in listed] == [item for item, _ in expected]
            assert found[user]["source"] == "ranker"
        from_code = recommender.recommend(history, 2, user=user, allow=[*"abcde"], deny=["c"])
        assert [item for item, _ in from_code] == [item for item, _ in listed]


def test_the_model_explains_the_ranker_s_lists(root: Path) -> None:
    plain, found = recommend(root, output="plain"), recommend(root, "explain=2", output="explained")
    recommender = load(root)
    for user in two_stage.USERS:
        because = [entry.pop("because") for entry in found[user]["items"]]
        assert found[user]["items"] == plain[user]["items"]
        reasons = recommender.explain(two_stage.history_of(user), [entry["item_id"] for entry in plain[user]["items"]], 2)
        assert [[(why["item_id"], why["score"]) for why in entry] for entry in because] == reasons
        assert any(because) == (len(two_stage.history_of(user)) > 0)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["features=null"], "a second stage needs ranker, candidates and features: set features"),
        (["horizon=3"], "horizon: a ranker ranks candidates"),
        (["filter_seen=false"], "filter_seen: a ranker ranks candidates"),
        (["write=[recommendations, user_embeddings]"], "write: a ranker ranks candidates"),
        (["top_k=6"], r"top_k=6: the candidates in \S+ are at most 5 a user: set top_k=5, or run build_candidates top_n=6"),
        (["history=full"], "made with history=valid, not full: run build_candidates and build_features history=full"),
    ],
)
def test_settings_that_do_not_fit_are_refused(root: Path, overrides: list[str], said: str) -> None:
    with pytest.raises(SystemExit, match=said):
        recommend(root, *overrides, output="refused")
    assert not files.exists(f"{root}/refused/CURRENT")


def test_a_ranker_of_other_features_is_refused(root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    meta = versions.read_meta(f"{root}/ranker/{two_stage.VERSION}")
    schema, remedy = meta["feature_schema"], "train it on build_ranker_samples of such candidates and features"
    names = two_stage.ENCODING.names
    wrong: dict[str, dict[str, Any]] = {
        rf"reads rank_swing, height, which \S+ and \S+ \(sources cf, m\) lack: {remedy}": {
            "columns": [*names, "rank_swing", "height"]
        },
        rf"has genre \(discrete\), which the ranker in \S+ learned as another kind: {remedy}": {
            "feature_schema": {**schema, "discrete": ["sex"], "continuous": [*schema["continuous"], "genre"]}
        },
        rf"has shares of 2 genres, the ranker in \S+ learned those of 1, or of others: {remedy}": {
            "feature_schema": {**schema, "genres": ["Drama"]}
        },
        rf"has the source cf of kind user_lists, the ranker in \S+ learned from one of kind similar_items: {remedy}": {
            "sources": {"cf": {"run_id": two_stage.VERSION, "kind": "similar_items", "weight": 1.0}}
        },
        rf"has ids of other types than \S+: {remedy}": {"id_types": {"user": "bigint", "item": "bigint"}},
    }
    for number, (said, changed) in enumerate(wrong.items()):
        two_stage.write_ranker(tmp_path / f"wrong{number}", **changed)
        with pytest.raises(SystemExit, match=said):
            recommend(root, f"ranker={tmp_path}/wrong{number}", output="refused")
        with pytest.raises(UserError, match=said):
            load(root, ranker=tmp_path / f"wrong{number}")
    two_stage.write_ranker(tmp_path / "fewer", sources={"cf": {"kind": "user_lists", "weight": 2.0}})
    with caplog.at_level("WARNING"):
        load(root, ranker=tmp_path / "fewer")
    assert "source cf has weight 1, in the ranker's samples 2: merged ranks differ" in caplog.text
    assert "the ranker's samples had no candidates of m: what they alone propose is new to it" in caplog.text
    with pytest.raises(UserError, match="needs candidates, features and ranker: give candidates and features too"):
        Recommender.load(str(root / "model"), ranker=str(root / "ranker"))


def test_rows_are_the_same_however_lists_are_cut() -> None:
    users = [user for user in two_stage.USERS if user not in WITHOUT]
    lists = pa.RecordBatch.from_pydict({"user_id": users, "items": [two_stage.candidates_of(user) for user in users]})
    features = ItemFeatures.of(pa.table({"item_id": ["b", "a"], "year": [1991.0, None]}))
    whole = candidate_rows(lists, features, two_stage.SOURCES).to_pylist()
    pieces = [row for part in slices(lists, 3) for row in candidate_rows(part, features, two_stage.SOURCES).to_pylist()]
    assert pieces == whole
    assert {row["item_id"]: row["year"] for row in whole if row["item_id"] in "ab"} == {"a": None, "b": 1991.0}
