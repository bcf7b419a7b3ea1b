"""Users that two towers over features list in Spark's Python workers: ONNX Runtime and `topk`, against torch and its topk.

Both encode the columns in the same way, leave out the items that a user has had, and have one thread a task. The towers aren't
trained, which costs the same.
"""

import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import LongType

from seqrec.indices import FIRST_ITEM
from seqrec.models.two_towers import TwoTowers
from seqrec.scoring.described_users import SEEN, TowerTask
from seqrec.scoring.shipping import ship_towers
from seqrec.scoring.udf import recommend_by_towers
from seqrec.serving.feature_encoding import EncodedColumn, Encoding
from seqrec.serving.sealed import MATRIX, VOCABULARY, hash_files
from seqrec.serving.towers import ITEM_ENCODING, ITEM_GRAPH, KNOWN, TOWER_FILES, USER_ENCODING, USER_GRAPH, tower_hashes
from seqrec.towers.tower_export import write_tower_graph
from seqrec.towers.tower_setup import tower_columns
from seqrec.towers.tower_validation import catalogue_matrix
from tests.bench.timing import Comparison, compare, seconds

USERS, ITEMS, HAD, K = 20_000, 20_000, 50, 100
SIZES = {"dim": 64, "embedding_size": 32, "hidden_units": [128], "dropout": 0.1, "unknown_share": 0.1}
PARTS = tuple(str(place) for place in range(20))


def bench(spark: SparkSession, root: Path, *, rounds: int) -> Comparison:
    """20,000 users of 5 columns, 50 items that each has had, 20,000 items, the best 100 each."""
    towers, encoding = write_towers(root)
    names = [name for name in TOWER_FILES if (root / name).exists()]
    hashes = tower_hashes(hash_files(root, names), path=str(root))
    task = TowerTask(towers=ship_towers(spark, str(root), hashes), top_k=K)
    users = described(spark, root)
    lists: dict[str, list[int]] = {}

    def timed(name: str, listed: DataFrame) -> float:
        def write() -> None:
            listed.write.mode("overwrite").parquet(str(root / name))

        spent = seconds(write)
        best = pq.read_table(root / name, columns=["user_id", "items"]).sort_by("user_id")["items"].combine_chunks()
        lists[name] = best.flatten().field("item_id").to_pylist()
        return spent

    compared = compare(
        f"two towers, lists of {USERS:,} users, ONNX and torch",
        ours=lambda _: timed("ours", recommend_by_towers(users, task=task, item=LongType())),
        plain=lambda _: timed("plain", by_torch(users, towers, encoding, np.load(root / MATRIX))),
        rounds=rounds,
        aim=1.0,
    )
    same = np.mean(np.array(lists["ours"]) == np.array(lists["plain"]))
    assert same > 0.999, "both give the same lists, up to equal scores"
    return compared


def write_towers(root: Path) -> tuple[bytes, Encoding]:
    """Write the files of an export; the arguments and weights of the towers in torch's format, and the encoding of users."""
    ids = EncodedColumn(name="user_id", kind="discrete", categories=pa.array(range(USERS)))
    recent = EncodedColumn(name="recent_items", kind="list", categories=pa.array(range(ITEMS)), parts=PARTS)
    group = EncodedColumn(name="group", kind="discrete", categories=pa.array(["A", "B"]))
    users = Encoding(columns=(ids, group, recent, *(EncodedColumn(name=name, kind="continuous") for name in ("age", "count"))))
    items = Encoding(columns=(EncodedColumn(name="item_id", kind="discrete", categories=pa.array(range(ITEMS))),))
    arguments: dict[str, Any] = {
        "user_columns": tower_columns(users, own_id="user_id"),
        "item_columns": tower_columns(items, own_id="item_id"),
        "sizes": SIZES,
    }
    torch.manual_seed(1)
    towers = TwoTowers(**arguments).eval()
    for tower, encoding, graph, described in (
        (towers.users, users, USER_GRAPH, USER_ENCODING),
        (towers.items, items, ITEM_GRAPH, ITEM_ENCODING),
    ):
        (root / described).write_text(encoding.to_json(), "utf-8")
        write_tower_graph(tower, root / graph, features=len(encoding.features), opset=18)
    with torch.inference_mode():
        vectors = towers.items(torch.arange(1, ITEMS + 1, dtype=torch.float32)[:, None]).numpy()
    np.save(root / MATRIX, catalogue_matrix(vectors))
    pq.write_table(pa.table({"item_id": pa.array(range(ITEMS)), KNOWN: pa.array([True] * ITEMS)}), root / VOCABULARY)
    sink = io.BytesIO()
    torch.save((arguments, towers.state_dict()), sink)
    return sink.getvalue(), users


def described(spark: SparkSession, root: Path) -> DataFrame:
    """Users with their columns, and the items that each has had."""
    rng = np.random.default_rng(2)
    had = np.sort(rng.permuted(np.tile(np.arange(ITEMS, dtype=np.int32), (64, 1)), axis=1)[:, :HAD], axis=1)
    had = had[rng.integers(0, len(had), USERS)] + np.int32(FIRST_ITEM)
    columns = {
        "user_id": pa.array(range(USERS)),
        "group": pa.array(rng.choice(["A", "B"], USERS)),
        "recent_items": pa.array(list(rng.integers(0, ITEMS, (USERS, len(PARTS))))),
        "age": pa.array(rng.uniform(18, 80, USERS)),
        "count": pa.array(rng.integers(1, 500, USERS)),
        SEEN: pa.array(list(had)),
    }
    pq.write_table(pa.table(columns), root / "users.parquet")
    users = spark.read.parquet(str(root / "users.parquet")).repartition(spark.sparkContext.defaultParallelism).cache()
    users.count()
    return users


def by_torch(users: DataFrame, weights: bytes, encoding: Encoding, matrix: np.ndarray) -> DataFrame:  # type: ignore[type-arg]
    """The lists by torch alone, as one would write them; the item matrix travels with the function."""

    def listed(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        torch.set_num_threads(1)
        arguments, model = torch.load(io.BytesIO(weights), weights_only=True)
        towers = TwoTowers(**arguments)
        towers.load_state_dict(model)
        towers.eval()
        items = torch.from_numpy(matrix)
        for batch in batches:
            with torch.inference_mode():
                vectors = towers.users(torch.from_numpy(encoding.encode(batch)))
                scores = vectors @ items.T  # (B, D) @ (D, V + 2) -> (B, V + 2)
                scores[:, :FIRST_ITEM] = -torch.inf
                for row, seen in zip(scores, batch.column(SEEN).to_pylist(), strict=True):
                    row[seen] = -torch.inf
                best, indices = scores.topk(K)
            offsets = pa.array(np.arange(len(batch) + 1) * K, pa.int32())
            entries = {"item_id": (indices - FIRST_ITEM).numpy().ravel(), "score": best.numpy().ravel()}
            entry = pa.StructArray.from_arrays([pa.array(values) for values in entries.values()], names=list(entries))
            width = pa.array(np.arange(len(batch) + 1) * vectors.shape[1], pa.int32())
            columns = {
                "user_id": batch.column("user_id"),
                "items": pa.ListArray.from_arrays(offsets, entry),
                "embedding": pa.ListArray.from_arrays(width, pa.array(vectors.numpy().ravel())),
            }
            yield pa.RecordBatch.from_pydict(columns)

    return users.mapInArrow(listed, "user_id bigint, items array<struct<item_id: bigint, score: float>>, embedding array<float>")
