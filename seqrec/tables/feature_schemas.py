"""The data dictionary's tables of features: of users, of items, and of the samples that rankers and towers learn from.

No column is null unless its comment says so.
"""

from collections.abc import Sequence

from pyspark.sql.types import ArrayType, DataType, FloatType, IntegerType, LongType, StringType, StructType

from seqrec.tables.columns import never_null, nullable
from seqrec.tables.schemas import EMBEDDING


def described(*, text: Sequence[str] = (), discrete: Sequence[str], continuous: Sequence[str]) -> StructType:
    """The columns of a table of users or items: text and discrete ones as strings, continuous ones as floats; all may be null."""
    return nullable(**{name: StringType() for name in (*text, *discrete)}, **{name: FloatType() for name in continuous})


def _user_features(item: DataType) -> StructType:
    """Of the user's earlier ratings. Items oldest first; the last item and genre, mean and share are null if there are none.

    user_positive_share is among the ratings with a value; shares of genres are in the order of feature_schema.json, 0 if none.
    """
    return StructType(
        [
            *never_null(recent_items=ArrayType(item, containsNull=False)),
            *nullable(last_item=item, last_genre=StringType()),
            *never_null(user_count=LongType()),
            *nullable(user_mean_rating=FloatType(), user_positive_share=FloatType()),
            *never_null(user_genre_shares=EMBEDDING),
        ]
    )


def _item_genres() -> StructType:
    """The genres of an item as its table lists them, and the first; null for an item that isn't in it."""
    return nullable(genres=ArrayType(StringType(), containsNull=False), genre=StringType())


def _item_counts() -> StructType:
    """Of the item's earlier training ratings; the mean and the share of positive ones are null if there are none."""
    return StructType(
        [*never_null(item_count=LongType()), *nullable(item_mean_rating=FloatType(), item_positive_share=FloatType())]
    )


FEATURE_COLUMNS = {
    *("user_id", "item_id", "rating", "timestamp", "position", "split", "label"),
    *(name for part in (_user_features(LongType()), _item_genres(), _item_counts()) for name in part.fieldNames()),
}


def users(user: DataType, item: DataType, *, columns: StructType) -> StructType:
    """Key user_id: a user's columns, and the features as of the end of the history."""
    return StructType([*never_null(user_id=user), *columns, *_user_features(item)])


def past_items(user: DataType, item: DataType) -> StructType:
    """Key user_id: the distinct items, sorted, of all the user's ratings as of the end of the history; at least one."""
    return never_null(user_id=user, items=ArrayType(item, containsNull=False))


def item_catalogue(item: DataType, *, columns: StructType) -> StructType:
    """Key item_id: all columns of the tables of items."""
    return StructType([*never_null(item_id=item), *columns, *_item_genres()])


def item_features(item: DataType, *, columns: StructType) -> StructType:
    """Key item_id: an item's discrete and continuous columns, and the counts as of the end of the history."""
    return StructType([*never_null(item_id=item), *columns, *_item_genres(), *_item_counts()])


def ranking_samples(user: DataType, item: DataType, *, user_columns: StructType, item_columns: StructType) -> StructType:
    """A cleaned rating a row; no key, a user may rate an item twice. Label 0 or 1; split is train, valid or test.

    Timestamp in epoch ms. Features are as of the rating: see feature_schema.json.
    """
    keys = never_null(
        user_id=user, item_id=item, label=IntegerType(), rating=FloatType(), timestamp=LongType(), split=StringType()
    )
    return StructType([*keys, *user_columns, *_user_features(item), *item_columns, *_item_genres(), *_item_counts()])


def matching_samples(user: DataType, item: DataType, *, user_columns: StructType, item_columns: StructType) -> StructType:
    """Key (user_id, position, item_id): the event at the position with label 1, its negatives with label 0.

    Negatives have the time and the user's features of their event, and the columns of the negative item.
    """
    keys = never_null(
        user_id=user, position=IntegerType(), item_id=item, label=IntegerType(), timestamp=LongType(), split=StringType()
    )
    return StructType([*keys, *user_columns, *_user_features(item), *item_columns, *_item_genres()])


def ranker_samples(
    user: DataType, item: DataType, *, user_columns: StructType, item_columns: StructType, source_columns: StructType
) -> StructType:
    """Key (user_id, item_id): a candidate a row, label 1 if it is what was held out. Split is train or valid, a user in one.

    Features are those of users and item_features. rank_SOURCE (from 1) and score_SOURCE are null where the source doesn't propose
    the item; SOURCE is also `merged`, for the merged lists.
    """
    keys = never_null(user_id=user, item_id=item, label=IntegerType(), split=StringType())
    return StructType([*keys, *user_columns, *item_columns, *source_columns])
