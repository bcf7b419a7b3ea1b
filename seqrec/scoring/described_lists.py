"""Users' lists of candidates joined with features, on Spark: what a ranker's samples are made of, and what it ranks."""

from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql.types import IntegerType, StructField, StructType

from seqrec.errors import UserError
from seqrec.scoring.udf import describe_candidates
from seqrec.serving.candidate_rows import source_features
from seqrec.serving.second_stage_inputs import SecondStageInputs
from seqrec.tables import feature_schemas, io, schemas
from seqrec.tables.datasets import Dataset


@dataclass(frozen=True, kw_only=True)
class DescribedCandidates:
    """A row a candidate, and the features among its columns: those of the user, and those of the item."""

    rows: DataFrame
    user_columns: StructType
    item_columns: StructType


def read_lists(dataset: Dataset, inputs: SecondStageInputs) -> DataFrame:
    """The merged candidates: user_id and items."""
    return io.read_table(dataset.spark, inputs.lists, schemas.candidates(dataset.user, dataset.item))


def count_parts(dataset: Dataset, inputs: SecondStageInputs) -> int:
    """The number of partitions to join the candidates in: at least that of the cores.

    The table alone is asked for its partitions: a plan with joins would compute them to answer.
    """
    return max(dataset.spark.sparkContext.defaultParallelism, read_lists(dataset, inputs).rdd.getNumPartitions())


def with_user_features(lists: DataFrame, inputs: SecondStageInputs) -> DataFrame:
    """Lists (user_id and others) with the features of their users; nulls for a user who isn't in the table users."""
    users = io.open_table(lists.sparkSession, inputs.described("users"))
    return lists.join(users.select("user_id", *inputs.feature_names(users.columns)), "user_id", "left")


def describe(lists: DataFrame, dataset: Dataset, inputs: SecondStageInputs) -> DescribedCandidates:
    """Act (the items' features are read and broadcast): the candidates of lists (user_id, items, others) as rows.

    Rows have all columns of the lists but items, then the features. Raises UserError for two columns of one name.
    """
    spark = dataset.spark
    users = io.open_table(spark, inputs.described("users")).schema
    items = io.open_table(spark, inputs.described("item_features")).schema
    user_columns, item_columns = (
        StructType([table[name] for name in inputs.feature_names(table.names)]) for table in (users, items)
    )
    sources = feature_schemas.described(discrete=(), continuous=source_features(inputs.sources))
    indices = StructType([StructField("item_id", dataset.item, False), StructField("item_idx", IntegerType(), False)])
    described = with_user_features(lists, inputs)
    carried = [described.schema[name] for name in described.columns if name != "items"]
    columns = StructType([*carried, *indices, *item_columns, *sources])
    folded = [name.casefold() for name in columns.names]  # Spark doesn't tell upper from lower case
    repeated = sorted({name for name in columns.names if folded.count(name.casefold()) > 1})
    if repeated:
        raise UserError(
            f"{inputs.features} has features called {', '.join(repeated)}, as other columns of the samples are: give the column "
            "or the source of candidates another name"
        )
    shared = spark.sparkContext.broadcast(inputs.item_features())
    spread = described.repartition(count_parts(dataset, inputs), "user_id")
    rows = describe_candidates(spread, features=lambda: shared.value, sources=inputs.sources, columns=columns)
    return DescribedCandidates(rows=rows, user_columns=user_columns, item_columns=item_columns)
