"""What each cleaned rating is to the dataset: an event or not, its place, its split, its part in the user's history."""

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from seqrec.dataset.clean import repeats, user_order
from seqrec.dataset.splits import Split


def mark(
    ratings: DataFrame, items: DataFrame, *, split: Split, users: int, first_cut: int | None = None, collapse: bool = False
) -> DataFrame:
    """Cleaned ratings with item_idx and all that `enroll` and `place` add.

    Collapse leaves only the first of neighbours with the same item in events and in histories.
    """
    enrolled = enroll(ratings, items, users=users, first_cut=first_cut)
    if collapse:
        in_order = user_order(enrolled)
        once = {name: F.col(name) & ~repeats(name, in_order) for name in ("event", "history")}
        enrolled = enrolled.withColumns(once)
    return place(enrolled, split=split)


def enroll(ratings: DataFrame, items: DataFrame, *, users: int, first_cut: int | None = None) -> DataFrame:
    """Add what a rating is, from the items (item_id, item_idx, core: whether it is in the k-core).

    known     the vocabulary has its item
    history   it belongs in `sequences`: good and known
    event     it is learned from or held out: good, its item is in the core, and so is its user, who has `users` such ratings.
              With a first cut (epoch ms) only those before it count, and users without a good rating before it are in too:
              the k-core never saw them, and they can only be tested on
    """
    whole = Window.partitionBy("user_id")
    core, good = F.col("good") & F.coalesce(F.col("core"), F.lit(False)), F.col("good")
    event = core
    if first_cut is None and users > 1:
        event = core & (F.count_if(core).over(whole) >= users)
    elif first_cut is not None:
        early = F.col("timestamp") < first_cut
        event = core & ((F.count_if(core & early).over(whole) >= users) | (F.count_if(good & early).over(whole) == 0))
    known = F.col("core").isNotNull()
    return ratings.join(items, "item_id", "left").withColumns({"known": known, "history": good & known, "event": event})


def place(enrolled: DataFrame, *, split: Split) -> DataFrame:
    """Add where a rating stands among its user's events and history.

    position                        the events before it: of an event its place, from 0
    split                           train, valid or test; null of what is no event
    age                             the history after it: 0 for the newest
    valid_position, test_position   of the user's first event of that split, null if there is none
    train_length                    the user's training events, which come first
    """
    in_order = user_order(enrolled)
    before = in_order.rowsBetween(Window.unboundedPreceding, -1)
    after = in_order.rowsBetween(1, Window.unboundedFollowing)
    whole = in_order.rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    counted = enrolled.withColumns(
        {
            "position": F.count_if("event").over(before).cast("int"),
            "length": F.count_if("event").over(whole),
            "age": F.count_if("history").over(after).cast("int"),
        }
    )
    named = counted.withColumn("split", F.when(F.col("event"), split(F.col("position"), F.col("length"))))
    first_of = {
        f"{name}_position": F.min(F.when(F.col("split") == name, F.col("position"))).over(whole) for name in ("valid", "test")
    }
    train_length = F.count_if(F.col("split") == "train").over(whole).cast("int")
    ratings = ("user_id", "item_id", "item_idx", "rating", "timestamp", "good", "known", "event", "history")
    places = ("position", "split", "age", *first_of, "train_length")
    return named.withColumns({**first_of, "train_length": train_length}).select(*ratings, *places)
