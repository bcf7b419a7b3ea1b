"""A ranker, opened: rows of users' and items' columns into scores, on ONNX Runtime alone (neither torch nor Spark).

    ranker = Ranker.open("/data/ranker")
    ranker.score(rows)      # (N,) float32: the probability that the label is 1

A ranker is a version RANKER/RUN_ID of ranker.onnx (one input `features` (N, F), one output `score` (N,)), encoding.json, which
says how columns become features, and meta.json, whose hashes seal both. `locate_ranker` in `ranker_version` reads the meta.json.
"""

import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import onnxruntime
import pyarrow as pa
from numpy.typing import NDArray

from seqrec.errors import UserError
from seqrec.serving.feature_encoding import Encoding
from seqrec.serving.queries import open_encoder
from seqrec.serving.sealed import Hashes, verify_files
from seqrec.storage import files, versions
from seqrec.storage.meta import META

GRAPH, ENCODING = "ranker.onnx", "encoding.json"
GRAPH_WEIGHTS = "ranker.onnx.data"  # large weights, beside their graph
SCORED = (GRAPH, GRAPH_WEIGHTS, ENCODING)  # what scoring opens
FEATURES, SCORE = "features", "score"  # the graph's input and output
RUN_ROWS = 8192  # rows that ONNX Runtime takes at once


@dataclass(frozen=True, kw_only=True)
class Ranker:
    """A ranker ready to score."""

    session: onnxruntime.InferenceSession
    encoding: Encoding

    @classmethod
    def open(cls, folder: str, *, threads: int = 1) -> "Ranker":
        """The current version of a ranker's folder, or the version that a path names; a remote one is copied here first.

        Raises UserError if there is none, or if its files aren't those that train_ranker wrote.
        """
        path = versions.resolve(folder)
        hashes = scoring_hashes(versions.read_meta(path).get("files"), path=path)
        if files.is_local(path):
            return load_ranker(str(files.local_path(path)), hashes, threads)
        with tempfile.TemporaryDirectory(prefix="seqrec-ranker-") as copy:
            for name, _ in hashes:
                files.fetch(files.join(path, name), Path(copy))
            return load_ranker(copy, hashes, threads)

    def score(self, rows: pa.RecordBatch | pa.Table) -> NDArray[np.float32]:
        """The scores (N,) of rows that have the columns `encoding.names`; UserError for a column that is missing or unfit."""
        return self.score_features(self.encoding.encode(rows))

    def score_features(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """The scores (N,) of encoded features (N, F); UserError if one is not finite."""
        scores = np.empty(len(features), np.float32)
        for first in range(0, len(features), RUN_ROWS):
            block = slice(first, first + RUN_ROWS)
            (scores[block],) = self.session.run([SCORE], {FEATURES: features[block]})
        if not np.isfinite(scores).all():
            broken = int(np.count_nonzero(~np.isfinite(scores)))
            raise UserError(
                f"the ranker gives scores that aren't finite to {broken:,} of {len(scores):,} rows: train it again, wide_deep "
                "with a lower learning rate"
            )
        return scores


def scoring_hashes(hashes: object, *, path: str) -> Hashes:
    """Names and SHA-256 of the files that scoring opens, of the `files` in the meta.json of a ranker in the folder `path`.

    Raises UserError unless these are the files of a ranker.
    """
    if not isinstance(hashes, dict) or not {GRAPH, ENCODING} <= hashes.keys():
        raise UserError(f"{files.join(path, META)} names no {GRAPH} and {ENCODING}: give a folder that train_ranker wrote")
    return tuple((name, str(hashes[name])) for name in SCORED if name in hashes)


@lru_cache(maxsize=2)
def load_ranker(folder: str, hashes: Hashes, threads: int) -> Ranker:
    """The ranker in a local folder, read once per process; other hashes in the same folder are another ranker.

    Raises UserError if a file is missing or isn't the one that was written.
    """
    verify_files(folder, hashes, remedy="run train_ranker again")
    session = open_encoder(str(Path(folder, GRAPH)), threads)
    return Ranker(session=session, encoding=Encoding.of_json(Path(folder, ENCODING).read_text("utf-8")))
