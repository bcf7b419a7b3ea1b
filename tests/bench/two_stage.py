"""batch_recommend with a second stage against the same without: what ranking 100 candidates of each user costs."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from jobs import batch_recommend, build_candidates
from seqrec.settings.batch_recommend import BatchRecommend
from seqrec.settings.build_candidates import BuildCandidates
from seqrec.storage import versions
from seqrec.storage.metadata import DatasetMeta
from tests import two_stage as toy
from tests.bench import scoring
from tests.bench.timing import Comparison, compare, seconds

NOWHERE = {"mongodb_uri": "none", "milvus_uri": "none"}


def bench(spark: SparkSession, root: Path, *, rounds: int) -> list[Comparison]:
    """The users, items and model of `scoring`, the model's own lists as candidates, 11 columns of features, a linear ranker."""
    data, model = scoring.prepare(root)
    keys: dict[str, Any] = {"data": data, "model": model, "publish": False, "top_k": scoring.K, "stores": NOWHERE}

    def recommend(name: str, **further: str) -> None:
        batch_recommend.run(BatchRecommend.model_validate({**keys, **further, "output": str(root / name)}))

    recommend("lists")
    sources = {"m": {"kind": "user_lists", "path": str(root / "lists")}}
    given = {"data": data, "output": str(root / "candidates"), "sources": sources, "top_n": scoring.K}
    build_candidates.run(BuildCandidates.model_validate(given))
    write_features(root / "features", data)
    toy.write_ranker(root / "ranker", sources={})
    folders = {name: str(root / name) for name in ("ranker", "candidates", "features")}
    return [
        compare(
            f"second stage, {scoring.USERS:,} users, and the model alone",
            ours=lambda _: seconds(lambda: recommend("ranked", **folders)),
            plain=lambda _: seconds(lambda: recommend("lists")),
            rounds=rounds,
            aim=0.5,
        )
    ]


def write_features(folder: Path, data: str) -> None:
    """Features of the dataset's users and items, drawn by a seed, in the columns that the toy ranker reads."""
    path, draw = Path(versions.resolve(data)), np.random.default_rng(0)
    meta, version = DatasetMeta.read(str(path)), folder / toy.VERSION
    tables = {}
    for name, key, source in (("users", "user_id", "sequences"), ("item_features", "item_id", "items")):
        ids = pq.read_table(path / source, columns=[key])[key].combine_chunks()
        rows = len(ids)
        columns = {key: ids, **{column: pa.array(draw.random(rows), pa.float32()) for column in FLOATS[name]}}
        columns |= {column: pa.array(draw.choice(["F", "War", "Drama"], rows)) for column in TEXTS[name]}
        shares = pa.array(draw.random((rows, 2)).tolist(), pa.list_(pa.float32()))
        tables[name] = pa.table(columns | ({"user_genre_shares": shares} if name == "users" else {}))
    for name, table in tables.items():
        (version / name).mkdir(parents=True)
        pq.write_table(table, version / name / "part-00000.parquet")
        (version / name / "_SUCCESS").touch()
    listed = {"discrete": ["sex", "genre"], "continuous": ["age", "user_genre_shares", "year", "item_count", "score_cf"]}
    (version / "feature_schema.json").write_text(json.dumps({"genres": toy.PARTS, "ranking_samples": listed}))
    of = {"dataset": meta.run_id, "history": "full", "settings": {}, "counts": {}}
    inputs = {"ratings": "r", "users": None, "items": None}
    toy.finish(folder, {"id_types": meta.id_types.model_dump(), "inputs": inputs, **of})


FLOATS = {"users": ["age"], "item_features": ["year", "item_count", "score_cf"]}
TEXTS = {"users": ["sex"], "item_features": ["genre"]}
