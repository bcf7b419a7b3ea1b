"""build_sequences against a groupBy and collect_list that writes the same tables."""

import json
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from jobs import build_sequences
from seqrec import simulate
from seqrec.settings.build_sequences import BuildSequences
from seqrec.storage import versions
from tests.bench.timing import Comparison, compare, seconds

LEAST, MAX_LEN = 5, 200


def settings(ratings: Path, data: Path) -> BuildSequences:
    """The defaults, on a Parquet file."""
    return BuildSequences.model_validate({"input": {"path": str(ratings), "format": "parquet"}, "data": str(data)})


def bench(spark: SparkSession, root: Path, *, rounds: int) -> Comparison:
    """Three million ratings, cleaned, cut to a k-core, numbered, and written as the dataset's six tables and its stats."""
    ratings, ours, plain = root / "ratings.parquet", root / "built", root / "plain"
    simulate.write_ratings(ratings, simulate.Simulation(users=50_000, items=10_000, events=3_000_000))

    def check(number: int) -> float:
        spent = seconds(lambda: collect_lists(spark, ratings, plain))
        if number == 0:
            tables = [spark.read.parquet(f"{path}/sequences") for path in (_version(ours), plain)]
            left, right = (table.select("user_id", "items", "seen") for table in tables)
            assert left.count() == right.count() == 50_000
            assert left.exceptAll(right).isEmpty(), "the two ways differ"
        return spent

    return compare(
        "build_sequences, 3 M ratings",
        ours=lambda _: seconds(lambda: build_sequences.run(settings(ratings, ours))),
        plain=check,
        rounds=rounds,
        aim=1.2,
    )


def collect_lists(spark: SparkSession, ratings: Path, output: Path) -> None:
    """What one writes at first: lists of all events of a user, sorted, everything else cut from them, and the numbers counted."""
    raw = spark.read.parquet(str(ratings))
    usable = raw.dropna()
    distinct = usable.dropDuplicates()
    events = core(distinct)
    event = F.struct("timestamp", "item_id", "rating")
    lists = events.groupBy("user_id").agg(F.sort_array(F.collect_list(event)).alias("events")).cache()
    train = lists.select(F.explode(F.slice("events", F.lit(1), F.size("events") - 2)).alias("event"))
    counts = train.groupBy("event.item_id").count()
    counts = events.select("item_id").distinct().join(counts, "item_id", "left").fillna(0)
    number = F.row_number().over(Window.orderBy(F.desc("count"), "item_id")) + 1
    items = counts.select("item_id", number.alias("item_idx"), "count").cache()
    save(items, output, "items")

    indexed = events.join(items, "item_id")
    event = F.struct((F.col("timestamp") * 1000).alias("timestamp"), "item_idx", F.col("rating").cast("float").alias("rating"))
    users = indexed.groupBy("user_id").agg(F.sort_array(F.collect_list(event)).alias("events")).cache()
    size, all_items = F.size("events"), F.col("events.item_idx")
    seen = F.sort_array(F.array_distinct("items")).alias("seen")
    whole = users.select("user_id", all_items.alias("items"), F.col("events.timestamp").alias("timestamps"))
    save(whole.select("*", seen), output, "sequences")
    for name, back in (("test", 1), ("valid", 2)):
        past, targets = F.slice(all_items, F.lit(1), size - back), F.slice(all_items, size - back + 1, 1)
        save(users.select("user_id", past.alias("items"), targets.alias("targets")).select("*", seen), output, name)
    exploded = users.select("user_id", size.alias("size"), F.posexplode("events").alias("position", "event"))
    from_end = F.col("size") - F.col("position")
    split = F.when(from_end == 1, "test").when(from_end == 2, "valid").otherwise("train")
    save(exploded.select("user_id", "event.*", "position", split.alias("split")), output, "events")
    trained = F.slice(all_items, F.lit(1), size - 2)
    window = F.slice(trained, F.greatest(F.size(trained) - MAX_LEN, F.lit(1)), F.lit(MAX_LEN + 1))
    user = F.xxhash64("user_id").alias("user")
    windows = users.select(window.alias("items"), user).withColumn("length", F.size("items")).where("length > 1")
    save(windows.repartition(16), output, "windows")
    stats = {"in": raw.count(), "usable": usable.count(), "cleaned": distinct.count(), "windows": windows.count()}
    stats |= (
        users.select(size.alias("length"))
        .summary("count", "mean", "min", "25%", "50%", "75%", "90%", "max")
        .collect()[0]
        .asDict()
    )
    before = F.lag("timestamp").over(Window.partitionBy("user_id").orderBy("timestamp"))
    stats["tied"] = distinct.withColumn("before", before).where(F.col("before") == F.col("timestamp")).count()
    (output / "stats.json").write_text(json.dumps(stats))
    for cached in (lists, items, users, events):
        cached.unpersist()


def core(events: DataFrame) -> DataFrame:
    """Filter users and items of fewer than LEAST events until nothing changes."""
    events, before = events.cache(), -1
    while (now := events.count()) != before:
        before = now
        for column in ("user_id", "item_id"):
            kept = events.groupBy(column).count().where(F.col("count") >= LEAST)
            events = events.join(kept.select(column), column)
        events = events.cache()
    return events


def save(table: DataFrame, output: Path, name: str) -> None:
    table.write.mode("overwrite").parquet(f"{output}/{name}")


def _version(data: Path) -> str:
    return versions.resolve(str(data))
