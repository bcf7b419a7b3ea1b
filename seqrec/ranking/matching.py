"""Matching samples: the events of the dataset as positives, and negatives drawn by popularity."""

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from seqrec.errors import UserError
from seqrec.ranking.spread import earlier_sums

SCALE = 10_000  # of the weights, which are whole numbers, so that sums don't depend on their order
BLOCK = 2**16  # items whose weights one task sums up


def tickets(items: DataFrame, *, power: float) -> DataFrame:
    """item_id, and the tickets that draw it: from `first` to before `end`, as many as count^power, times SCALE.

    Items (item_id, item_idx, count) in the order of item_idx; one without a training event has none.
    """
    weight = F.round(F.pow(F.col("count").cast("double"), power) * SCALE).cast("bigint")
    weighted = items.where("count > 0").select("item_id", "item_idx", weight.alias("weight"))
    blocked = weighted.withColumn("block", F.floor(F.col("item_idx") / BLOCK)).withColumn("size", F.col("weight"))
    summed = earlier_sums(blocked, group=[], block="block", order="item_idx", values=["weight"])
    first = F.col("earlier_weight")
    return summed.select("item_id", first.alias("first"), (first + F.col("size")).alias("end"))


def draw_negatives(
    positives: DataFrame, tickets: DataFrame, *, count: int, redraws: int, seed: int, columns: Sequence[str] = ()
) -> DataFrame:
    """Act (two numbers): user_id, position, item_id and the tickets' `columns` of negatives; positives have the first three.

    A positive draws count + redraws times, with a seeded hash of its user, its position and the number of the draw. Draws of an
    item that is among the user's positives, or that an earlier draw took, are dropped; the first `count` of the others are its
    negatives. So a positive has fewer, or none, where too many are dropped: of a user who has had most of what is popular.

    A draw finds its item by joining on a slot, an equal range of tickets, with the items that reach into it: popular items are
    in many slots, so none takes a great share of a task. As many slots as items: a slot has about two.
    """
    found = tickets.agg(F.max("end").alias("end"), F.count(F.lit(1)).alias("items")).collect()[0]
    if not found["items"]:
        raise UserError(
            "no item has a training event, so there are no negatives to draw: set negatives.count=0, or build another dataset"
        )
    width = -(-int(found["end"]) // int(found["items"]))
    reach = F.sequence(F.floor(F.col("first") / width), F.floor((F.col("end") - 1) / width))
    slots = tickets.select("item_id", *columns, "first", "end", F.explode(reach).alias("slot"))
    draw = F.explode(F.sequence(F.lit(0), F.lit(count + redraws - 1))).alias("draw")
    hashed = F.xxhash64(F.lit(seed), F.lit("negatives"), "user_id", "position", "draw")
    draws = positives.select("user_id", "position", draw).withColumn("ticket", F.pmod(hashed, F.lit(found["end"])))
    drawn = draws.withColumn("slot", F.floor(F.col("ticket") / width)).join(slots, "slot")
    hits = drawn.where((F.col("first") <= F.col("ticket")) & (F.col("ticket") < F.col("end")))
    had = positives.select("user_id", "item_id").distinct()
    others = hits.join(had, ["user_id", "item_id"], "left_anti")
    once = others.groupBy("user_id", "position", "item_id", *columns).agg(F.min("draw").alias("draw"))
    chosen = once.groupBy("user_id", "position").agg(
        F.sort_array(F.collect_list(F.struct("draw", "item_id", *columns))).alias("list")
    )
    one = chosen.select("user_id", "position", F.explode(F.slice("list", 1, count)).alias("one"))
    return one.select("user_id", "position", *(F.col(f"one.{name}").alias(name) for name in ("item_id", *columns)))


def matching_samples(
    features: DataFrame, tickets: DataFrame, *, count: int, redraws: int, seed: int, of_items: Sequence[str]
) -> DataFrame:
    """Act: the events among the rated `features` with label 1, and negatives of those of the training with label 0.

    Held-out events have none: they are ranked in the whole catalogue. Tickets have the columns of_items, as features do.
    """
    positives = features.where(F.col("position").isNotNull() & F.col("split").isNotNull()).withColumn("label", F.lit(1))
    if not count:
        return positives
    trained = positives.where(F.col("split") == "train")
    asked = trained.select("user_id", "position", "item_id")
    negatives = draw_negatives(asked, tickets, count=count, redraws=redraws, seed=seed, columns=of_items)
    of_event = trained.drop("item_id", "label", *of_items)
    labelled = negatives.join(of_event, ["user_id", "position"]).withColumn("label", F.lit(0))
    return positives.unionByName(labelled)
