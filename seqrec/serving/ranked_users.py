"""The second stage for one user from code: the candidates and the features that batch_recommend reads, found by the user's id.

At the start the ids of all users are read, and the features of all items. A call reads the rows of one user, which costs a row
group of each table: candidates of millions of users stay on the disk.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from seqrec.errors import UserError
from seqrec.serving.extended_sequence import Id
from seqrec.serving.ranker import Ranker
from seqrec.serving.ranker_version import RankerVersion, locate_ranker
from seqrec.serving.second_stage import SecondStage
from seqrec.serving.second_stage_inputs import SecondStageInputs, open_inputs, require_ranker
from seqrec.storage import versions
from seqrec.storage.metadata import IdTypes


@dataclass(frozen=True, kw_only=True)
class RowsByUser:
    """A Parquet table with the key user_id: its files, and of each user the file, the row group and the row in it."""

    parts: tuple[pq.ParquetFile, ...]
    places: dict[Id, tuple[int, int, int]]
    columns: list[str]

    @classmethod
    def open(cls, path: str, cache: Path, *, columns: list[str] | None = None) -> "RowsByUser":
        """The table at a path, with all of its columns or some; a remote one is copied into the cache."""
        parts = tuple(pq.ParquetFile(part) for part in versions.fetch_table(path, cache))
        places = {}
        for number, part in enumerate(parts):
            for group in range(part.num_row_groups):
                users = part.read_row_group(group, columns=["user_id"])["user_id"].to_pylist()
                places.update({user: (number, group, row) for row, user in enumerate(users)})
        return cls(parts=parts, places=places, columns=columns or parts[0].schema_arrow.names)

    def row(self, user: Id) -> pa.Table | None:
        """The row of a user; None for one who isn't there."""
        if user not in self.places:
            return None
        number, group, row = self.places[user]
        return self.parts[number].read_row_group(group, columns=self.columns).slice(row, 1)

    def empty_row(self) -> pa.Table:
        """A row of nulls."""
        fields = [self.parts[0].schema_arrow.field(name) for name in self.columns]
        return pa.table({field.name: pa.nulls(1, field.type) for field in fields})


@dataclass(frozen=True, kw_only=True)
class RankedUsers:
    """An opened second stage: what scores, where the users' candidates and features are, and the ranker's version."""

    stage: SecondStage
    candidates: RowsByUser
    users: RowsByUser
    version: RankerVersion
    fetched: tempfile.TemporaryDirectory[str]  # copies of remote tables, which live as long as this

    @classmethod
    def open(cls, *, candidates: str, features: str, ranker: str, id_types: IdTypes, threads: int) -> "RankedUsers":
        """The current versions of the folders; UserError if they don't fit each other, or their ids those of the model."""
        inputs, version = open_inputs(candidates, features), locate_ranker(ranker)
        require_ranker(version, inputs)
        if inputs.candidates_meta.id_types != id_types:
            raise UserError(f"{inputs.candidates} has ids of other types than the model: give candidates of the model's dataset")
        inputs = inputs.only(version.meta.columns)
        fetched = tempfile.TemporaryDirectory(prefix="seqrec-second-stage-")
        lists = RowsByUser.open(inputs.lists, _folder(fetched, "candidates"), columns=["user_id", "items"])
        scorer = Ranker.open(version.path, threads=threads)
        stage = SecondStage(score=scorer.score, features=inputs.item_features(), sources=inputs.sources)
        return cls(stage=stage, candidates=lists, users=_open_users(inputs, fetched), version=version, fetched=fetched)

    def best(self, user: Id, k: int, *, allow: pa.Array | None, deny: pa.Array) -> list[tuple[Id, float]]:
        """The user's K best candidates and their scores, without those in `deny`, with `allow` only those in it.

        The list is empty for a user without candidates.
        """
        lists = self.candidates.row(user)
        if lists is None:
            return []
        described = self.users.row(user)
        columns = dict(zip(lists.column_names, lists.columns, strict=True))
        of_user = self.users.empty_row() if described is None else described
        columns |= {name: of_user[name] for name in of_user.column_names if name != "user_id"}
        one = pa.table(columns).combine_chunks().to_batches()[0]
        (entries,) = self.stage.best(one, k, allow=allow, deny=deny).to_pylist()
        return [(entry["item_id"], entry["score"]) for entry in entries]


def open_second(folders: tuple[str | None, str | None, str | None], *, id_types: IdTypes, threads: int) -> RankedUsers | None:
    """The second stage in the folders of candidates, features and a ranker; None without any. UserError if one is lacking."""
    candidates, features, ranker = folders
    if candidates is None and features is None and ranker is None:
        return None
    if candidates is None or features is None or ranker is None:
        lacking = [name for name, folder in zip(("candidates", "features", "ranker"), folders, strict=True) if folder is None]
        raise UserError(
            f"a second stage needs candidates, features and ranker: give {' and '.join(lacking)} too, or none of them"
        )
    return RankedUsers.open(candidates=candidates, features=features, ranker=ranker, id_types=id_types, threads=threads)


def _open_users(inputs: SecondStageInputs, fetched: tempfile.TemporaryDirectory[str]) -> RowsByUser:
    """The table users, with its features alone."""
    every = RowsByUser.open(inputs.described("users"), _folder(fetched, "users"))
    names = ["user_id", *inputs.feature_names(every.columns)]
    return RowsByUser(parts=every.parts, places=every.places, columns=names)


def _folder(fetched: tempfile.TemporaryDirectory[str], name: str) -> Path:
    """A folder of its own for the copies of a table, whose files may have the names of another's."""
    folder = Path(fetched.name, name)
    folder.mkdir()
    return folder
