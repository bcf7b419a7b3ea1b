"""batch_recommend with re-ranking and with explanations against the same without: three reasons for each of a hundred items."""

import statistics
import sys
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from jobs import batch_recommend
from seqrec.settings.batch_recommend import BatchRecommend
from tests.bench import scoring
from tests.bench.timing import Comparison, compare, seconds

MMR = {"rerank": {"method": "mmr", "mmr_lambda": 0.7}}
WAYS: dict[str, dict[str, Any]] = {"explain=3": {"explain": 3}, "rerank.method=mmr": MMR, "both": {**MMR, "explain": 3}}


def bench(spark: SparkSession, root: Path, *, rounds: int) -> list[Comparison]:
    """The users, items and model of `scoring`; each way in turns with plain lists. Users a second go to stderr."""
    data, model = scoring.prepare(root)
    keys = {"data": data, "model": model, "publish": False, "top_k": scoring.K}

    def recommend(name: str, further: dict[str, Any]) -> float:
        nowhere = {"mongodb_uri": "none", "milvus_uri": "none"}
        settings = BatchRecommend.model_validate({**keys, **further, "output": str(root / name), "stores": nowhere})
        return seconds(lambda: batch_recommend.run(settings))

    def compared(way: str) -> Comparison:
        return compare(
            f"batch_recommend {way}, and plain, {scoring.USERS:,} users",
            ours=lambda _: recommend("further", WAYS[way]),
            plain=lambda _: recommend("plain", {}),
            rounds=rounds,
            aim=1 / 1.3,
        )

    results = [compared(way) for way in WAYS]
    for result in results:
        ours, plain = (scoring.USERS / statistics.median(taken) for taken in (result.ours, result.plain))
        sys.stderr.write(f"{result.what}: {ours:,.0f} users/s, and {plain:,.0f}\n")
    return results
