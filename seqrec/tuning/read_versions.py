"""Which versions the trials of a study read beside the dataset: of the merge's sources, of vectors of items, of features.

A folder of versions may get a newer one while a study runs, or between two runs of it. All trials read the version that was
current when the study began, and the study goes on only where that is still the current one.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from seqrec.command.config import Strict, flatten, public
from seqrec.settings.build_candidates import BuildCandidates
from seqrec.storage import files, versions
from seqrec.tuning.space import Choices, Dimension

PATH = "path"  # the last part of the keys that name them


def read_versions(base: Strict, space: Sequence[Dimension]) -> dict[str, str]:
    """The current versions of the folders that `path` keys name, in the settings that trials share or in a space: by the folder.

    Raises UserError for a source of the merge without a version; of other jobs, such a path is a file.
    """
    searched = {part.key: list(part.values.values()) for part in space if isinstance(part, Choices) and _names_path(part.key)}
    shared = {key: [value] for key, value in flatten(public(base)).items() if _names_path(key)}
    paths = [path for listed in {**shared, **searched}.values() for path in listed if path is not None]
    needed = isinstance(base, BuildCandidates)
    return {path: versions.resolve(path) for path in paths if needed or files.exists(files.join(path, versions.CURRENT))}


def version_facts(read: Mapping[str, str]) -> dict[str, str]:
    """What a study says of the versions that it reads.

    >>> version_facts({"/data/similar_items": "/data/similar_items/20260101T000000Z-0000"})
    {'version of /data/similar_items': '20260101T000000Z-0000'}
    """
    return {f"version of {folder}": version.rsplit("/", 1)[-1] for folder, version in read.items()}


def at_versions(settings: Strict, read: Mapping[str, str]) -> dict[str, Any]:
    """The keys of settings, dotted, that name a folder of versions, each with the version that is read."""
    return {key: read[value] for key, value in flatten(public(settings)).items() if _names_path(key) and value in read}


def _names_path(key: str) -> bool:
    """Whether a dotted key names a file or folder that is read."""
    return key.rpartition(".")[2] == PATH
