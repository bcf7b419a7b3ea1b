"""The data dictionary: one schema per table. Ids are bigint or string, so their type is a parameter.

No column is null unless its comment says so.
"""

from collections.abc import Sequence

from pyspark.sql.types import (
    ArrayType,
    DataType,
    FloatType,
    IntegerType,
    LongType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from seqrec.indices import FIRST_ITEM as FIRST_ITEM
from seqrec.indices import MASK as MASK
from seqrec.indices import PADDING as PADDING

IDS: dict[str, DataType] = {"bigint": LongType(), "string": StringType()}
ITEM_INDICES = ArrayType(IntegerType(), containsNull=False)
EMBEDDING = ArrayType(FloatType(), containsNull=False)


def _table(**columns: DataType) -> StructType:
    """A schema of columns that are never null."""
    return StructType([StructField(name, kind, nullable=False) for name, kind in columns.items()])


def _nullable(**columns: DataType) -> StructType:
    """A schema of columns that may be null."""
    return StructType([StructField(name, kind) for name, kind in columns.items()])


def _scored(item_type: DataType) -> ArrayType:
    """An array of items and their scores."""
    return ArrayType(_table(item_id=item_type, score=FloatType()), containsNull=False)


def items(item: DataType) -> StructType:
    """Keys item_id and item_idx (2 to V+1, by count descending, then item_id; new items of an extension come last).

    count is the number of training events.
    """
    return _table(item_id=item, item_idx=IntegerType(), count=LongType())


def events(user: DataType) -> StructType:
    """Key (user_id, position). Timestamp in epoch ms, position from 0; split is train, valid or test; rating may be null."""
    return StructType(
        [
            StructField("user_id", user, nullable=False),
            StructField("item_idx", IntegerType(), nullable=False),
            StructField("rating", FloatType(), nullable=True),
            StructField("timestamp", LongType(), nullable=False),
            StructField("position", IntegerType(), nullable=False),
            StructField("split", StringType(), nullable=False),
        ]
    )


def sequences(user: DataType) -> StructType:
    """Key user_id. Items oldest first, the newest max_history; timestamps beside them; seen is distinct, sorted, unbounded."""
    return _table(user_id=user, items=ITEM_INDICES, timestamps=ArrayType(LongType(), containsNull=False), seen=ITEM_INDICES)


def windows() -> StructType:
    """No key. Items oldest first, length (2 to max_len + 1) of them, user is xxhash64 of the user's id.

    One row group a file, files of near-equal rows.
    """
    return _table(items=ITEM_INDICES, length=IntegerType(), user=LongType())


def preferences() -> StructType:
    """No key. After the context a user took `chosen` and not `rejected`: training events, the newest max_len, oldest first.

    Source is scored, neighbours or low_rated; user is xxhash64 of the user's id. One row group a file.
    """
    return _table(context=ITEM_INDICES, chosen=IntegerType(), rejected=IntegerType(), source=StringType(), user=LongType())


def held_out(user: DataType) -> StructType:
    """Key user_id: tables valid and test. Items are the input, oldest first; seen has all before the first target, sorted.

    Targets are item indices, distinct, in the order of their first events; no user is without one.
    """
    return _table(user_id=user, items=ITEM_INDICES, seen=ITEM_INDICES, targets=ITEM_INDICES)


def recommendations(
    user: DataType, item: DataType, *, horizon: bool = False, reranked: bool = False, explained: bool = False
) -> StructType:
    """Key user_id. Items best first, ties by item_idx; source is ranker, model or popular, or none if the user has had all.

    `model` names what made the list. With batch_recommend's `rerank` alone, items have model_score beside the score that orders
    them, null for an item that fills up a list; with its `explain` alone `because`: the items of the user's history that speak
    most for the item, best first, and how much; maybe none. With its `horizon` alone, there is next_items, in the order in which
    they come, each after those before it.
    """
    following = {"next_items": _scored(item)} if horizon else {}
    further = _nullable(model_score=FloatType()) if reranked else _nullable()
    reasons = _table(because=_scored(item)) if explained else _table()
    entry = StructType([*_table(item_id=item, score=FloatType()), *further, *reasons])
    return _table(
        user_id=user,
        items=ArrayType(entry, containsNull=False),
        **following,
        source=StringType(),
        model=StringType(),
        run_id=StringType(),
        generated_at=TimestampType(),
    )


def user_embeddings(user: DataType) -> StructType:
    """Key user_id: the query vector of a user's history, or of the user's features (train_two_tower towers=features).

    Users without any item of the model's vocabulary have no row, but those with features have one.
    """
    return _table(user_id=user, embedding=EMBEDDING, model=StringType(), run_id=StringType())


def item_embeddings(item: DataType) -> StructType:
    """Key item_id: the row of the item matrix, what a query is multiplied with.

    Items that two towers over features know by these alone have an item_idx after the dataset's.
    """
    return _table(item_id=item, item_idx=IntegerType(), embedding=EMBEDDING)


def item_vectors(item: DataType) -> StructType:
    """Key item_id: the vector of an item's text, of length 1. Items without a text, or without a known word, have no row."""
    return _table(item_id=item, embedding=EMBEDDING)


def item_terms() -> StructType:
    """Key term: its inverse document frequency, and its coordinates in the directions of the vectors (see `texts.terms`)."""
    return _table(term=StringType(), idf=FloatType(), direction=EMBEDDING)


def similar_items(item: DataType) -> StructType:
    """Key item_id. Other items, best first, ties by item_id; items without any have no row."""
    return _table(item_id=item, items=_scored(item))


def candidate_lists(user: DataType, item: DataType) -> StructType:
    """Key (user_id, source): what a source alone proposes. Items best first, ties by item_idx; users without any have no row."""
    return _table(user_id=user, source=StringType(), items=ArrayType(_table(**_candidate(item)), containsNull=False))


def candidates(user: DataType, item: DataType) -> StructType:
    """Key user_id. Items best first, ties by item_idx; sources are the lists that have an item, its rank (from 1) and score."""
    sources = ArrayType(_table(name=StringType(), rank=IntegerType(), score=FloatType()), containsNull=False)
    return _table(user_id=user, items=ArrayType(_table(**_candidate(item), sources=sources), containsNull=False))


def _candidate(item: DataType) -> dict[str, DataType]:
    """The columns of an item in a list of candidates."""
    return {"item_id": item, "item_idx": IntegerType(), "score": FloatType()}


def predictions(user: DataType, item: DataType) -> StructType:
    """Key user_id: what evaluate saves. Ranks, of the targets, count from 1, and 0 is a miss; items are best first."""
    ids, ranks = ArrayType(item, containsNull=False), ArrayType(LongType(), containsNull=False)
    return _table(user_id=user, targets=ids, ranks=ranks, items=_scored(item))


def described(*, text: Sequence[str] = (), discrete: Sequence[str], continuous: Sequence[str]) -> StructType:
    """The columns of a table of users or items: text and discrete ones as strings, continuous ones as floats; all may be null."""
    return _nullable(**{name: StringType() for name in (*text, *discrete)}, **{name: FloatType() for name in continuous})


def _user_features(item: DataType) -> StructType:
    """Of the user's earlier ratings. Items oldest first; the last item and genre, mean and share are null if there are none.

    user_positive_share is among the ratings with a value; shares of genres are in the order of feature_schema.json, 0 if none.
    """
    return StructType(
        [
            *_table(recent_items=ArrayType(item, containsNull=False)),
            *_nullable(last_item=item, last_genre=StringType()),
            *_table(user_count=LongType()),
            *_nullable(user_mean_rating=FloatType(), user_positive_share=FloatType()),
            *_table(user_genre_shares=EMBEDDING),
        ]
    )


def _item_genres() -> StructType:
    """The genres of an item as its table lists them, and the first; null for an item that isn't in it."""
    return _nullable(genres=ArrayType(StringType(), containsNull=False), genre=StringType())


def _item_counts() -> StructType:
    """Of the item's earlier training ratings; the mean and the share of positive ones are null if there are none."""
    return StructType([*_table(item_count=LongType()), *_nullable(item_mean_rating=FloatType(), item_positive_share=FloatType())])


FEATURE_COLUMNS = {
    *("user_id", "item_id", "rating", "timestamp", "position", "split", "label"),
    *(name for part in (_user_features(LongType()), _item_genres(), _item_counts()) for name in part.fieldNames()),
}


def users(user: DataType, item: DataType, *, columns: StructType) -> StructType:
    """Key user_id: a user's columns, and the features as of the end of the history."""
    return StructType([*_table(user_id=user), *columns, *_user_features(item)])


def past_items(user: DataType, item: DataType) -> StructType:
    """Key user_id: the distinct items, sorted, of all the user's ratings as of the end of the history; at least one."""
    return _table(user_id=user, items=ArrayType(item, containsNull=False))


def item_catalogue(item: DataType, *, columns: StructType) -> StructType:
    """Key item_id: all columns of the tables of items."""
    return StructType([*_table(item_id=item), *columns, *_item_genres()])


def item_features(item: DataType, *, columns: StructType) -> StructType:
    """Key item_id: an item's discrete and continuous columns, and the counts as of the end of the history."""
    return StructType([*_table(item_id=item), *columns, *_item_genres(), *_item_counts()])


def ranking_samples(user: DataType, item: DataType, *, user_columns: StructType, item_columns: StructType) -> StructType:
    """A cleaned rating a row; no key, a user may rate an item twice. Label 0 or 1; split is train, valid or test.

    Timestamp in epoch ms. Features are as of the rating: see feature_schema.json.
    """
    keys = _table(user_id=user, item_id=item, label=IntegerType(), rating=FloatType(), timestamp=LongType(), split=StringType())
    return StructType([*keys, *user_columns, *_user_features(item), *item_columns, *_item_genres(), *_item_counts()])


def importances() -> StructType:
    """Key feature, the most important first: its share of all importance, and the splits by it of a model of trees, else null."""
    return StructType([*_table(feature=StringType(), share=FloatType()), *_nullable(splits=LongType())])


def matching_samples(user: DataType, item: DataType, *, user_columns: StructType, item_columns: StructType) -> StructType:
    """Key (user_id, position, item_id): the event at the position with label 1, its negatives with label 0.

    Negatives have the time and the user's features of their event, and the columns of the negative item.
    """
    keys = _table(
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
    keys = _table(user_id=user, item_id=item, label=IntegerType(), split=StringType())
    return StructType([*keys, *user_columns, *item_columns, *source_columns])
