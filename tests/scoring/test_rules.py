"""batch_recommend under rules: lists by a ranker and by a model, against the rules at work on one user, and `Recommender`."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from jobs import batch_recommend
from seqrec.publishing.lists_version import open_lists
from seqrec.reranking.rules import Boost, Cap, Quota, Rules
from seqrec.serving.recommender import Recommender
from seqrec.storage import versions
from seqrec.tables import schemas
from tests import two_stage

CATALOGUE = "item_id,genres,year\na,Drama,1990\nb,Drama|War,2000\nc,War,\nd,Comedy,2010\ne,Drama,1995\nq,Horror,2011\n"
COUNTRIES = {1: "FR", 2: "FR", 4: "FR", 5: "DE", 6: "DE", 100: "FR", 101: "DE", 102: "", 103: "IT"}
RERANK = [
    "rerank.method=mmr",
    "rerank.mmr_lambda=0.6",
    "rerank.cap.column=genres",
    "rerank.cap.most=1",
    "rerank.quotas.fresh={column: year, least: 1, minimum: 2005}",
    "rerank.boosts.year=0.5",
]


@pytest.fixture(scope="module")
def root(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("rules")
    two_stage.write_dataset(root / "data")
    two_stage.write_model(root / "model")
    two_stage.write_ranker(root / "ranker")
    two_stage.write_candidates(root / "candidates", history="valid")
    two_stage.write_features(root / "features", history="valid")
    content = {name: f"{root}/{name}" for name in ("data", "model")}
    content |= {"history": "valid", "output": f"{root}/output"}
    (root / "conf.json").write_text(json.dumps(content | {"publish": False, "top_k": 4}))
    (root / "movies.csv").write_text(CATALOGUE)
    (root / "users.csv").write_text("userId,country\n" + "".join(f"{user},{country}\n" for user, country in COUNTRIES.items()))
    columns = {"rating": None, "timestamp": 0, "position": 0}
    rows = [
        {"user_id": user, "item_idx": two_stage.index(item), **columns, "split": split}
        for user in two_stage.USERS
        for split, items in (("train", two_stage.history_of(user)), ("valid", [two_stage.target_of(user)]))
        for item in items
    ]
    two_stage.save(f"{root}/data/{two_stage.DATASET}/events", rows, schemas.events(two_stage.BIGINT))
    (root / "returned.csv").write_text("user_id,item_id\n1,b\n1,c\n2,a\n99,a\n3,zzz\n")
    return root


@pytest.fixture(autouse=True)
def _no_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGODB_URI", "none")
    monkeypatch.setenv("MILVUS_URI", "none")


def recommend(root: Path, *overrides: str) -> dict[int, list[tuple[Any, ...]]]:
    """Run the job; the entries of each user's list."""
    batch_recommend.main(["--conf", str(root / "conf.json"), *overrides])
    table = pq.read_table(f"{versions.resolve(f'{root}/output')}/recommendations")
    return {row["user_id"]: [tuple(entry.values()) for entry in row["items"]] for row in table.to_pylist()}


def assert_equal(entries: list[tuple[Any, ...]], listed: list[tuple[Any, float]]) -> None:
    """The items of a table's list, and its scores up to the last bits, are those of a list from code."""
    assert [item for item, *_ in entries] == [item for item, _ in listed]
    assert [score for _, score, _ in entries] == pytest.approx([score for _, score in listed], rel=1e-5)


def second_stage(root: Path) -> dict[str, Any]:
    return {name: f"{root}/{name}" for name in ("ranker", "candidates", "features")}


def wanted(root: Path, **changed: Any) -> Rules:
    rules: dict[str, Any] = {
        "mmr_lambda": 0.6,
        "items": f"{root}/movies.csv",
        "caps": (Cap("genres", 1),),
        "quotas": (Quota(name="fresh", column="year", least=1, minimum=2005),),
        "boosts": (Boost("year", 0.5),),
    }
    return Rules(**rules | changed)


