"""What a second stage reads: a version of candidates and one of features, both of one dataset and one history.

    inputs = open_inputs("/data/candidates", "/data/features")
    inputs.require("20261101T020000Z-3f2a", history="full")
    inputs.item_features()

Spark isn't needed: the jobs, which join the users on Spark, and `Recommender` open the same.
"""

import json
import logging
import re
import tempfile
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from seqrec.errors import UserError
from seqrec.serving.candidate_rows import ItemFeatures, source_features
from seqrec.serving.ranker_version import RankerVersion
from seqrec.storage import files, versions
from seqrec.storage.candidate_metadata import CandidatesMeta
from seqrec.storage.ranker_metadata import FEATURE_SCHEMA, FeaturesMeta

IDS = ("user_id", "item_id")
TAKEN = frozenset({"items", "item_idx", "label", "split"})  # what stands beside features
SOURCE_NAME = re.compile(r"[\w-]+")
SHARES = "user_genre_shares"  # in the order of the genres

log = logging.getLogger("seqrec")


@dataclass(frozen=True, kw_only=True)
class SecondStageInputs:
    """The folders of both versions, their meta.json, and what feature_schema.json says: the features, the genres."""

    candidates: str
    features: str
    candidates_meta: CandidatesMeta
    features_meta: FeaturesMeta
    discrete: tuple[str, ...]
    continuous: tuple[str, ...]
    genres: tuple[str, ...]

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of the sources of the candidates, in the order in which they were merged."""
        return tuple(self.candidates_meta.sources)

    @property
    def lists(self) -> str:
        """The path of the merged lists."""
        return files.join(self.candidates, "candidates")

    def described(self, name: str) -> str:
        """The path of a table of the features, users or item_features."""
        return files.join(self.features, name)

    def require(self, dataset: str, *, history: str) -> None:
        """Raise UserError unless both are of this dataset (a run id) and of this history."""
        meta = self.candidates_meta
        remedy = f"run build_candidates and build_features history={history}"
        if meta.dataset != dataset:
            raise UserError(
                f"{self.candidates} was made from dataset {meta.dataset}, not {dataset}: pass data=FOLDER/{meta.dataset}, or "
                f"{remedy}"
            )
        if meta.history != history:
            raise UserError(f"{self.candidates} was made with history={meta.history}, not {history}: {remedy}")

    def feature_names(self, there: list[str]) -> list[str]:
        """Those of the columns `there` of a table that are features, in the table's order; ids are none."""
        features = {*self.discrete, *self.continuous} - {*IDS}
        return [name for name in there if name in features]

    def only(self, columns: Collection[str]) -> "SecondStageInputs":
        """The same with those features alone that are among the columns: what a ranker doesn't read isn't joined."""
        kept = (tuple(name for name in names if name in columns) for names in (self.discrete, self.continuous))
        discrete, continuous = kept
        return replace(self, discrete=discrete, continuous=continuous)

    def item_features(self) -> ItemFeatures:
        """The features of all items; a remote table is copied to this machine first."""
        with tempfile.TemporaryDirectory(prefix="seqrec-features-") as cache:
            parts = versions.fetch_table(self.described("item_features"), Path(cache))
            names = ["item_id", *self.feature_names(pq.read_schema(parts[0]).names)]
            return ItemFeatures.of(pa.concat_tables(pq.read_table(part, columns=names) for part in parts))


def open_inputs(candidates: str, features: str) -> SecondStageInputs:
    """The current versions of two folders, or those that the paths name; UserError if they don't belong together."""
    lists, described = versions.resolve(candidates), versions.resolve(features)
    lists_meta, features_meta = CandidatesMeta.read(lists), FeaturesMeta.read(described)
    ours, theirs = (lists_meta.dataset, lists_meta.history), (features_meta.dataset, features_meta.history)
    if ours != theirs:
        raise UserError(
            f"{described} has features of dataset {theirs[0]} with history={theirs[1]}, and {lists} has candidates of dataset "
            f"{ours[0]} with history={ours[1]}: run build_features data=FOLDER/{ours[0]} history={ours[1]}"
        )
    listed = _listed_columns(files.join(described, FEATURE_SCHEMA))
    if taken := sorted(name for name in (*listed["discrete"], *listed["continuous"]) if name.casefold() in TAKEN):
        raise UserError(f"{described} has a feature called {taken[0]}, as a column of samples or of candidates is: rename it")
    if odd := [name for name in lists_meta.sources if not SOURCE_NAME.fullmatch(name)]:
        raise UserError(
            f"{lists} has a source called {odd[0]!r}, which can't be in a column's name: run build_candidates with a name of "
            "letters, digits, _ and -"
        )
    of_sources = source_features(list(lists_meta.sources))
    if repeated := _repeated_name([*listed["discrete"], *listed["continuous"], *of_sources]):
        raise UserError(
            f"{described} and the sources of {lists} give two columns the name {repeated}, but for upper and lower case: "
            "give one of them another name"
        )
    return SecondStageInputs(
        candidates=lists,
        features=described,
        candidates_meta=lists_meta,
        features_meta=features_meta,
        **listed,
    )


