"""A version that a job is writing: its folder, its run id, and the settings for its meta.json.

    draft = Draft.of(cfg.output, settings=public(cfg), made_from=made)
    io.write_table(table, files.join(draft.path, "similar_items"), schema)
    SimilarItemsMeta(run_id=draft.run_id, settings=draft.settings, ...).write(draft.path)
    draft.commit(keep=cfg.keep)

Until `commit`, readers see the previous version.
"""

from dataclasses import dataclass
from typing import Any

from seqrec.storage import files, versions
from seqrec.storage.made_from import MadeFrom, record


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A version FOLDER/RUN_ID that isn't committed yet."""

    folder: str
    run_id: str
    settings: dict[str, Any]
    made_from: MadeFrom | None = None

    @classmethod
    def of(cls, folder: str, *, settings: dict[str, Any], key: str = "output", made_from: MadeFrom | None = None) -> "Draft":
        """A new version of a folder; UserError, which names the setting `key`, if the folder can't be written to."""
        files.require_writable(folder, key=key)
        return cls(folder=folder, run_id=versions.new_run_id(), settings=settings, made_from=made_from)

    @property
    def path(self) -> str:
        """The version's folder, FOLDER/RUN_ID."""
        return files.join(self.folder, self.run_id)

    def commit(self, *, keep: int) -> None:
        """Make it the current version of the folder, of which the newest `keep` stay (see `versions.commit`).

        Its meta.json, which is there by now, gets what the version was made from.
        """
        if self.made_from is not None:
            record(self.path, self.made_from)
        versions.commit(self.folder, self.run_id, keep=keep)
