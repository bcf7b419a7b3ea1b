"""The job as a whole: against plain Python, whatever the partitions, and blind to what is held out."""

import json
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from jobs import build_features, build_sequences
from seqrec.command.config import load_config
from seqrec.errors import UserError
from seqrec.ranking import build_features as build
from seqrec.ranking.skew import time_cuts
from seqrec.settings.build_features import BuildFeatures
from seqrec.settings.build_sequences import BuildSequences
from seqrec.storage import versions
from seqrec.storage.metadata import DatasetMeta, DatasetSettings
from tests.dataset.reference import Rating
from tests.ranking import reference

CONF = Path(__file__).parents[2] / "conf"
Row = tuple[int, str, float, int]
ITEMS = [f"i{number}" for number in range(12)]
LISTED = ("Drama", "War", "Comedy")
GENRES = {
    item: [LISTED[bit] for bit in range(3) if number >> bit & 1] for number, item in enumerate(ITEMS[:10])
}  # two have no row
NAMES = ["Comedy", "Drama", "War"]
TABLES = ["users", "item_catalogue", "item_features", "ranking_samples", "matching_samples"]
SETTINGS = ["recent_items=3", "max_missing_share=0.5", "negatives.count=2", "negatives.redraws=3"]


def rows_of(seed: int, *, held_out: int) -> list[Row]:
    """Ratings of 14 users with ties and low ratings; `held_out` is the seed of the last two good ones, that tie with none."""
    draw, last = random.Random(seed), random.Random(held_out)
    rows: list[Row] = []
    for user in range(14):
        rows += {
            (user, ITEMS[int(12 * draw.random() ** 2)], float(draw.randint(1, 5)), draw.randint(1, 9))
            for _ in range(draw.choice((0, 1, 4, 12)))
        }
        rows += [(user, draw.choice(ITEMS), 4.0, 10)]
        rows += [(user, draw.choice(ITEMS), 1.0, timestamp) for timestamp in (99, 101, 103)]
        if user != 13:
            rows += [(user, last.choice(ITEMS), float(last.randint(3, 5)), timestamp) for timestamp in (100, 102)]
    return rows


def write_inputs(folder: Path, rows: list[Row]) -> None:
    """ratings.csv, users.csv (all but user 3) and items.psv with genres."""
    folder.mkdir()
    lines = (f"{user},{item},{rating},{timestamp}" for user, item, rating, timestamp in rows)
    (folder / "ratings.csv").write_text("user_id,item_id,rating,timestamp\n" + "\n".join(lines) + "\n")
    users = "\n".join(f"{user};{20 + user};{'FM'[user % 2]}" for user in range(15) if user != 3)
    (folder / "users.csv").write_text(users + "\n")
    items = "\n".join(f"{item},Title of {item},{1990 + len(item)},{'|'.join(genres)}" for item, genres in GENRES.items())
    (folder / "items.csv").write_text("id,title,year,genres\n" + items + "\n")
    (folder / "links.csv").write_text("item,imdb\ni1,tt01\ni99,tt99\n")


def run_features(folder: Path, *overrides: str) -> Path:
    """Run build_features on a folder's inputs and dataset; the folder of the version."""
    given = [
        *(f"users.path={folder}/users.csv", "users.delimiter=;", "users.header=false", "users.names=[user_id, age, sex]"),
        *("users.discrete=[sex]", "users.continuous=[age]", f"items.path={folder}/items.csv", "items.id=id"),
        *("items.text=[title]", "items.continuous=[year]", "genres.column=genres"),
        *(f"joined.links.path={folder}/links.csv", "joined.links.id=item", "joined.links.text=[imdb]"),
    ]
    overrides = (f"data={folder}/dataset", f"output={folder}/features", *SETTINGS, *given, *overrides)
    build_features.run(load_config(BuildFeatures, str(CONF / "build_features.yaml"), list(overrides)))
    return Path(versions.resolve(f"{folder}/features"))


def prepare(folder: Path, rows: list[Row]) -> None:
    """Inputs and a dataset of them, with a minimum rating."""
    write_inputs(folder, rows)
    given = [f"data={folder}/dataset", f"input.path={folder}/ratings.csv", "min_rating=2", "k_core.users=0", "k_core.items=0"]
    build_sequences.run(load_config(BuildSequences, str(CONF / "build_sequences.yaml"), given))


