"""The data dictionary: one schema per table. Ids are bigint or string, so their type is a parameter.

No column is null unless its comment says so.
"""

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
from seqrec.tables.columns import never_null, nullable

IDS: dict[str, DataType] = {"bigint": LongType(), "string": StringType()}
ITEM_INDICES = ArrayType(IntegerType(), containsNull=False)
EMBEDDING = ArrayType(FloatType(), containsNull=False)


def _scored(item_type: DataType) -> ArrayType:
    """An array of items and their scores."""
    return ArrayType(never_null(item_id=item_type, score=FloatType()), containsNull=False)


def items(item: DataType) -> StructType:
    """Keys item_id and item_idx (2 to V+1, by count descending, then item_id; new items of an extension come last).

    count is the number of training events.
    """
    return never_null(item_id=item, item_idx=IntegerType(), count=LongType())


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
    return never_null(user_id=user, items=ITEM_INDICES, timestamps=ArrayType(LongType(), containsNull=False), seen=ITEM_INDICES)


def windows() -> StructType:
    """No key. Items oldest first, length (2 to max_len + 1) of them, user is xxhash64 of the user's id.

    One row group a file, files of near-equal rows.
    """
    return never_null(items=ITEM_INDICES, length=IntegerType(), user=LongType())


def preferences() -> StructType:
    """No key. After the context a user took `chosen` and not `rejected`: training events, the newest max_len, oldest first.

    Source is scored, neighbours or low_rated; user is xxhash64 of the user's id. One row group a file.
    """
    return never_null(context=ITEM_INDICES, chosen=IntegerType(), rejected=IntegerType(), source=StringType(), user=LongType())


def held_out(user: DataType) -> StructType:
    """Key user_id: tables valid and test. Items are the input, oldest first; seen has all before the first target, sorted.

    Targets are item indices, distinct, in the order of their first events; no user is without one.
    """
    return never_null(user_id=user, items=ITEM_INDICES, seen=ITEM_INDICES, targets=ITEM_INDICES)


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
    further = nullable(model_score=FloatType()) if reranked else nullable()
    reasons = never_null(because=_scored(item)) if explained else never_null()
    entry = StructType([*never_null(item_id=item, score=FloatType()), *further, *reasons])
    return never_null(
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
    return never_null(user_id=user, embedding=EMBEDDING, model=StringType(), run_id=StringType())


def item_embeddings(item: DataType) -> StructType:
    """Key item_id: the row of the item matrix, what a query is multiplied with.

    Items that two towers over features know by these alone have an item_idx after the dataset's.
    """
    return never_null(item_id=item, item_idx=IntegerType(), embedding=EMBEDDING)


def enriched_items(item: DataType) -> StructType:
    """Key item_id, in the order of the items' file: what sources say of an item.

    The title is that of the items' file, else a source's. Beside each other column stands the source that it is from. `creators`
    are directors, authors or developers; `url` is the page of the article or of the game.
    """
    texts = ArrayType(StringType(), containsNull=False)
    kinds = {
        "summary": StringType(),
        "genres": texts,
        "year": IntegerType(),
        "creators": texts,
        "keywords": texts,
        "url": StringType(),
    }
    columns = nullable(title=StringType())
    for name, kind in kinds.items():
        columns = StructType([*columns, *nullable(**{name: kind, f"{name}_source": StringType()})])
    return StructType([*never_null(item_id=item), *columns])


def item_vectors(item: DataType) -> StructType:
    """Key item_id: the vector of an item's text, of length 1. Items without a text, or without a known word, have no row."""
    return never_null(item_id=item, embedding=EMBEDDING)


def item_terms() -> StructType:
    """Key term: its inverse document frequency, and its coordinates in the directions of the vectors (see `texts.terms`)."""
    return never_null(term=StringType(), idf=FloatType(), direction=EMBEDDING)


def similar_items(item: DataType) -> StructType:
    """Key item_id. Other items, best first, ties by item_id; items without any have no row."""
    return never_null(item_id=item, items=_scored(item))


def candidate_lists(user: DataType, item: DataType) -> StructType:
    """Key (user_id, source): what a source alone proposes. Items best first, ties by item_idx; users without any have no row."""
    return never_null(user_id=user, source=StringType(), items=ArrayType(never_null(**_candidate(item)), containsNull=False))


def candidates(user: DataType, item: DataType) -> StructType:
    """Key user_id. Items best first, ties by item_idx; sources are the lists that have an item, its rank (from 1) and score."""
    sources = ArrayType(never_null(name=StringType(), rank=IntegerType(), score=FloatType()), containsNull=False)
    return never_null(user_id=user, items=ArrayType(never_null(**_candidate(item), sources=sources), containsNull=False))


def _candidate(item: DataType) -> dict[str, DataType]:
    """The columns of an item in a list of candidates."""
    return {"item_id": item, "item_idx": IntegerType(), "score": FloatType()}


def predictions(user: DataType, item: DataType) -> StructType:
    """Key user_id: what evaluate saves. Ranks, of the targets, count from 1, and 0 is a miss; items are best first."""
    ids, ranks = ArrayType(item, containsNull=False), ArrayType(LongType(), containsNull=False)
    return never_null(user_id=user, targets=ids, ranks=ranks, items=_scored(item))


def importances() -> StructType:
    """Key feature, the most important first: its share of all importance, and the splits by it of a model of trees, else null."""
    return StructType([*never_null(feature=StringType(), share=FloatType()), *nullable(splits=LongType())])
