"""Look into the stores: some users' recommendations from MongoDB, and the neighbours of an item from Milvus.

    MONGODB_URI=… MILVUS_URI=… python -m seqrec.stores.show --users 3 --titles movies.csv --data $SEQREC_ROOT/dataset

MONGODB_URI and MILVUS_URI are those that were published to. Titles are a CSV or Parquet file with the columns item_id and title;
with the dataset's folder, each user's latest items are printed too.
"""

import argparse
import os
import sys
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.dataset
import pyarrow.parquet

from seqrec.command.config import STORE_CHOICES, store_uri
from seqrec.command.entry import command_line
from seqrec.errors import UserError
from seqrec.settings.stores import Milvus, Mongo
from seqrec.storage import files, versions
from seqrec.stores import embedded
from seqrec.stores.milvus_neighbours import neighbours, some_item, typed_id
from seqrec.stores.mongo_reading import first, read
from seqrec.stores.targets import Targets, open_targets

Titles = dict[str, str]


def main(argv: list[str] | None = None) -> None:
    """Print what the stores hold; a UserError ends it with one line and status 1."""
    parser = argparse.ArgumentParser(prog="python -m seqrec.stores.show", description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=3, metavar="K", help="how many users to show (3)")
    parser.add_argument("--user", action="append", default=[], metavar="ID", help="a user to show instead; may be repeated")
    parser.add_argument("--item", metavar="ID", help="the item whose neighbours are shown; without it, the most popular one")
    parser.add_argument("--top", type=int, default=5, metavar="N", help="items of each list (5)")
    parser.add_argument("--bias", action="store_true", help="the last dimension of the embeddings is an output bias")
    parser.add_argument("--titles", metavar="FILE", help="CSV or Parquet with the columns item_id, title")
    parser.add_argument("--data", metavar="FOLDER", help="the dataset, to print the users' histories")
    parser.add_argument("--database", default=Mongo().database, help="database of MongoDB")
    parser.add_argument("--collection", default=Mongo().collection, help="collection of MongoDB")
    parser.add_argument("--alias", default=Milvus().alias, help="alias of Milvus")
    arguments = parser.parse_args(argv)
    with command_line():
        titles = read_titles(arguments.titles) if arguments.titles else {}
        uris = {name.lower(): store_uri(name) for name in STORE_CHOICES}
        token = os.environ.get("MILVUS_TOKEN", "")
        with open_targets(**uris, milvus_token=token, folder=embedded.data_folder()) as targets:
            for line in [*_users(targets, arguments, titles), *_neighbours(targets, arguments, titles)]:
                sys.stdout.write(line + "\n")


def read_titles(path: str) -> Titles:
    """Titles by the item's id as text, from a CSV or Parquet file with the columns item_id and title."""
    where = files.local_path(path)
    if not where.exists():
        raise UserError(f"{path}: no such file; titles are a local CSV or Parquet file with the columns item_id and title")
    table = pa.parquet.read_table(where) if path.endswith(".parquet") else pa.csv.read_csv(where)
    missing = {"item_id", "title"} - set(table.column_names)
    if missing:
        raise UserError(f"{path} has the columns {', '.join(table.column_names)}, and lacks {', '.join(sorted(missing))}")
    return dict(zip(map(str, table["item_id"].to_pylist()), map(str, table["title"].to_pylist()), strict=True))


def read_histories(folder: str, users: list[Any], *, last: int) -> dict[Any, list[Any]]:
    """The latest item ids of users, oldest first, from a dataset on this machine: one pass over its sequences."""
    path = files.local_path(versions.resolve(folder))
    wanted = pyarrow.dataset.field("user_id").isin(users)
    for table in ("sequences", "items"):
        versions.table_files(str(path / table))
    rows = pyarrow.dataset.dataset(path / "sequences").to_table(columns=["user_id", "items"], filter=wanted).to_pylist()
    latest = {row["user_id"]: row["items"][-last:] for row in rows}
    known = pyarrow.dataset.field("item_idx").isin(sorted({item for items in latest.values() for item in items}))
    items = pyarrow.dataset.dataset(path / "items").to_table(columns=["item_id", "item_idx"], filter=known).to_pylist()
    ids = {row["item_idx"]: row["item_id"] for row in items}
    return {user: [ids[item] for item in items] for user, items in latest.items()}


def _users(targets: Targets, arguments: argparse.Namespace, titles: Titles) -> list[str]:
    if targets.mongodb is None:
        return ["MongoDB: skipped"]
    place = targets.mongodb.place(database=arguments.database, collection=arguments.collection)
    asked = [kind(user) for user in arguments.user for kind in (str, _integer) if kind(user) is not None]
    number = arguments.users
    found = read(place, asked) if arguments.user else first(place, number, source="model") or first(place, number)
    if not found:
        raise UserError(f"{place}: {'no such users' if asked else 'nothing was published there yet'}")
    if not all({"items", "run_id", "model"} <= document.keys() for document in found):
        return [f"{place}: {len(found)} documents of a dump", *_documents(found, arguments.top)]
    histories = read_histories(arguments.data, [one["_id"] for one in found], last=arguments.top) if arguments.data else {}
    lines = [f"{place}: {len(found)} users, run {found[0]['run_id']} of {found[0]['model']}"]
    for one in found:
        lines.append(f"user {one['_id']}")
        if one["_id"] in histories:
            lines.append("  latest       " + " | ".join(_title(item, titles) for item in histories[one["_id"]]))
        lines.append("  recommended  " + " | ".join(_scored(item, titles) for item in one["items"][: arguments.top]))
    return lines


def _documents(found: list[dict[str, Any]], top: int) -> list[str]:
    """Documents of any fields: a line each, and one for each field, of a list its first elements."""
    lines = []
    for document in found:
        lines.append(f"document {document['_id']}")
        for name, value in document.items():
            if name not in ("_id", "publish_id"):
                shown = f"{value[:top]} of {len(value)}" if isinstance(value, list) and len(value) > top else str(value)
                lines.append(f"  {name}  {shown}")
    return lines


def _neighbours(targets: Targets, arguments: argparse.Namespace, titles: Titles) -> list[str]:
    if targets.milvus is None:
        return ["Milvus: skipped"]
    place = targets.milvus.place(alias=arguments.alias)
    item = some_item(place) if arguments.item is None else typed_id(place, arguments.item)
    near = neighbours(place, item, k=arguments.top, bias=arguments.bias)
    return [f"{place}: nearest to {_title(item, titles)}", *(f"  {_scored(one, titles)}" for one in near)]


def _integer(text: str) -> int | None:
    try:
        number = int(text)
    except ValueError:
        return None
    return number if -(2**63) <= number < 2**63 else None


def _title(item: Any, titles: Titles) -> str:
    return titles.get(str(item), f"item {item}")


def _scored(one: dict[str, Any], titles: Titles) -> str:
    return f"{_title(one['item_id'], titles)} ({one['score']:.3f})"


if __name__ == "__main__":
    main()