def table(path: Path, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(path / name).to_pylist()
    return rows


def content(path: Path, keep: Callable[[dict[str, Any]], bool] = lambda row: True) -> dict[str, list[str]]:
    """The rows of the tables, as sets."""
    return {name: sorted(repr(row) for row in table(path, name) if keep(row)) for name in TABLES}


def rounded(value: Any) -> Any:
    """Floats as what a float column holds."""
    if isinstance(value, list):
        return [rounded(one) for one in value]
    return float(np.float32(value)) if isinstance(value, float) else value


@pytest.fixture(scope="module")
def folder(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEQREC_ROOT", "/nowhere")
        folder = tmp_path_factory.mktemp("features") / "first"
        prepare(folder, rows_of(5, held_out=1))
        run_features(folder, "partitions=1")
    return folder


@pytest.fixture(autouse=True)
def _root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQREC_ROOT", "/nowhere")


@pytest.fixture(scope="module")
def ratings(spark: SparkSession) -> set[Rating]:
    rows = {(user, item, rating, timestamp * 1000) for user, item, rating, timestamp in rows_of(5, held_out=1)}
    pairs = spark.createDataFrame([row[:2] for row in rows], "user bigint, item string").distinct()
    ties = {(row[0], row[1]): row[2] for row in pairs.select("*", F.xxhash64("user", "item")).collect()}
    return {Rating(*row, ties[row[0], row[1]]) for row in rows}


def test_ratings_of_older_datasets_keep_all_their_times(folder: Path) -> None:
    said = {"path": "r.csv", "format": "csv", "time_unit": "auto"}
    older = build_features.built_input(DatasetSettings(input=said))
    assert (older.time_range, older.time_unit, older.time_patterns) == (None, "auto", ())
    built = DatasetMeta.read(versions.resolve(f"{folder}/dataset")).settings
    assert build_features.built_input(built).time_range == "auto"


def test_ranking_samples_are_those_of_plain_python(folder: Path, ratings: set[Rating]) -> None:
    splits = reference.splits_of(ratings, min_rating=2)
    known = reference.features(ratings, splits, GENRES, NAMES, last=3, threshold=3)
    expected = []
    for one in ratings:
        if splits[one] is None or one.rating == 3:
            continue
        listed = GENRES.get(one.item)
        row = {"user_id": one.user, "item_id": one.item, "rating": one.rating, "timestamp": one.timestamp, **known[one]}
        row |= {"label": int(one.rating > 3), "split": splits[one], "genres": listed, "genre": listed[0] if listed else None}
        row |= {"age": None, "sex": None} if one.user == 3 else {"age": 20.0 + one.user, "sex": "FM"[one.user % 2]}
        row["year"] = 1990.0 + len(one.item) if listed is not None else None
        expected.append({name: rounded(value) for name, value in row.items()})
    found = table(Path(versions.resolve(f"{folder}/features")), "ranking_samples")
    assert {row["split"] for row in found} == {"train", "valid", "test"}
    assert sorted(map(repr, (dict(sorted(row.items())) for row in found))) == sorted(
        map(repr, (dict(sorted(row.items())) for row in expected))
    )


def test_matching_samples_are_events_and_negatives_of_those_trained_on(folder: Path, ratings: set[Rating]) -> None:
    splits = reference.splits_of(ratings, min_rating=2)
    known = reference.features(ratings, splits, GENRES, NAMES, last=3, threshold=3)
    found = table(Path(versions.resolve(f"{folder}/features")), "matching_samples")
    events = {(one.user, one.item, one.timestamp): one for one in ratings if one.rating >= 2}
    positives = {(row["user_id"], row["position"]): row for row in found if row["label"] == 1}
    assert {(row["user_id"], row["item_id"], row["timestamp"]) for row in positives.values()} == set(events)
    for row in positives.values():
        rating = events[row["user_id"], row["item_id"], row["timestamp"]]
        assert (row["split"], row["recent_items"]) == (splits[rating], known[rating]["recent_items"])
    trained = {user: {one.item for one in events.values() if one.user == user and splits[one] == "train"} for user in range(14)}
    candidates = set().union(*trained.values())
    negatives = [row for row in found if row["label"] == 0]
    assert len({(row["user_id"], row["position"], row["item_id"]) for row in found}) == len(found)
    for row in negatives:
        positive = positives[row["user_id"], row["position"]]
        assert positive["split"] == row["split"] == "train"
        assert row["item_id"] in candidates - trained[row["user_id"]]
        assert row["genres"] == GENRES.get(row["item_id"])
        assert all(row[name] == positive[name] for name in ("timestamp", "recent_items", "user_mean_rating", "sex"))
    of_train = [key for key, row in positives.items() if row["split"] == "train"]
    assert len(negatives) > len(of_train)
    held_out = {(one.user, one.item) for one in events.values() if splits[one] != "train"}
    assert held_out & {(row["user_id"], row["item_id"]) for row in negatives}, "held-out items are drawn like others"


def test_serving_tables_have_a_row_an_id_and_the_features_at_the_end(folder: Path, ratings: set[Rating]) -> None:
    path = Path(versions.resolve(f"{folder}/features"))
    users = {row["user_id"]: row for row in table(path, "users")}
    assert sorted(users) == list(range(15))
    for user, row in users.items():
        mine = [one for one in ratings if one.user == user]
        expected = reference.of_user(mine, GENRES, NAMES, 3, 3)
        expected |= {"sex": None if user == 3 else "FM"[user % 2]}
        assert {name: row[name] for name in expected} == {name: rounded(value) for name, value in expected.items()}
    catalogue = {row["item_id"]: row for row in table(path, "item_catalogue")}
    assert sorted(catalogue) == sorted({*GENRES, *(one.item for one in ratings)})
    assert (catalogue["i1"]["title"], catalogue["i1"]["imdb"], catalogue["i0"]["imdb"]) == ("Title of i1", "tt01", None)
    assert (catalogue["i11"]["title"], catalogue["i11"]["genres"]) == (None, None)
    for row in table(path, "item_features"):
        same = [one for one in ratings if one.item == row["item_id"]]
        expected = reference.averages("item", same, 3)
        assert {name: row[name] for name in expected} == {name: rounded(value) for name, value in expected.items()}
    schema = json.loads((path / "feature_schema.json").read_text())
    columns = set(table(path, "ranking_samples")[0])
    named = {name for names in schema["ranking_samples"].values() for name in names}
    assert schema["genres"] == NAMES
    assert columns - named == {"label", "rating", "timestamp", "split"}
    assert named <= columns


def test_tables_are_equal_for_1_and_7_partitions_and_any_buckets(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = content(Path(versions.resolve(f"{folder}/features")))
    monkeypatch.setattr(build, "time_cuts", partial(time_cuts, rows_per_bucket=10))
    assert content(run_features(folder, "partitions=7")) == before


def test_held_out_events_change_no_training_row(folder: Path, tmp_path: Path) -> None:
    """The last two good ratings of all users are others: all that is learned from, and the past of history=valid, stay."""
    prepare(tmp_path / "second", rows_of(5, held_out=2))
    found = [run_features(one, "history=valid") for one in (folder, tmp_path / "second")]
    ours, theirs = (content(path, lambda row: row.get("split", "train") == "train") for path in found)
    assert ours == theirs
    assert content(found[0])["ranking_samples"] != content(found[1])["ranking_samples"]


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["max_user_events=3"], "more than max_user_events=3: leave bots out of the input"),
        (["max_missing_share=0.05"], "users.csv lacks 1 of the 14 rated users, max_missing_share is 0.05"),
        (["genres.column=title", "items.text=[]", "genres.most=5"], "more than 5 genres, such as 'Title of i0'"),
        (
            ["genres.column=null", "genres.columns=[year]"],
            "10 rows have genres.columns that are neither 0 nor 1, such as year=1992",
        ),
        (["genres.column=gender"], "no column 'gender', which genres.column names; it has id, title, year, genres"),
        (["items.continuous=[title]", "items.text=[]"], "10 of 10 values of title are no finite numbers, such as 'Title of i0'"),
        (["items.id=year"], "1 values of item_id repeat"),
        (["users.path=/nowhere/u.csv"], "users.path: /nowhere/u.csv: no such file or folder"),
        (["users.path=FOLDER/growing"], r"users\.path: .*growing is still being written \(_temporary is there\)"),
        (["input.path=FOLDER/fewer.csv"], "events of dataset .* are not among the ratings: give those it was built from"),
    ],
)
def test_bad_input_is_named_before_anything_is_written(folder: Path, overrides: list[str], said: str) -> None:
    rows = [row for row in rows_of(5, held_out=1) if row[0] != 2]
    lines = (f"{user},{item},{rating},{timestamp}" for user, item, rating, timestamp in rows)
    (folder / "fewer.csv").write_text("user_id,item_id,rating,timestamp\n" + "\n".join(lines) + "\n")
    (folder / "growing" / "_temporary").mkdir(parents=True, exist_ok=True)
    before = versions.run_ids(f"{folder}/features")
    with pytest.raises(UserError, match=said):
        run_features(folder, *(one.replace("FOLDER", str(folder)) for one in overrides))
    assert versions.run_ids(f"{folder}/features") == before


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["users.discrete=[job]"], "users has no path: set users.path=FILE"),
        (["genres.column=genres"], "genres and joined belong to a table of items: set items.path=FILE"),
        (["items.path=i", "genres.column=a", "genres.columns=[b]"], "two ways to give genres"),
        (["items.path=i", "items.header=false"], r"items.header=false needs items.names=\[…\]"),
        (["users.path=u", "items.path=i", "users.discrete=[a]", "items.text=[a]"], "column a would be twice"),
        (["users.path=u", "users.text=[rating]"], "column rating would be twice"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(overrides: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        load_config(BuildFeatures, str(CONF / "build_features.yaml"), overrides)
