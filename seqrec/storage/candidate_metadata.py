"""The meta.json of similar items, and of the candidates that are merged of them and of users' lists."""

from typing import Any

from pydantic import Field

from seqrec.storage.meta import Meta, Part
from seqrec.storage.metadata import IdTypes, SecondStageMeta, TrainedOn, Vocabulary


class SimilarItemsMeta(Meta):
    """Similar items, which item_similarity writes; the method is item_cf or swing."""

    id_types: IdTypes
    dataset: str
    vocabulary: Vocabulary
    method: str
    history: str
    counts: dict[str, int] = Field({})
    settings: dict[str, Any] = Field({})


class MergedSource(Part):
    """A version that candidates were made from, and for lists of a ranker the samples that it learned from."""

    run_id: str
    kind: str
    weight: float
    learned: TrainedOn | None = None


class CandidateCounts(Part):
    """Users with a row, users without any candidate, and users with a list of each source."""

    users: int
    empty: int
    sources: dict[str, int]


class CandidatesMeta(Meta):
    """Merged lists of several sources, which build_candidates writes; sources by name, as they were merged."""

    id_types: IdTypes
    dataset: str
    history: str
    filter_seen: bool
    top_n: int
    sources: dict[str, MergedSource]
    counts: CandidateCounts | None = None
    settings: dict[str, Any] = Field({})

    def telling_source(self, split: str) -> str | None:
        """A source whose lists are of a ranker that learned which items a split holds out; None without one."""
        return next((name for name, one in self.sources.items() if one.learned and one.learned.has_targets_of(split)), None)


class SourceMeta(Meta):
    """A version that can be a source of candidates: similar items, or users' lists."""

    dataset: str | None = None
    history: str | None = None
    method: str | None = Field(None, description="of similar items: item_cf or swing")
    second_stage: SecondStageMeta | None = None
