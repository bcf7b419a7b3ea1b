"""A version of a ranker and its meta.json, without its graph: what a job that scores resolves once, and passes on."""

from dataclasses import dataclass

from seqrec.serving.ranker import scoring_hashes
from seqrec.serving.sealed import Hashes
from seqrec.storage import versions
from seqrec.storage.ranker_metadata import RankerMeta


@dataclass(frozen=True)
class RankerVersion:
    """A version of a ranker in a folder, and its meta.json."""

    path: str
    meta: RankerMeta

    def scoring_files(self) -> Hashes:
        """Names and hashes of the files that scoring opens; UserError if one is not listed."""
        return scoring_hashes(self.meta.files, path=self.path)


def locate_ranker(folder: str) -> RankerVersion:
    """The current version of a ranker's folder, or the version that a path names; UserError if it is none of a ranker."""
    path = versions.resolve(folder)
    return RankerVersion(path, RankerMeta.read(path))