@pytest.mark.parametrize("ranked", [True, False])
def test_the_lists_are_those_of_one_user_from_code(
    spark: SparkSession, root: Path, caplog: pytest.LogCaptureFixture, ranked: bool
) -> None:
    folders: dict[str, Any] = second_stage(root) if ranked else {}
    given = [f"{name}={path}" for name, path in folders.items()]
    with caplog.at_level("INFO"):
        found = recommend(root, *RERANK, f"rerank.items.path={root}/movies.csv", f"exclude={root}/returned.csv", *given)
    assert "of 6 items have a value: genres 5, year 4" in caplog.text
    assert "exclude: 5 pairs in" in caplog.text
    assert f"next: ./spark-submit.sh evaluate data={root}/data model=null split=valid table={root}/output" in caplog.text
    assert "1 have an item that dataset and model lack, 1 a user who isn't scored" in caplog.text
    recommender = Recommender.load(f"{root}/model", **folders, rerank=wanted(root))
    alone = Recommender.load(f"{root}/model", **folders)
    excluded = {1: ["b", "c"], 2: ["a"]}
    moved = 0
    for user in two_stage.USERS:
        history, hidden = two_stage.history_of(user), excluded.get(user, [])
        scores = dict(alone.recommend(history, 9, user=user, deny=hidden))
        assert_equal(found[user], recommender.recommend(history, 4, user=user, deny=hidden))
        assert [entry[2] for entry in found[user]] == pytest.approx([scores[item] for item, *_ in found[user]], rel=1e-5)
        assert not {item for item, *_ in found[user]} & {*hidden, *history}
        assert {"a", "b", "e"}.issuperset({item for item, *_ in found[user]} - {"c", "d", "f"})
        assert sum("Drama" in line for item, *_ in found[user] for line in CATALOGUE.splitlines() if line[0] == item) <= 1
        moved += [item for item, *_ in found[user]] != list(scores)[: len(found[user])]
    assert moved
    version = versions.resolve(f"{root}/output")
    meta = versions.read_meta(version)
    lacking = sum("d" not in {item for item, *_ in entries} for entries in found.values())
    assert (meta["counts"]["short"], meta["counts"]["filled"]) == (sum(len(entries) < 4 for entries in found.values()), 0)
    assert meta["counts"]["short_of_fresh"] == lacking
    assert f"{lacking} of 12 lists have fewer than 1 items of quota fresh" in caplog.text
    kind = open_lists(spark, version, users=None).recommendations().schema["items"].dataType.simpleString()
    assert kind == "array<struct<item_id:string,score:float,model_score:float>>"


def test_popular_items_fill_up_what_the_ranker_leaves_short(root: Path) -> None:
    given = [f"{name}={path}" for name, path in second_stage(root).items()]
    found = recommend(root, "rerank.fill=popular", f"exclude={root}/returned.csv", *given)
    recommender = Recommender.load(f"{root}/model", **second_stage(root), rerank=Rules(fill=True))
    excluded = {1: ["b", "c"], 2: ["a"]}
    for user in two_stage.USERS:
        history, hidden = two_stage.history_of(user), excluded.get(user, [])
        assert_equal(found[user], recommender.recommend(history, 4, user=user, deny=hidden))
        candidates = {entry["item_id"] for entry in two_stage.candidates_of(user)} - {*hidden}
        if candidates:
            assert {item for item, _, score in found[user] if score is None}.isdisjoint(candidates)
        assert len(found[user]) == min(4, 6 - len({*history, *hidden}))
    assert [item for item, _, score in found[4] if score is None] == [two_stage.target_of(4)]
    assert versions.read_meta(versions.resolve(f"{root}/output"))["counts"]["filled"] == sum(
        any(score is None for *_, score in entries) for entries in found.values()
    )