def require_ranker(version: RankerVersion, inputs: SecondStageInputs) -> None:
    """Raise UserError, with the columns, unless a ranker reads what the features and the sources of the candidates give it.

    A source that the ranker hasn't learned from is said in a warning: the items that it alone proposes are new to it.
    """
    meta, schema = version.meta, version.meta.feature_schema
    remedy = "train it on build_ranker_samples of such candidates and features, or give it those of its samples"
    if meta.id_types not in (None, inputs.candidates_meta.id_types):
        raise UserError(f"the ranker in {version.path} has ids of other types than {inputs.candidates}: {remedy}")
    ours = dict.fromkeys(inputs.discrete, "discrete")
    ours |= dict.fromkeys((*inputs.continuous, *source_features(inputs.sources)), "continuous")
    theirs = dict.fromkeys(schema.discrete, "discrete") | dict.fromkeys(schema.continuous, "continuous")
    if lacking := [name for name in meta.columns if name not in ours]:
        there = f"{inputs.features} and {inputs.candidates} (sources {', '.join(inputs.sources)})"
        raise UserError(f"the ranker in {version.path} reads {', '.join(lacking)}, which {there} lack: {remedy}")
    if other := [name for name in meta.columns if theirs.get(name, ours[name]) != ours[name]]:
        kinds = ", ".join(f"{name} ({ours[name]})" for name in other)
        raise UserError(f"{inputs.features} has {kinds}, which the ranker in {version.path} learned as another kind: {remedy}")
    if tuple(schema.genres) != inputs.genres and SHARES in meta.columns:
        raise UserError(
            f"{inputs.features} has shares of {len(inputs.genres)} genres, the ranker in {version.path} learned those of "
            f"{len(schema.genres)}, or of others: {remedy}"
        )
    _require_sources(version, inputs, remedy=remedy)
    if meta.sources and (new := [name for name in inputs.sources if name not in meta.sources]):
        log.warning("the ranker's samples had no candidates of %s: what they alone propose is new to it", ", ".join(new))


def _require_sources(version: RankerVersion, inputs: SecondStageInputs, *, remedy: str) -> None:
    """Raise UserError for a source of another kind than in the samples, as its scores mean something else; warn of weights."""
    for name, source in inputs.candidates_meta.sources.items():
        learned = version.meta.sources.get(name) or {}
        kind, weight = learned.get("kind", source.kind), learned.get("weight", source.weight)
        if kind != source.kind:
            raise UserError(
                f"{inputs.candidates} has the source {name} of kind {source.kind}, the ranker in {version.path} learned from "
                f"one of kind {kind}: {remedy}"
            )
        if weight != source.weight:
            log.warning("source %s has weight %g, in the ranker's samples %g: merged ranks differ", name, source.weight, weight)


def _repeated_name(names: Collection[str]) -> str | None:
    """A name that another is but for upper and lower case, as Spark doesn't tell them apart; None without one.

    >>> _repeated_name(["cf", "swing", "CF"]), _repeated_name(["cf", "swing"])
    ('CF', None)
    """
    folded = [name.casefold() for name in names]
    return next((name for place, name in enumerate(names) if name.casefold() in folded[:place]), None)


def _listed_columns(path: str) -> dict[str, tuple[str, ...]]:
    """The discrete and continuous columns of ranking_samples in a feature_schema.json, and the genres; UserError without them."""
    try:
        content = json.loads(files.read_text(path))
        of_samples = content["ranking_samples"]
        return {kind: tuple(of_samples[kind]) for kind in ("discrete", "continuous")} | {"genres": tuple(content["genres"])}
    except (FileNotFoundError, KeyError, TypeError, ValueError):
        raise UserError(f"{path} is missing, or lists no features of ranking_samples: run build_features again") from None
