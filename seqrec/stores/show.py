"""Look into the stores: some users' recommendations from MongoDB, and the neighbours of an item from Milvus.

    MONGODB_URI=… MILVUS_URI=… python -m seqrec.stores.show --users 3 --titles movies.csv --data $SEQREC_ROOT/dataset

MONGODB_URI and MILVUS_URI are those that were published to. Titles are any file with an id and a title (see catalogue.titles);
with the dataset's folder, each user's latest items are printed too. No Spark session is opened, which would take longer than all
the rest: the dataset is read by Arrow.
"""

import argparse
import logging
import sys
from pathlib import Path
from typing import Any

import pyarrow.dataset

from seqrec.catalogue.titles import Titles, add_title_options, titles_of
from seqrec.command.entry import command_line
from seqrec.command.environment import STORE_CHOICES
from seqrec.errors import UserError
from seqrec.settings.stores import Milvus, Mongo
from seqrec.storage import files, versions
from seqrec.stores.milvus_neighbours import find_neighbours, first_item, parse_item_id
from seqrec.stores.mongo import find_documents, first_documents
from seqrec.stores.mongo_collection import MongoCollection
from seqrec.stores.open_stores import Addresses, OpenStores, connect

log = logging.getLogger("seqrec")

Document = dict[str, Any]


def main(argv: list[str] | None = None) -> None:
    """Print what the stores hold; a UserError ends it with one line and status 1."""
    parser = argparse.ArgumentParser(prog="python -m seqrec.stores.show", description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=3, metavar="K", help="how many users to show (3)")
    parser.add_argument("--user", action="append", default=[], metavar="ID", help="a user to show instead; may be repeated")
    parser.add_argument("--item", metavar="ID", help="the item whose neighbours are shown; without it, the most popular one")
    parser.add_argument("--top", type=int, default=5, metavar="N", help="items of each list (5)")
    parser.add_argument("--bias", action="store_true", help="the last dimension of the embeddings is an output bias")
    add_title_options(parser)
    parser.add_argument("--data", metavar="FOLDER", help="the dataset, to print the users' histories")
    parser.add_argument("--database", default=Mongo().database, help="database of MongoDB")
    parser.add_argument("--collection", default=Mongo().collection, help="collection of MongoDB")
    parser.add_argument("--alias", default=Milvus().alias, help="alias of Milvus")
    options = parser.parse_args(argv)
    with command_line():
        titles = titles_of(options)
        with connect(None, Addresses.from_environment(*STORE_CHOICES)) as stores:
            for line in [*_describe_mongodb(stores, options, titles), *_describe_milvus(stores, options, titles)]:
                sys.stdout.write(line + "\n")


def find_documents_of(collection: MongoCollection, texts: list[str]) -> list[Document]:
    """The documents of ids in the form of texts: each text may stand for a string or for an integer."""
    ids = [key for text in texts for key in (text, _integer(text)) if key is not None]
    documents = find_documents(collection, ids)
    if not documents:
        raise UserError(f"{collection}: no such users")
    return documents


def some_documents(collection: MongoCollection, number: int) -> list[Document]:
    """The first documents: those with a list by a ranker, by the model, or any if there are none."""
    of_source = (first_documents(collection, number, source=source) for source in ("ranker", "model"))
    documents = next(filter(None, of_source), None) or first_documents(collection, number)
    if not documents:
        raise UserError(f"{collection}: nothing was published there yet")
    return documents


def latest_items(folder: str, users: list[Any], *, number: int) -> dict[Any, list[Any]]:
    """The latest item ids of users, oldest first, from a dataset on this machine: one pass over its sequences."""
    version = files.local_path(versions.resolve(folder))
    sequences = _read(version / "sequences", ["user_id", "items"], pyarrow.dataset.field("user_id").isin(users))
    latest = {row["user_id"]: row["items"][-number:] for row in sequences}
    indices = sorted({index for items in latest.values() for index in items})
    vocabulary = _read(version / "items", ["item_id", "item_idx"], pyarrow.dataset.field("item_idx").isin(indices))
    ids = {row["item_idx"]: row["item_id"] for row in vocabulary}
    return {user: [ids[index] for index in items] for user, items in latest.items()}


