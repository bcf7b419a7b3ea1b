"""A version of ranker samples: candidates of history=valid with features, labelled by the valid targets. All of it acts."""

import json
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from seqrec.command.bars import working_on
from seqrec.errors import UserError
from seqrec.ranking.ranker_samples import held_out_lists, label_rows
from seqrec.scoring.described_lists import describe, read_lists
from seqrec.serving.candidate_rows import source_features
from seqrec.serving.second_stage_inputs import SecondStageInputs
from seqrec.storage import files
from seqrec.storage.draft import Draft
from seqrec.storage.ranker_metadata import FEATURE_SCHEMA, RankerSamplesMeta, SampleCounts
from seqrec.tables import feature_schemas, io
from seqrec.tables.datasets import Dataset

SAMPLES, HISTORY = "ranker_samples", "valid"


@dataclass(frozen=True, kw_only=True)
class UserSplit:
    """The share of the users whose samples are held out from training, and the seed of the hash that chooses them."""

    valid_share: float
    seed: int


def write_ranker_samples(draft: Draft, dataset: Dataset, inputs: SecondStageInputs, *, split: UserSplit) -> SampleCounts:
    """Write the samples and their feature_schema.json into a version; returns the counts.

    Raises UserError, before anything is written, if candidates or features aren't of the dataset's valid split, if a
    source's ranker learned from it, or if no user would be in train or in valid.
    """
    inputs.require(dataset.meta.run_id, history=HISTORY)
    if (telling := inputs.candidates_meta.telling_source(HISTORY)) is not None:
        raise UserError(
            f"{inputs.candidates}: the ranker of its source {telling} learned which items history={HISTORY} holds out, and its "
            f"scores tell the labels: make the candidates without it (sources.{telling}=null)"
        )
    working_on("finding the held-out items among the candidates")
    lists = held_out_lists(read_lists(dataset, inputs), dataset.held_out(HISTORY)).persist()
    left_out = _count_left_out(lists, inputs, split)
    working_on(f"writing {SAMPLES}")
    described = describe(lists.where("_hit").drop("_hit"), dataset, inputs)
    samples = label_rows(described.rows, valid_share=split.valid_share, seed=split.seed)
    source_columns = feature_schemas.described(discrete=(), continuous=source_features(inputs.sources))
    schema = feature_schemas.ranker_samples(
        dataset.user,
        dataset.item,
        user_columns=described.user_columns,
        item_columns=described.item_columns,
        source_columns=source_columns,
    )
    path = files.join(draft.path, SAMPLES)
    io.write_table(samples, path, schema)
    lists.unpersist()
    counts = _count_rows(io.open_table(dataset.spark, path), left_out)
    _write_schema(inputs, draft.path)
    RankerSamplesMeta(
        run_id=draft.run_id,
        id_types=dataset.meta.id_types,
        dataset=dataset.meta.run_id,
        history=HISTORY,
        candidates=inputs.candidates_meta.run_id,
        features=inputs.features_meta.run_id,
        sources=inputs.candidates_meta.sources,
        counts=counts,
        settings=draft.settings,
    ).write(draft.path)
    return counts


def _count_left_out(lists: DataFrame, inputs: SecondStageInputs, split: UserSplit) -> dict[str, int]:
    """How many users are left out and why; UserError if train or valid has no user."""
    marked = label_rows(
        lists.withColumn("item_idx", F.lit(0)), valid_share=split.valid_share, seed=split.seed
    )  # the split alone counts here
    row = marked.agg(
        F.count("*").alias("users"),
        F.count_if(F.size("items") == 0).alias("without_candidates"),
        F.count_if(~F.col("_hit") & (F.size("items") > 0)).alias("without_target"),
        F.count_if(F.col("_hit") & (F.col("split") == "train")).alias("train"),
        F.count_if(F.col("_hit") & (F.col("split") == "valid")).alias("valid"),
    ).collect()[0]
    kept = f"{row['train'] + row['valid']} of the {row['users']} users have their held-out item among their candidates"
    if not row["train"]:
        raise UserError(
            f"{inputs.candidates}: {kept}, and none is left to train on: raise top_n of build_candidates, add sources, or lower "
            f"valid_share={split.valid_share:g}"
        )
    if not row["valid"]:
        raise UserError(f"valid_share={split.valid_share:g} holds out none of the users ({kept}): raise it, or take another seed")
    return {name: int(row[name]) for name in ("without_candidates", "without_target")}


def _count_rows(samples: DataFrame, left_out: dict[str, int]) -> SampleCounts:
    """The counts of the written samples."""
    row = samples.agg(
        F.count("*").alias("rows"),
        F.sum("label").alias("positives"),
        F.count_if(F.col("item_count").isNull()).alias("items_without_features"),
        F.count_distinct(F.when(F.col("split") == "train", F.col("user_id"))).alias("train_users"),
        F.count_distinct(F.when(F.col("split") == "valid", F.col("user_id"))).alias("valid_users"),
    ).collect()[0]
    return SampleCounts(**{name: int(row[name]) for name in row.asDict()}, **left_out)


def _write_schema(inputs: SecondStageInputs, folder: str) -> None:
    """Write feature_schema.json: that of the features, with the ranks and scores of the sources, without user_id.

    A user is in train or in valid, so valid can't show what is learned of single users.
    """
    content = json.loads(files.read_text(files.join(inputs.features, FEATURE_SCHEMA)))
    continuous = [*inputs.continuous, *source_features(inputs.sources)]
    discrete = [name for name in inputs.discrete if name != "user_id"]
    own = {SAMPLES: {"discrete": discrete, "continuous": continuous}}
    kept = {name: value for name, value in content.items() if not isinstance(value, dict)}
    files.write_text(files.join(folder, FEATURE_SCHEMA), json.dumps({**kept, **own}, indent=2, ensure_ascii=False) + "\n")
