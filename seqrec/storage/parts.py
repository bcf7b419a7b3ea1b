"""The files of a Parquet table: their names, bytes and rows, read without Spark.

A version's meta.json records them when the version is finished. Every reader of a table compares one listing with that record,
so a file that was lost, truncated or added is an error, and not a smaller or larger table.
"""

import struct
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from seqrec.errors import UserError
from seqrec.storage import files

DONE, WRITING = "_SUCCESS", "_temporary"
LOGS = {"_delta_log": "Delta", ".hoodie": "Hudi"}  # folders of logs, which alone tell the files that belong to the table
FOOTER_GUESS = 1 << 16  # bytes that are read at first: most footers are smaller
READERS = 16  # footers that are read at a time
JOBS = {
    "build_sequences": ("items", "events", "sequences", "windows", "valid", "test"),
    "build_features": ("users", "item_catalogue", "item_features", "past_items", "ranking_samples", "matching_samples"),
    "build_preferences": ("preferences",),
    "enrich_items": ("enriched_items",),
    "embed_items": ("item_vectors", "item_terms"),
    "item_similarity": ("similar_items",),
    "build_candidates": ("candidates", "candidate_lists"),
    "build_ranker_samples": ("ranker_samples",),
    "train_ranker": ("importances",),
    "evaluate": ("predictions",),
}


def describe_tables(version: str) -> dict[str, dict[str, Any]]:
    """The finished tables in a version's folder: {name: {"rows": …, "files": {name: bytes}}}, rows from the footers."""
    tables = {}
    for table, size in files.sizes(version).items():
        path = files.join(version, table)
        if size is None and DONE in (content := files.sizes(path)):
            parts = _data(content)
            with ThreadPoolExecutor(READERS) as threads:
                rows = threads.map(rows_of_file, [files.join(path, name) for name in parts])
                tables[table] = {"rows": sum(rows), "files": parts}
    return tables


def rows_of_file(path: str) -> int:
    """The rows of a Parquet file, by its footer; UserError if it has none."""
    footer = footer_of(path)
    if footer is None:
        raise UserError(f"{path} isn't a whole Parquet file: {job_of(path.rsplit('/', 2)[-2])} again")
    return int(footer.num_rows)


def footer_of(path: str) -> pq.FileMetaData | None:
    """The footer of a Parquet file, None if it has none that can be read; FileNotFoundError if there is no such file."""
    end = files.read_end(path, FOOTER_GUESS)
    if end[-4:] != b"PAR1" or len(end) < 12:
        return None
    size = struct.unpack("<I", end[-8:-4])[0] + 8
    if size > len(end):
        end = files.read_end(path, size)
    try:
        return pq.read_metadata(pa.BufferReader(end))
    except (pa.ArrowException, OSError):
        return None


def require_recorded(table: str, recorded: Mapping[str, int | None]) -> list[str]:
    """The names of a table's files, if they and their bytes are those that meta.json records.

    Raises UserError, with the file and the job that writes the table, for a file that is missing, added, or of another size.
    """
    where, name = table.rsplit("/", 1)
    content = files.sizes(table)
    wanted, there = recorded, _data(content)
    remedy = f"{job_of(name)} again, or name another version"
    if not content:
        gone = "the version is gone, as `keep` removes old ones" if not files.exists(where) else "its folder is missing"
        raise UserError(f"the table {table} of {len(wanted)} files can't be read: {gone}; {remedy}")
    for file in sorted(wanted.keys() | there.keys()):
        path = files.join(table, file)
        if file not in there:
            raise UserError(f"{path} is missing, one of the {len(wanted)} files of this table: {remedy}")
        if file not in wanted:
            raise UserError(
                f"{path} is none of the {len(wanted)} files that meta.json names for this table: remove it, or {remedy}"
            )
        if there[file] != wanted[file]:
            raise UserError(f"{path} has {there[file]:,} bytes, {wanted[file]:,} were written: {remedy}")
    return list(wanted)


def require_finished(table: str, *, marked: bool) -> list[str]:
    """The names of the Parquet files of a table without a record; UserError if it is absent, unfinished, or not plain Parquet.

    With `marked`, a finished table must have _SUCCESS; otherwise it must not have _temporary.
    """
    content = files.sizes(table)
    job = job_of(table.rstrip("/").rsplit("/", 1)[-1])
    if not content:
        raise UserError(f"the table {table} doesn't exist: {job} first")
    for log, kind in LOGS.items():
        if log in content:
            raise UserError(f"{table} is a {kind} table, whose files hold deleted rows too: export it as Parquet, and take that")
    if marked and DONE not in content:
        raise UserError(f"the table {table} is unfinished (no {DONE}): {job} again")
    if WRITING in content:
        raise UserError(f"the table {table} is unfinished (it holds {WRITING}): wait until it is written, or write it again")
    return [name for name in content if name.endswith(".parquet")]


def job_of(table: str) -> str:
    """The remedy for a table that is missing or broken: which job to run.

    >>> job_of("windows"), job_of("films")
    ('run build_sequences', 'run the job that writes it')
    """
    jobs = (job for job, tables in JOBS.items() if table in tables)
    return f"run {next(jobs, 'the job that writes it')}"


def _data(content: dict[str, int | None]) -> dict[str, int | None]:
    """The entries of a table's folder that Spark reads: it skips names that begin with _ or a point."""
    return {name: size for name, size in content.items() if not name.startswith(("_", "."))}
