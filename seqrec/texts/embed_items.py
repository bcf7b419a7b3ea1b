"""Texts of items into a version of item_vectors: by a sentence model, or by words alone. All of it acts."""

import logging
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from seqrec.command.bars import working_on
from seqrec.errors import UserError
from seqrec.storage import files, versions
from seqrec.storage.metadata import IdType, ItemVectorsMeta
from seqrec.tables import io, schemas
from seqrec.texts.sentence_files import hash_model, sentence_files
from seqrec.texts.sentences import SentenceModel
from seqrec.texts.terms import TermBasis, fit_terms
from seqrec.texts.text_udf import Encode, embed_column, ship_sentences

log = logging.getLogger("seqrec")

VECTORS, TERMS = "item_vectors", "item_terms"
MOST_FITTED = 200_000  # texts that a basis of words is fitted to; they are in the driver's memory
TEXTS_PER_TASK = 5_000


@dataclass(frozen=True, kw_only=True)
class TermSettings:
    """How a basis of words is fitted: directions, words, seed; or the folder of vectors whose basis is taken."""

    dimension: int
    most_terms: int
    seed: int
    basis: str | None = None


@dataclass(frozen=True, kw_only=True)
class Embedded:
    """What was written: the method, its hash, the vectors' dimension, and how many items have one or no known word."""

    method: Literal["sentences", "terms"]
    sha256: str
    dimension: int
    vectors: int
    unknown: int


def write_sentence_vectors(texts: DataFrame, path: str, *, id_type: IdType, model: str, file: str | None) -> Embedded:
    """Write item_vectors of texts (item_id, text) into a version, by a sentence model (see `sentence_files`)."""
    with sentence_files(model, file=file) as found:
        digest, dimension = hash_model(found), SentenceModel(found).encode(["text"]).shape[1]
        shipped = ship_sentences(texts.sparkSession, found, digest=digest)
        written = _write(texts, path, id_type=id_type, encode=shipped.encode)
    return Embedded(method="sentences", sha256=digest, dimension=dimension, vectors=written, unknown=0)


def write_term_vectors(texts: DataFrame, path: str, *, id_type: IdType, settings: TermSettings) -> Embedded:
    """Write item_vectors of texts (item_id, text) into a version, by TF-IDF and a truncated SVD, and the basis, item_terms.

    Raises UserError if no word occurs in two texts, or if the basis asked for isn't one.
    """
    spark = texts.sparkSession
    fitted = settings.basis is None
    basis = _fit(texts, settings) if settings.basis is None else read_basis(spark, settings.basis)
    dimension = basis.directions.shape[1]
    if fitted and dimension < settings.dimension:
        log.warning("the texts and their words have %d directions alone, dimension asks for %d", dimension, settings.dimension)
    written = _write(texts, path, id_type=id_type, encode=basis.encode)
    _write_basis(spark, basis, path)
    unknown = texts.where(F.col("text").isNotNull()).count() - written
    return Embedded(method="terms", sha256=basis.sha256(), dimension=dimension, vectors=written, unknown=unknown)


def read_basis(spark: SparkSession, folder: str) -> TermBasis:
    """Act: the basis in a version of item_vectors; UserError if they are a sentence model's."""
    path = versions.resolve(folder)
    meta = ItemVectorsMeta.read(path)
    if meta.method != "terms":
        raise UserError(f"basis={folder} has vectors of the sentence model {meta.model}: set model={meta.model}, and basis=null")
    table = io.read_table(spark, files.join(path, TERMS), schemas.item_terms()).orderBy("term").toPandas()
    return TermBasis(
        terms=tuple(table["term"]),
        idf=table["idf"].to_numpy(np.float32),
        directions=np.stack(table["direction"].to_list()).astype(np.float32),
    )


def _fit(texts: DataFrame, settings: TermSettings) -> TermBasis:
    """Act: the basis of the distinct texts, or of MOST_FITTED of them whose hashes are lowest."""
    working_on("finding the directions of the texts")
    distinct = texts.where(F.col("text").isNotNull()).select("text").distinct()
    chosen = distinct.orderBy(F.xxhash64(F.lit(settings.seed), "text"), "text").limit(MOST_FITTED)
    rows = [row["text"] for row in chosen.collect()]
    basis = fit_terms(rows, dimension=settings.dimension, most_terms=settings.most_terms, seed=settings.seed)
    if not basis.directions.shape[1]:
        raise UserError(f"no word occurs in two of the {len(rows):,} texts: take more columns into template, or set model=minilm")
    return basis


def _write(texts: DataFrame, path: str, *, id_type: IdType, encode: Encode) -> int:
    """Act: write the vectors, and count them; texts whose vector is zero get none."""
    working_on("embedding the texts")
    spark, there = texts.sparkSession, texts.where(F.col("text").isNotNull())
    parts = max(spark.sparkContext.defaultParallelism, -(-there.count() // TEXTS_PER_TASK))
    spread = there.repartition(parts, "item_id").sortWithinPartitions("item_id")
    vectors = spread.select("item_id", embed_column(encode)("text").alias("embedding"))
    known = vectors.where(F.exists("embedding", lambda value: value != 0))
    table = files.join(path, VECTORS)
    io.write_table(known, table, schemas.item_vectors(schemas.IDS[id_type]))
    return io.open_table(spark, table).count()


def _write_basis(spark: SparkSession, basis: TermBasis, path: str) -> None:
    """Act: write the table item_terms."""
    directions = pa.array(list(basis.directions), pa.list_(pa.float32()))
    rows = pa.table({"term": list(basis.terms), "idf": basis.idf, "direction": directions})
    io.write_table(spark.createDataFrame(rows).coalesce(1), files.join(path, TERMS), schemas.item_terms())
