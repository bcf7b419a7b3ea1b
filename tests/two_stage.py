"""A dataset of twelve users and six items with candidates and features of a history, and a ranker made by hand."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
from onnx import TensorProto, helper, numpy_helper
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType

from seqrec.serving import sealed
from seqrec.serving.feature_encoding import EncodedColumn, Encoding
from seqrec.serving.ranker import GRAPH
from seqrec.storage import files, versions
from seqrec.tables import feature_schemas, schemas
from seqrec.tables.schemas import IDS
from tests.metas import dataset_meta
from tests.scoring import toy

DATASET, VERSION = "20260101T000000Z-0001", "20260102T000000Z-0000"
BIGINT, STRING = IDS["bigint"], IDS["string"]
ITEMS = ["a", "b", "c", "d", "e", "f"]  # indices 2 to 7
USERS = range(1, 13)
SOURCES = ("cf", "m")
DISCRETE = ["user_id", "sex", "recent_items", "last_item", "last_genre", "item_id", "genres", "genre"]
CONTINUOUS = ["age", "user_count", "user_mean_rating", "user_positive_share", "user_genre_shares", "year"]
COUNTS = ["item_count", "item_mean_rating", "item_positive_share"]
USER_COLUMNS = feature_schemas.described(text=["name"], discrete=["sex"], continuous=["age"])
ITEM_COLUMNS = feature_schemas.described(discrete=[], continuous=["year"])


def index(item: str) -> int:
    return ITEMS.index(item) + 2


def history_of(user: int) -> list[str]:
    """One to three items, oldest first."""
    return random.Random(user).sample(ITEMS, 1 + user % 3)


def target_of(user: int) -> str:
    """An item that isn't in the history."""
    return random.Random(user).choice([item for item in ITEMS if item not in history_of(user)])


def candidates_of(user: int) -> list[dict[str, Any]]:
    """Merged candidates, best first; users 3 and 9 have none, users 4 and 8 not their target."""
    draw = random.Random(100 + user)
    items = [item for item in ITEMS if item not in history_of(user)]
    draw.shuffle(items)
    if user in (3, 9):
        return []
    kept = [item for item in items if user not in (4, 8) or item != target_of(user)]
    merged = []
    for place, item in enumerate(kept):
        named = [name for name in SOURCES if draw.random() < 0.6] or ["m"]
        sources = [{"name": name, "rank": draw.randint(1, 4), "score": draw.randint(1, 99) / 16} for name in named]
        merged.append({"item_id": item, "item_idx": index(item), "score": (9 - place) / 32, "sources": sources})
    return merged


def user_features(user: int) -> dict[str, Any]:
    items = history_of(user)
    return {
        "user_id": user,
        "name": f"user {user}",
        "sex": None if user == 5 else "FM"[user % 2],
        "age": 20.0 + user,
        "recent_items": items,
        "last_item": items[-1],
        "last_genre": None,
        "user_count": len(items),
        "user_mean_rating": None if user == 6 else user / 4,
        "user_positive_share": 0.5,
        "user_genre_shares": [0.25, 0.75],
    }


def item_features(item: str) -> dict[str, Any]:
    number = ITEMS.index(item)
    genres = None if item == "f" else ["War", "Drama"][number % 2 :]
    return {
        "item_id": item,
        "year": 1990.0 + number,
        "genres": genres,
        "genre": genres[0] if genres else None,
        "item_count": 10 - number,
        "item_mean_rating": number / 2,
        "item_positive_share": None if item == "e" else 0.5,
    }


def save(path: str, rows: list[dict[str, Any]], schema: StructType) -> None:
    """A finished table, as Spark would leave it."""
    folder = Path(path)
    folder.mkdir(parents=True)
    kept = [{name: row[name] for name in schema.names} for row in rows]
    pq.write_table(pa.Table.from_pylist(kept, to_arrow_schema(schema)), folder / "part-00000.parquet")
    (folder / "_SUCCESS").touch()


