"""The pandas UDF that turns texts into vectors, by any encoder of texts, in Spark's Python workers."""

import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pyspark import SparkFiles, TaskContext
from pyspark.sql import SparkSession
from pyspark.sql.pandas.functions import pandas_udf

from seqrec.command import session
from seqrec.tables import schemas
from seqrec.texts.sentences import SentenceFiles, open_sentence_model

if TYPE_CHECKING:
    from pyspark.sql._typing import UserDefinedFunctionLike

Encode = Callable[[Sequence[str]], NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class ShippedSentences:
    """A sentence model where the executors find it: in its folder, or below Spark's files in the folder `archive`."""

    found: SentenceFiles
    archive: str | None

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """texts (N) -> vectors (N, D), with as many threads as the task has cores."""
        found, context = self.found, TaskContext.get()
        if self.archive is not None:
            found = replace(found, folder=str(Path(SparkFiles.getRootDirectory(), self.archive)))
        return open_sentence_model(found, context.cpus() if context else 1).encode(texts)


def ship_sentences(spark: SparkSession, found: SentenceFiles, *, digest: str) -> ShippedSentences:
    """Make a sentence model available to the executors: those on other machines get its files as an archive."""
    if session.runs_locally(spark):
        return ShippedSentences(found=found, archive=None)
    name = f"sentences-{digest[:16]}"
    path = Path(tempfile.mkdtemp(prefix="seqrec-sentences-"), f"{name}.tar")  # Spark serves it until the session ends
    with tarfile.open(path, "w") as archive:
        for file in found.names:
            archive.add(Path(found.folder, file), file)
    spark.sparkContext.addArchive(f"{path.as_uri()}#{name}")
    return ShippedSentences(found=found, archive=name)


def embed_column(encode: Encode) -> "UserDefinedFunctionLike":
    """The column function text -> array<float>; equal texts of a batch are encoded once."""

    def embed(batches: Iterator[pd.Series]) -> Iterator[pd.Series]:
        for batch in batches:
            codes, texts = pd.factorize(batch)
            vectors = encode(texts.tolist()) if len(texts) else np.zeros((0, 0), np.float32)
            yield pd.Series([vectors[code] for code in codes], dtype=object)

    function: UserDefinedFunctionLike = cast(Any, pandas_udf)(embed, schemas.EMBEDDING)  # its stubs lack such iterators
    return function
