"""Segments of users, such as countries: which one a user is in, which items are popular there, and users without any rating."""

import logging
from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from seqrec.catalogue.user_segments import COLUMN, KEY, read_user_segments
from seqrec.errors import UserError
from seqrec.serving.segment_popularity import SegmentPopularity
from seqrec.tables.datasets import Dataset

log = logging.getLogger("seqrec")

MOST_ITEMS = 10_000  # of a segment, whose lists all are shorter; the others follow by their overall number of events
SEGMENT = "segment"


@dataclass(frozen=True, kw_only=True)
class SegmentFile:
    """A file of users, the column of their segments, and that of their ids (None: found by its name)."""

    path: str
    column: str
    key: str | None = None


def open_segments(dataset: Dataset, file: SegmentFile) -> DataFrame:
    """Act: a table of user_id and segment, which a line of the log describes, a warning if most users have no rating.

    Raises UserError as `read_user_segments` does, and if none of the users is one of the dataset's.
    """
    kind = pa.int64() if dataset.meta.id_types.user == "bigint" else pa.string()
    segments = read_user_segments(file.path, file.column, kind=kind, key=file.key)
    users = dataset.spark.createDataFrame(pa.table({"user_id": segments.users, SEGMENT: segments.names}))
    rated = users.join(dataset.sequences, "user_id", "left_semi").count()
    if not rated:
        some = [row["user_id"] for row in dataset.sequences.select("user_id").orderBy("user_id").limit(3).collect()]
        shown, others = (", ".join(map(repr, ids)) for ids in (segments.users[:3].to_pylist(), some))
        raise UserError(f"{file.path}: its ids ({shown}, …) are none of the dataset's users ({others}, …): set {KEY}")
    most = 2 * rated >= len(segments.users)
    words = f"popular lists by {segments.words}; {rated:,} of them have ratings in the dataset"
    log.log(logging.INFO if most else logging.WARNING, "%s", words)
    return users


def count_by_segment(dataset: Dataset, users: DataFrame) -> SegmentPopularity:
    """Act: the training events of each segment's most popular items, of users (user_id, segment) with a segment.

    Raises UserError if none of these users has a training event.
    """
    trained = dataset.events.where(F.col("split") == "train").join(users.where(F.col(SEGMENT).isNotNull()), "user_id")
    counted = trained.groupBy(SEGMENT, "item_idx").agg(F.count("*").alias("events"))
    place = F.row_number().over(Window.partitionBy(SEGMENT).orderBy(F.desc("events"), "item_idx"))
    rows = counted.withColumn("place", place).where(F.col("place") <= MOST_ITEMS).orderBy(SEGMENT, "place").toArrow()
    names, first = rows[SEGMENT].to_pylist(), dict[str, int]()
    if not names:
        raise UserError(f"no user with a segment has a training event: {COLUMN} has no effect; leave it out, or give all users")
    for row, name in enumerate(names):
        first.setdefault(name, row)
    ends = [*list(first.values())[1:], len(names)]
    items, counts = rows["item_idx"].to_numpy().astype("int64"), rows["events"].to_numpy()
    cut = {name: slice(start, end) for (name, start), end in zip(first.items(), ends, strict=True)}
    return SegmentPopularity(
        {name: items[part] for name, part in cut.items()}, {name: counts[part] for name, part in cut.items()}
    )
