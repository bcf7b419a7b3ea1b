"""The second stage for one user from code: the candidates and the features that batch_recommend reads, found by the user's id.

At the start the ids of all users are read, and the features of all items: they stay in memory, an id in 16 bytes and its text.
A call reads the rows of one user, a row group of each table: the candidates and features of users stay on the disk.
"""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from seqrec.errors import UserError
from seqrec.serving.extended_sequence import Id
from seqrec.serving.ranker import Ranker
from seqrec.serving.ranker_version import RankerVersion, locate_ranker
from seqrec.serving.second_stage import SecondStage
from seqrec.serving.second_stage_inputs import SecondStageInputs, open_inputs, require_ranker
from seqrec.serving.sorted_ids import SortedIds
from seqrec.storage import versions
from seqrec.storage.metadata import IdTypes


@dataclass(frozen=True, kw_only=True)
class RowsByUser:
    """A Parquet table with the key user_id: the columns to read, its row groups, and the users, whose rows are numbered through.

    `groups` are the file of each group and its number in that file, `starts` (G,) its first row.
    """

    schema: pa.Schema
    users: SortedIds
    groups: list[tuple[Path, int]]
    starts: NDArray[np.int64]

    @classmethod
    def open(cls, path: str, cache: Path, *, columns: list[str] | None = None) -> "RowsByUser":
        """The table at a path, with all of its columns or some; a remote one is copied into the cache."""
        parts = [Path(part) for part in versions.fetch_table(path, cache)]
        schema = pq.read_schema(parts[0])
        groups, sizes, users = [], [0], []
        for part in parts:  # one open file at a time: a table may have more than a process may open
            with pq.ParquetFile(part) as source:
                groups += [(part, group) for group in range(source.num_row_groups)]
                sizes += [source.metadata.row_group(group).num_rows for group in range(source.num_row_groups)]
                users += source.read(columns=["user_id"])["user_id"].chunks
        ids = pa.concat_arrays(users) if users else pa.array([], schema.field("user_id").type)
        kept = schema if columns is None else pa.schema([schema.field(name) for name in columns])
        return cls(schema=kept, users=SortedIds.of(ids), groups=groups, starts=np.cumsum(sizes)[:-1])

    def row(self, user: Id) -> pa.Table | None:
        """The row of a user; None for one who isn't there."""
        row = self.users.find(pa.array([user], self.users.ids.type))[0].as_py()
        if row is None:
            return None
        number = int(np.searchsorted(self.starts, row, side="right")) - 1
        part, group = self.groups[number]
        with pq.ParquetFile(part) as source:
            return source.read_row_group(group, columns=self.schema.names).slice(row - self.starts[number], 1)

    def empty_row(self) -> pa.Table:
        """A row of nulls."""
        return pa.table({field.name: pa.nulls(1, field.type) for field in self.schema})


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
        kept = None if allow is None else SortedIds.of(allow)
        (entries,) = self.stage.best(one, k, allow=kept, deny=SortedIds.of(deny)).to_pylist()
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
    names = ["user_id", *inputs.feature_names(every.schema.names)]
    return replace(every, schema=pa.schema([every.schema.field(name) for name in names]))


def _folder(fetched: tempfile.TemporaryDirectory[str], name: str) -> Path:
    """A folder of its own for the copies of a table, whose files may have the names of another's."""
    folder = Path(fetched.name, name)
    folder.mkdir()
    return folder