def finish(folder: Path, content: dict[str, Any], run_id: str = VERSION) -> None:
    versions.write_meta(f"{folder}/{run_id}", {"run_id": run_id, **content})
    versions.commit(str(folder), run_id, keep=1)


def write_dataset(folder: Path) -> None:
    """With the tables that samples, lists and evaluation read; the target is that of valid and of test."""
    path = f"{folder}/{DATASET}"
    rows = [
        {"user_id": user, "items": items, "seen": sorted(items), "targets": [index(target_of(user))], "timestamps": items}
        for user in USERS
        for items in [[index(item) for item in history_of(user)]]
    ]
    for name in ("valid", "test"):
        save(f"{path}/{name}", rows, schemas.held_out(BIGINT))
    save(f"{path}/sequences", rows, schemas.sequences(BIGINT))
    items = [{"item_id": item, "item_idx": index(item), "count": 9 - number} for number, item in enumerate(ITEMS)]
    save(f"{path}/items", items, schemas.items(STRING))
    finish(folder, dataset_meta(DATASET, size=len(ITEMS), vocabulary=vocabulary()), DATASET)


def vocabulary() -> dict[str, Any]:
    """As tests.scoring.toy has it."""
    step = {"size": len(ITEMS), "hash": f"hash-{len(ITEMS)}"}
    return {**step, "lineage": [step]}


def write_candidates(folder: Path, *, history: str, sources: Sequence[str] = SOURCES, **of_each: Any) -> None:
    rows = [{"user_id": user, "items": candidates_of(user)} for user in USERS]
    save(f"{folder}/{VERSION}/candidates", rows, schemas.candidates(BIGINT, STRING))
    merged = {name: {"run_id": VERSION, "kind": "user_lists", "weight": 1.0, **of_each} for name in sources}
    of = {"dataset": DATASET, "history": history, "filter_seen": True, "top_n": 5, "sources": merged}
    finish(folder, {"id_types": {"user": "bigint", "item": "string"}, **of})


def write_features(folder: Path, *, history: str) -> None:
    """Users and items with their features; no row for user 7, none for item d."""
    path = f"{folder}/{VERSION}"
    users = [user_features(user) for user in USERS if user != 7]
    items = [item_features(item) for item in ITEMS if item != "d"]
    save(f"{path}/users", users, feature_schemas.users(BIGINT, STRING, columns=USER_COLUMNS))
    save(f"{path}/item_features", items, feature_schemas.item_features(STRING, columns=ITEM_COLUMNS))
    content = {"genres": ["Drama", "War"], "recent_items": 3}
    both = {"discrete": DISCRETE, "continuous": CONTINUOUS}
    tables = {"matching_samples": both, "ranking_samples": {**both, "continuous": [*CONTINUOUS, *COUNTS]}}
    files.write_text(f"{path}/feature_schema.json", json.dumps({**content, **tables}))
    of = {"dataset": DATASET, "history": history, "settings": {}, "inputs": {"ratings": "r", "users": None, "items": None}}
    finish(folder, {"id_types": {"user": "bigint", "item": "string"}, **of, "counts": {}})


def described_rows(user: int) -> list[dict[str, Any]]:
    """The rows of a user's candidates with features, by a loop: what joins, samples and scoring have to agree with."""
    known = user_features(user)
    users = {name: None if user == 7 else value for name, value in known.items() if name not in ("user_id", "name")}
    rows = []
    for place, entry in enumerate(candidates_of(user), start=1):
        of_item = {name: None if entry["item_id"] == "d" else value for name, value in item_features(entry["item_id"]).items()}
        row = {**users, **of_item, "user_id": user, "item_id": entry["item_id"], "rank_merged": float(place)}
        row["score_merged"] = entry["score"]
        by_name = {source["name"]: source for source in entry["sources"]}
        for name in SOURCES:
            for kind in ("rank", "score"):
                row[f"{kind}_{name}"] = float(by_name[name][kind]) if name in by_name else None
        rows.append(row)
    return rows


