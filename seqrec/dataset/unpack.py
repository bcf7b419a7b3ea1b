"""Files that Spark can't read as they lie, copied as it reads them: out of a ZIP archive, from UTF-16, under another name.

The copy is made by the driver, in one stream, in a folder that the executors see: that of the version which a job writes. It is
removed when the job has read it, or has failed.
"""

import bz2
import codecs
import gzip
import io
import logging
import lzma
import re
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa

from seqrec.dataset.content import BY_NAME, RangedFile, member_of, packing_of
from seqrec.dataset.first_files import first_file, input_files
from seqrec.dataset.snapshot import UNFINISHED, changed_error
from seqrec.dataset.spark_tables import SPARK_TABLES
from seqrec.errors import FileError, UserError
from seqrec.storage import files, versions
from seqrec.storage.path_files import InputFile
from seqrec.tables.input_table import InputTable

log = logging.getLogger("seqrec")

UNPACKED = "_unpacked"  # the folder of the copies
CHUNK = 1 << 23  # bytes
WIDE = ("UTF-16", "UTF-32", "UTF16", "UTF32")  # encodings whose line ends Spark doesn't find
CODECS = (*BY_NAME, ".zst")  # by such a name Spark decompresses a file
MARK = codecs.BOM_UTF8
BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, RuntimeError, pa.ArrowException)


@contextmanager
def unpacked(table: InputTable, *, folder: str) -> Iterator[InputTable]:
    """In the `with` block, the table as Spark reads it: itself, or a copy in `folder`, which is removed at the end.

    Whether a copy is needed is told by the first file with content. Raises UserError for a broken file, an archive of several
    files of which none is named, and a file that changes while it is copied.
    """
    if table.format in SPARK_TABLES or not _needs_copy(first_file(table.path), table):
        yield table
        return
    versions.claim(folder)
    target = files.join(folder, UNPACKED, table.key)
    originals = input_files(table.path)
    log.info("unpacking %s into %s, which is removed at the end", table.path, target)
    try:
        for number, original in enumerate(originals):
            _copy(original, files.join(target, f"{number:05}"), table)
        encoding = "UTF-8" if _is_wide(table.encoding) else table.encoding
        path = files.join(target, "00000") if len(originals) == 1 else target
        yield replace(table, path=path, encoding=encoding, member=None, origin=table.path)
    finally:
        files.remove(target)
        if not files.names(files.join(folder, UNPACKED)):
            files.remove(files.join(folder, UNPACKED))


def open_unpacked(table: InputTable, *, folder: str, copies: ExitStack) -> InputTable:
    """The table as Spark reads it, see `unpacked`; a copy is removed when `copies` is closed."""
    return copies.enter_context(unpacked(table, folder=folder))


def _needs_copy(file: InputFile, table: InputTable) -> bool:
    """Whether Spark can't read a file as it lies."""
    name, start = file.path.rstrip("/").rsplit("/", 1)[-1], files.read_part(file.path, 0, 8)
    if name.startswith((".", "_")) or ":" in name:
        return True
    if table.format == "parquet":
        return False
    packing = packing_of(start)
    by_name = next((suffix for suffix in CODECS if name.endswith(suffix)), None)
    marked = table.multiline and table.format == "json" and start.startswith(MARK)
    return (
        packing != (BY_NAME.get(by_name) if by_name else None)
        or bool(by_name and not packing)
        or _is_wide(table.encoding)
        or marked
    )


def _is_wide(encoding: str) -> bool:
    """Whether letters have two or four bytes."""
    return encoding.upper().replace("_", "-").startswith(WIDE)


def _copy(original: InputFile, target: str, table: InputTable) -> None:
    """Write the content of a file, unpacked and in UTF-8 where its encoding is wide. Raises UserError if the file is broken."""
    if re.search(UNFINISHED, original.path):
        raise UserError(f"{table.key}.path={original.path} is still being written, by its name: wait until it is whole")
    before = files.newest_change(original.path)
    with tempfile.TemporaryDirectory() as scratch:
        local = files.local_path(target) if files.is_local(target) else Path(scratch, "content")
        local.parent.mkdir(parents=True, exist_ok=True)
        try:
            with _opened(original.path, table) as source, local.open("wb") as sink:
                for piece in _in_utf8(source, table):
                    sink.write(piece)
        except BROKEN as error:
            if isinstance(error, UserError) and not isinstance(error, FileError):
                raise
            raise UserError(f"{original.path} can't be read: {' '.join(str(error).split()) or type(error).__name__}") from None
        if not files.is_local(target):
            files.put(local, target)
    if (files.size_of(original.path), files.newest_change(original.path)) != (original.size, before):
        raise changed_error(table, f"{original.path} was written anew")


@contextmanager
def _opened(path: str, table: InputTable) -> Iterator[BinaryIO]:
    """The unpacked content of a file."""
    packing = None if table.format == "parquet" else packing_of(files.read_part(path, 0, 8))
    with io.BufferedReader(RangedFile(path), CHUNK) as raw:
        if packing == "zip":
            with zipfile.ZipFile(raw) as archive, archive.open(member_of(archive, path, table.member)) as source:
                yield cast(BinaryIO, source)
        elif packing == "Zstandard":
            with pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), "zstd") as source:
                yield source
        elif packing is None:
            yield raw
        else:
            with _decompressed(raw, packing) as source:
                yield source


def _decompressed(raw: "io.BufferedReader[RangedFile]", packing: str) -> BinaryIO:
    """The content of a stream in gzip, bzip2 or xz."""
    if packing == "gzip":
        return cast(BinaryIO, gzip.GzipFile(fileobj=raw))
    return cast(BinaryIO, bz2.BZ2File(raw) if packing == "bzip2" else lzma.LZMAFile(raw))


def _in_utf8(source: BinaryIO, table: InputTable) -> Iterator[bytes]:
    """The content in pieces: a text in a wide encoding in UTF-8, any other as it is; without byte order mark."""
    decoder = codecs.getincrementaldecoder(table.encoding)(errors="replace") if _is_wide(table.encoding) else None
    first = True
    while piece := source.read(CHUNK):
        content = piece if decoder is None else decoder.decode(piece).encode(errors="replace")
        yield content.removeprefix(MARK) if first else content
        first = False
    if decoder is not None:
        yield decoder.decode(b"", final=True).encode()
