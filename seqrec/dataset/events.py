"""What each cleaned rating is to the dataset: an event or not, its place, its split, its part in the user's history."""

from pyspark.sql import Column, DataFrame, Window, WindowSpec
from pyspark.sql import functions as F

from seqrec.dataset.clean import repeats, user_order
from seqrec.dataset.splits import Split

COLUMNS = ("user_id", "item_id", "item_idx", "rating", "timestamp", "good", "known", "event", "history")
PLACES = ("position", "split", "age", "valid_position", "test_position", "train_length")


def mark(
    ratings: DataFrame, items: DataFrame, *, split: Split, users: int, first_cut: int | None = None, collapse: bool = False
) -> DataFrame:
    """Cleaned ratings with what they are (COLUMNS) and where they stand (PLACES), from items: item_id, item_idx, core.

    known     the vocabulary has its item
    history   it belongs in `sequences`: good and known
    event     it is learned from or held out: good, its item is in the k-core, and so is its user, see `_members`

    Collapse leaves only the first of neighbours with the same item in events and in histories; the k-core counts all of them.
    """
    known = F.col("core").isNotNull()
    flags = {"known": known, "history": F.col("good") & known, "in_core": F.col("good") & F.coalesce(F.col("core"), F.lit(False))}
    flagged = ratings.join(items, "item_id", "left").withColumns(flags)
    flagged = flagged.withColumn("event", F.col("in_core"))
    if collapse:
        in_order = user_order(flagged)
        flagged = flagged.withColumns({name: F.col(name) & ~repeats(name, in_order) for name in ("event", "history")})
    return place(flagged, split=split, users=users, first_cut=first_cut).select(*COLUMNS, *PLACES)


def place(flagged: DataFrame, *, split: Split, users: int, first_cut: int | None) -> DataFrame:
    """Add where a rating stands among its user's events and history, in one pass over the sorted ratings.

    position                        the events before it: of an event its place, from 0
    split                           train, valid or test; null of what is no event
    age                             of a rating in the history: those after it, 0 for the newest
    valid_position, test_position   of the user's first event of that split, null if there is none
    train_length                    the user's training events, which come first
    """
    in_order = user_order(flagged)
    before = in_order.rowsBetween(Window.unboundedPreceding, -1)
    whole = in_order.rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    train, valid = split(F.col("event"), whole)
    counts = {
        "member": _members(whole, users=users, first_cut=first_cut),
        "position": F.count_if("event").over(before).cast("int"),
        "length": F.count_if("event").over(whole).cast("int"),
        "train_length": train.cast("int"),
        "tested": (train + valid).cast("int"),
        "age": (F.count_if("history").over(whole) - F.count_if("history").over(before) - 1).cast("int"),
    }
    counted = flagged.withColumns(counts)
    member, position, length, trained, tested = (
        F.col(name) for name in ("member", "position", "length", "train_length", "tested")
    )
    name = F.when(position < trained, "train").when(position < tested, "valid").otherwise("test")
    return counted.withColumns(
        {
            "event": F.col("event") & member,
            "split": F.when(F.col("event") & member, name),
            "valid_position": F.when(member & (trained < tested), trained),
            "test_position": F.when(member & (tested < length), tested),
            "train_length": F.when(member, trained).otherwise(0),
        }
    )


def _members(whole: WindowSpec, *, users: int, first_cut: int | None) -> Column:
    """Whether the user has events: `users` ratings in the core, as the k-core demands.

    With a first cut (epoch ms) only ratings before it count, and users without a good one before it are members too: the k-core
    never saw them, and they can only be tested on.
    """
    if first_cut is None:
        return F.count_if("in_core").over(whole) >= users
    early = F.col("timestamp") < first_cut
    return (F.count_if(F.col("in_core") & early).over(whole) >= users) | (F.count_if(F.col("good") & early).over(whole) == 0)