MATRIX = np.array([[0, 0], [9, 9], [1, 0], [2, 0], [0, 1], [0, 1], [1, 1], [8, 8]], np.float32)
PARTS = ["Drama", "War"]
ENCODING = Encoding(
    columns=(
        EncodedColumn(name="sex", kind="discrete", categories=pa.array(["F"])),  # M is a category that training hasn't seen
        EncodedColumn(name="genre", kind="discrete", categories=pa.array(["War", "Drama"])),
        *(EncodedColumn(name=name, kind="continuous") for name in ("age", "year", "item_count", "rank_m", "score_m", "score_cf")),
        EncodedColumn(name="user_genre_shares", kind="shares", parts=tuple(PARTS)),
    )
)
WEIGHTS = np.array([0.5, -0.25, 0.01, -0.0005, 0.25, -0.125, 0.25, 0.5, 1.0, -1.0], np.float32)
METHOD = "lightgbm"
SAMPLES = {"table": "ranker_samples", "run_id": VERSION, "dataset": DATASET, "history": "valid", "rows": {"train": 9}}


def score(rows: list[dict[str, Any]]) -> list[float]:
    """The toy ranker's scores of rows, by a loop."""
    scores = []
    for row in rows:
        codes = [float(row["sex"] == "F"), {"War": 1.0, "Drama": 2.0}.get(row["genre"], 0.0)]
        numbers = [row[name] or 0.0 for name in ("age", "year", "item_count", "rank_m", "score_m", "score_cf")]
        total = np.dot([*codes, *numbers, *(row["user_genre_shares"] or [0.0, 0.0])], WEIGHTS)
        scores.append(float(1 / (1 + np.exp(-total))))
    return scores


def write_ranker(folder: Path, **changed: Any) -> None:
    """A ranker whose score is the logistic function of a weighted sum, in which a missing number counts as 0."""
    path = folder / VERSION
    path.mkdir(parents=True)
    nodes = [
        helper.make_node("IsNaN", ["features"], ["missing"]),
        helper.make_node("Where", ["missing", "zero", "features"], ["filled"]),
        helper.make_node("MatMul", ["filled", "weights"], ["sum"]),
        helper.make_node("Sigmoid", ["sum"], ["score"]),
    ]
    float32, constants = TensorProto.FLOAT, {"zero": np.zeros(1, np.float32), "weights": WEIGHTS}
    graph = helper.make_graph(
        nodes,
        "ranker",
        [helper.make_tensor_value_info("features", float32, ["rows", len(WEIGHTS)])],
        [helper.make_tensor_value_info("score", float32, ["rows"])],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path / GRAPH)
    (path / "encoding.json").write_text(ENCODING.to_json())
    of_sources = [f"{kind}_{name}" for name in ("merged", *SOURCES) for kind in ("rank", "score")]
    schema = {"discrete": DISCRETE, "continuous": [*CONTINUOUS, *COUNTS, *of_sources], "genres": PARTS}
    content = {
        "method": METHOD,
        "samples": SAMPLES,
        "feature_schema": schema,
        "columns": ENCODING.names,
        "sources": {name: {} for name in SOURCES},
        "files": sealed.hash_files(path, [GRAPH, "encoding.json"]),
    }
    finish(folder, content | changed)


def write_model(folder: Path) -> None:
    """An exported model with the items' embeddings."""
    toy.write_model(folder, MATRIX, ITEMS, [9, 2, 7, 7, 1, 1])
    (folder / sealed.EMBEDDINGS).mkdir()
    rows = pa.array(MATRIX[2:].tolist(), pa.list_(pa.float32()))
    embeddings = pa.table({"item_id": ITEMS, "item_idx": pa.array(range(2, 8), pa.int32()), "embedding": rows})
    pq.write_table(embeddings, folder / sealed.EMBEDDINGS_PART)
    meta = versions.read_meta(str(folder))
    names = [sealed.ENCODER, sealed.MATRIX, sealed.VOCABULARY, sealed.EMBEDDINGS_PART]
    sealed.seal(str(folder), meta, source=folder, names=names)