def _describe_mongodb(stores: OpenStores, options: argparse.Namespace, titles: Titles) -> list[str]:
    """The lines about MongoDB."""
    if stores.mongodb is None:
        return ["MongoDB: skipped"]
    collection = stores.mongodb.collection(options.database, options.collection)
    documents = find_documents_of(collection, options.user) if options.user else some_documents(collection, options.users)
    if not all({"items", "run_id", "model"} <= document.keys() for document in documents):
        return [f"{collection}: {len(documents)} documents of a dump", *_dumped_lines(documents, options.top)]
    users = [document["_id"] for document in documents]
    histories = latest_items(options.data, users, number=options.top) if options.data else {}
    if words := titles.mismatch(entry["item_id"] for document in documents for entry in document["items"]):
        log.warning("%s", words)
    lines = [f"{collection}: {len(documents)} users, run {documents[0]['run_id']} of {documents[0]['model']}"]
    for document in documents:
        lines.append(f"user {document['_id']}")
        if document["_id"] in histories:
            lines.append("  latest       " + " | ".join(titles.shown(item) for item in histories[document["_id"]]))
        lines += recommended_lines(document["items"][: options.top], titles)
        if following := document.get("next_items"):
            lines.append("  next         " + " | ".join(scored(entry, titles) for entry in following[: options.top]))
    return lines


def recommended_lines(entries: list[Document], titles: Titles) -> list[str]:
    """A list in one line or, if its items have reasons, a line for each item."""
    if not any(entry.get("because") for entry in entries):
        return ["  recommended  " + " | ".join(scored(entry, titles) for entry in entries)]
    reasons = [" | ".join(scored(why, titles) for why in entry.get("because", ())) for entry in entries]
    listed = [scored(entry, titles) + (f", because of {why}" if why else "") for entry, why in zip(entries, reasons, strict=True)]
    return [f"  {'' if place else 'recommended':11}  {line}" for place, line in enumerate(listed)]


def _dumped_lines(documents: list[Document], top: int) -> list[str]:
    """Documents with any fields: a line for each document and for each field; of a list, its first elements."""
    lines = []
    for document in documents:
        lines.append(f"document {document['_id']}")
        for name, value in document.items():
            if name not in ("_id", "publish_id"):
                shown = f"{value[:top]} of {len(value)}" if isinstance(value, list) and len(value) > top else str(value)
                lines.append(f"  {name}  {shown}")
    return lines


def _describe_milvus(stores: OpenStores, options: argparse.Namespace, titles: Titles) -> list[str]:
    """The lines about Milvus."""
    if stores.milvus is None:
        return ["Milvus: skipped"]
    alias = stores.milvus.alias(options.alias)
    item = first_item(alias) if options.item is None else parse_item_id(alias, options.item)
    neighbours = find_neighbours(alias, item, k=options.top, bias=options.bias)
    return [f"{alias}: nearest to {titles.shown(item)}", *(f"  {scored(entry, titles)}" for entry in neighbours)]


def _read(table: Path, columns: list[str], condition: pyarrow.dataset.Expression) -> list[dict[str, Any]]:
    """The rows of a finished table that fulfil a condition."""
    parts = [table / name for name in versions.table_files(str(table))]
    rows: list[dict[str, Any]] = pyarrow.dataset.dataset(parts).to_table(columns=columns, filter=condition).to_pylist()
    return rows


def _integer(text: str) -> int | None:
    """The text as an integer of 64 bits, if it is one."""
    try:
        number = int(text)
    except ValueError:
        return None
    return number if -(2**63) <= number < 2**63 else None


def scored(entry: Document, titles: Titles) -> str:
    """An entry of a list by its title, the one that it carries or its id, with its score."""
    item = entry["item_id"]
    return f"{titles.of(item) or entry.get('title') or titles.shown(item)} ({entry['score']:.3f})"


if __name__ == "__main__":
    main()
