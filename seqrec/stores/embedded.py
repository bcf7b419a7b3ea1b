"""Stores for one machine: a MongoDB server on H2 in a JVM of its own, and Milvus Lite; both listen on loopback only.

Both servers end with the process that started them. Run as a module, this fetches the jars (--fetch) or serves the stores until
Ctrl-C (--serve).
"""

import argparse
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from seqrec.command.entry import command_line
from seqrec.errors import UserError
from seqrec.storage import files
from seqrec.storage.lock import hold
from seqrec.stores import jars
from seqrec.stores.address import EMBEDDED, LOOPBACK, masked
from seqrec.stores.embedded_milvus import milvus_lite
from seqrec.stores.embedded_mongo import mongo_server

MONGO_PORT, MILVUS_PORT = 27017, 19530


def data_folder() -> Path:
    """Where the stores keep their files: SEQREC_ROOT/stores, or the user's data folder where SEQREC_ROOT isn't a local path."""
    root = os.environ.get("SEQREC_ROOT", "")
    if root and files.is_local(root):
        return files.local_path(root) / "stores"
    return Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser() / "seqrec" / "stores"


def server_name(uri: str) -> str:
    """How a store's server is named: by its address without secrets, an embedded one by its folder."""
    return f"{EMBEDDED} in {data_folder()}" if uri == EMBEDDED else masked(uri)


@contextmanager
def hold_folder(folder: Path) -> Iterator[None]:
    """Hold the lock of the stores in a folder; UserError names the process that holds it already."""
    remedy = (
        f"wait for it or stop it; if it is `make stores`, export MONGODB_URI=mongodb://{LOOPBACK}:{MONGO_PORT} "
        f"MILVUS_URI=http://{LOOPBACK}:{MILVUS_PORT} instead"
    )
    _require_folder(folder)
    with hold(folder / "LOCK", what=f"the embedded stores in {folder}", remedy=remedy):
        yield


def main(argv: list[str] | None = None) -> None:
    """Fetch the jars, or serve the embedded stores."""
    parser = argparse.ArgumentParser(prog="python -m seqrec.stores.embedded", description=__doc__.splitlines()[0])
    choice = parser.add_mutually_exclusive_group(required=True)
    choice.add_argument("--fetch", action="store_true", help="fetch the jars of the MongoDB server into ~/.ivy2.5.2, once")
    choice.add_argument("--serve", action="store_true", help=f"serve MongoDB at {MONGO_PORT} and Milvus at {MILVUS_PORT}")
    parser.add_argument("--mongo-port", type=int, default=MONGO_PORT, help="port of MongoDB on loopback")
    parser.add_argument("--milvus-port", type=int, default=MILVUS_PORT, help="port of Milvus on loopback")
    arguments = parser.parse_args(argv)
    with command_line():
        if arguments.fetch:
            jars.fetch_jars()
        else:
            serve(data_folder(), mongo_port=arguments.mongo_port, milvus_port=arguments.milvus_port)


def serve(folder: Path, *, mongo_port: int, milvus_port: int) -> None:
    """Serve both stores until SIGINT or SIGTERM, and say how to look into them."""
    end = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: end.set())
    with ExitStack() as stack:
        stack.enter_context(hold_folder(folder))
        mongo = stack.enter_context(mongo_server(folder, port=mongo_port)).uri
        milvus = stack.enter_context(milvus_lite(folder, port=milvus_port))
        sys.stdout.write(GREETING.format(folder=folder, mongo=mongo, milvus=milvus))
        sys.stdout.flush()
        end.wait()


GREETING = """\
The embedded stores of {folder} are served until Ctrl-C:
  MongoDB  {mongo}
  Milvus   {milvus}
Look into them from another terminal:
  export MONGODB_URI={mongo} MILVUS_URI={milvus}
  .venv/bin/python -m seqrec.stores.show
  .venv/bin/python -c 'import pymongo; print(pymongo.MongoClient("{mongo}").seqrec.recommendations.find_one())'
  .venv/bin/python -c 'import pymilvus; print(pymilvus.MilvusClient("{milvus}").describe_collection("item_embeddings"))'
  mongosh {mongo}/seqrec --eval 'db.recommendations.findOne()'
"""


def _require_folder(folder: Path) -> None:
    """Make the folder; UserError if it can't be made or written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(
            f"{folder}, where the embedded stores keep their files, can't be written ({error.strerror}): mend that, or set "
            f"SEQREC_ROOT to another folder, or MONGODB_URI and MILVUS_URI to servers or to none"
        ) from None


if __name__ == "__main__":
    main()