def test_lists_under_rules_are_explained(spark: SparkSession, root: Path) -> None:
    """Fields of both stand side by side, and what fills a list up has reasons, too."""
    given = [f"{name}={path}" for name, path in second_stage(root).items()]
    found = recommend(root, "rerank.fill=popular", "rerank.method=mmr", "explain=2", f"exclude={root}/returned.csv", *given)
    version = versions.resolve(f"{root}/output")
    kind = open_lists(spark, version, users=None).recommendations().schema["items"].dataType.simpleString()
    because = "array<struct<item_id:string,score:float>>"
    assert kind == f"array<struct<item_id:string,score:float,model_score:float,because:{because}>>"
    recommender = Recommender.load(f"{root}/model")
    fillers = 0
    for user in two_stage.USERS:
        reasons = recommender.explain(two_stage.history_of(user), [item for item, *_ in found[user]], 2)
        assert [[why["item_id"] for why in entry[3]] for entry in found[user]] == [[item for item, _ in why] for why in reasons]
        fillers += sum(entry[2] is None and bool(entry[3]) for entry in found[user])
    assert fillers


@pytest.mark.parametrize("ranked", [True, False])
def test_users_without_a_history_get_what_is_popular_in_their_segment(
    root: Path, caplog: pytest.LogCaptureFixture, ranked: bool
) -> None:
    given = [f"{name}={path}" for name, path in second_stage(root).items()] if ranked else []
    (root / "kept.csv").write_text("user_id,item_id\n100,a\n")
    with caplog.at_level("INFO"):
        found = recommend(root, "popular_by=country", f"user_table={root}/users.csv", f"exclude={root}/kept.csv", *given)
    assert "0 a user who isn't scored" in caplog.text
    assert "popular lists by 3 segments by country of" in caplog.text
    assert "for 9 users by userId, 1 of them without one" in caplog.text
    assert set(found) == {*two_stage.USERS, 100, 101, 102, 103}
    overall = dict(zip(two_stage.ITEMS, [9, 2, 7, 7, 1, 1], strict=True))

    def popular(country: str, without: str = "") -> list[tuple[str, float]]:
        here = [item for user in two_stage.USERS if COUNTRIES.get(user) == country for item in two_stage.history_of(user)]
        known = {item: here.count(item) + count / 28 for item, count in overall.items()} if here else overall
        ordered = sorted(known.items(), key=lambda entry: (-entry[1], entry[0]))
        return [entry for entry in ordered if entry[0] != without][:4]

    for user in (100, 101, 102, 103):
        listed = popular(COUNTRIES[user], "a" if user == 100 else "")
        assert [item for item, _ in found[user]] == [item for item, _ in listed]
        assert [score for _, score in found[user]] == pytest.approx([score for _, score in listed])
    assert popular("FR") != popular("DE") != popular("IT")
    assert versions.read_meta(versions.resolve(f"{root}/output"))["counts"]["popular"] == 4


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["rerank.cap.column=seller", "rerank.cap.most=1", "rerank.items.path={}/movies.csv"],
            "no column .seller., which a cap",
        ),
        (["rerank.boosts.genres=1", "rerank.items.path={}/movies.csv"], "column genres holds no number, such as 'Drama'"),
        (["rerank.boosts.year=1", "rerank.items.path={}/strangers.csv"], r"its ids \('7'.*\) are none of the items' \('a', 'b'"),
        (
            ["rerank.quotas.q={column: genres, least: 1, equals: Noir}", "rerank.items.path={}/movies.csv"],
            "no item has genres=Noir",
        ),
        (["popular_by=town", "user_table={}/users.csv"], "has no column 'town', which popular_by names; it has userId, country"),
        (["popular_by=genres", "user_table={}/movies.csv"], "no column is known for the users' ids; .*: set user_key=COLUMN"),
        (["exclude={}/movies.csv"], "movies.csv has no column user_id; it has item_id, genres, year"),
        (["exclude={}/absent.csv"], "absent.csv: no such file; give a CSV or a table with the columns user_id and item_id"),
        (["exclude={}/texts.csv"], r"user_ids in .*texts.csv: \['x'\] are not of type bigint"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(root: Path, overrides: list[str], message: str) -> None:
    (root / "strangers.csv").write_text("item_id,year\n7,1990\n8,1991\n")
    (root / "texts.csv").write_text("user_id,item_id\nx,a\n")
    with pytest.raises(SystemExit, match=message):
        recommend(root, f"output={root}/refused", *(override.replace("{}/", f"{root}/") for override in overrides))
    assert not (root / "refused" / "CURRENT").exists()
