"""Matching samples: the events of the dataset as positives, and negatives drawn by popularity."""

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from seqrec.errors import UserError
from seqrec.ranking.skew import earlier_sums
from seqrec.tables.exact_sums import to_nearest_units

TICKETS = 10_000  # of an item with one training event
BLOCK = 2**16  # items whose tickets one task sums up


@dataclass(frozen=True, kw_only=True)
class NegativeDrawing:
    """How negatives are drawn.

    count     negatives for a positive
    redraws   further draws for a positive, in place of those that are the user's positives or repeat
    power     exponent of an item's count of training events in its chance to be drawn
    seed      of the draws
    """

    count: int
    redraws: int
    power: float
    seed: int


def tickets(items: DataFrame, *, power: float) -> DataFrame:
    """item_id, and the tickets that draw it: from `first` to before `end`, in number TICKETS * count^power.

    Items (item_id, item_idx, count) are in the order of item_idx; one without a training event has no ticket.
    """
    weight = to_nearest_units(F.pow(F.col("count").cast("double"), power), TICKETS)
    weighted = items.where("count > 0").select("item_id", "item_idx", weight.alias("weight"))
    blocked = weighted.withColumn("block", F.floor(F.col("item_idx") / BLOCK)).withColumn("size", F.col("weight"))
    summed = earlier_sums(blocked, group=[], block="block", order="item_idx", values=["weight"])
    first = F.col("earlier_weight")
    return summed.select("item_id", first.alias("first"), (first + F.col("size")).alias("end"))


def draw_negatives(
    positives: DataFrame, tickets: DataFrame, drawing: NegativeDrawing, *, columns: Sequence[str] = ()
) -> DataFrame:
    """Act (two numbers): user_id, position, item_id and the tickets' `columns` of negatives; positives have the first three.

    A positive draws count + redraws times, with a seeded hash of its user, its position and the number of the draw. Draws of an
    item that is among the user's positives, or that an earlier draw took, are dropped; the first `count` of the others are its
    negatives. So a positive has fewer, or none, where too many draws are dropped, as of a user who has rated most popular items.

    A draw finds its item by a join on slots, equal ranges of tickets: the slot of the draw's ticket, and the slots that an item's
    tickets reach into. A popular item is in many slots, so it takes no great share of a task. There are as many slots as items,
    so that a slot has about two of them.
    """
    end, number = tickets.agg(F.max("end"), F.count(F.lit(1))).collect()[0]
    if not number:
        raise UserError(
            "no item has a training event, so there are no negatives to draw: set negatives.count=0, or build another dataset"
        )
    width = -(-int(end) // int(number))
    reach = F.sequence(F.floor(F.col("first") / width), F.floor((F.col("end") - 1) / width))
    slots = tickets.select("item_id", *columns, "first", "end", F.explode(reach).alias("slot"))
    draw = F.explode(F.sequence(F.lit(0), F.lit(drawing.count + drawing.redraws - 1))).alias("draw")
    hashed = F.xxhash64(F.lit(drawing.seed), F.lit("negatives"), "user_id", "position", "draw")
    draws = positives.select("user_id", "position", draw).withColumn("ticket", F.pmod(hashed, F.lit(end)))
    drawn = draws.withColumn("slot", F.floor(F.col("ticket") / width)).join(slots, "slot")
    hits = drawn.where((F.col("first") <= F.col("ticket")) & (F.col("ticket") < F.col("end")))
    own_positives = positives.select("user_id", "item_id").distinct()
    negatives = hits.join(own_positives, ["user_id", "item_id"], "left_anti")
    distinct = negatives.groupBy("user_id", "position", "item_id", *columns).agg(F.min("draw").alias("draw"))
    listed = distinct.groupBy("user_id", "position").agg(
        F.sort_array(F.collect_list(F.struct("draw", "item_id", *columns))).alias("negatives")
    )
    exploded = listed.select("user_id", "position", F.explode(F.slice("negatives", 1, drawing.count)).alias("negative"))
    return exploded.select("user_id", "position", *(F.col(f"negative.{name}").alias(name) for name in ("item_id", *columns)))


def matching_samples(
    features: DataFrame, tickets: DataFrame, drawing: NegativeDrawing, *, item_columns: Sequence[str]
) -> DataFrame:
    """Act: the events among the rated `features` with label 1, and negatives of the training events with label 0.

    Held-out events have no negatives: they are ranked in the whole catalogue. Both tables have the item_columns.
    """
    positives = features.where(F.col("position").isNotNull() & F.col("split").isNotNull()).withColumn("label", F.lit(1))
    if not drawing.count:
        return positives
    trained = positives.where(F.col("split") == "train")
    drawn_for = trained.select("user_id", "position", "item_id")
    negatives = draw_negatives(drawn_for, tickets, drawing, columns=item_columns)
    event_columns = trained.drop("item_id", "label", *item_columns)
    labelled = negatives.join(event_columns, ["user_id", "position"]).withColumn("label", F.lit(0))
    return positives.unionByName(labelled)
