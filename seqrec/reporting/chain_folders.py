"""The folders of a chain, by their names below its root, or as settings give them."""

from dataclasses import dataclass

from seqrec.serving.sealed import EXPORTS
from seqrec.storage import files
from seqrec.storage.run_ids import RUN_ID


@dataclass(frozen=True, kw_only=True)
class Folders:
    """The folders of a chain."""

    data: str
    model: str
    evaluation: str
    lists: str

    @classmethod
    def below(cls, root: str) -> "Folders":
        """Those of a chain's folder, as the templates name them."""
        names = {"data": "dataset", "model": "model", "evaluation": "evaluation", "lists": "output"}
        return cls(**{key: files.join(root, name) for key, name in names.items()})

    @property
    def exports(self) -> str:
        """The folder of the model's exports."""
        return files.join(self.model, EXPORTS)

    def above_versions(self) -> "Folders":
        """The folders themselves where versions in them are named, as FOLDER/RUN_ID: the journal and other versions lie there."""
        return Folders(
            data=folder_of(self.data), model=self.model, evaluation=folder_of(self.evaluation), lists=folder_of(self.lists)
        )


def folder_of(path: str) -> str:
    """The versioned folder that a path names, or in which the version lies that it names.

    >>> folder_of("output"), folder_of("s3a://b/output/20261101T020000Z-3f2a/")
    ('output', 's3a://b/output')
    """
    folder, _, name = path.rstrip("/").rpartition("/")
    return (folder or ".") if RUN_ID.match(name) else path
