"""The content of a file from its first bytes: how it is compressed, in which encoding its text is, and its first text."""

import bz2
import codecs
import io
import lzma
import zipfile
import zlib
from typing import Any, Protocol

import pyarrow as pa

from seqrec.errors import UserError
from seqrec.storage import files

MOST = 2**22  # bytes that are looked at
PACKINGS = {  # the first bytes of what is packed
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "Zstandard",
    b"PK\x03\x04": "zip",
}
BY_NAME = {".gz": "gzip", ".bz2": "bzip2"}  # Spark unpacks these, which it knows by the file's name
NO_TEXT = {  # the first bytes of what isn't read at all
    b"7z\xbc\xaf\x27\x1c": "is a 7-Zip archive: unpack it",
    b"Rar!": "is a RAR archive: unpack it",
    b"\xd0\xcf\x11\xe0": "is an old Excel workbook (.xls): save it as CSV",
    b"Obj\x01": "is Avro, which isn't read: write it as Parquet",
    b"ORC": "is ORC, which isn't read: write it as Parquet",
    b"SQLite format 3": "is an SQLite database, which isn't read: write its table as CSV",
    b"\x89HDF": "is HDF5, which isn't read: write it as Parquet",
}
MARKS = (  # what a text in Unicode may begin with, and its encoding; the longer ones first
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
CHUNK = 2**16


class Decompressor(Protocol):
    """What Python's modules of compression have in common."""

    @property
    def eof(self) -> bool:
        """Whether the end was reached."""

    @property
    def unused_data(self) -> bytes:
        """What follows the end."""

    def decompress(self, data: bytes, /) -> bytes:
        """The content of a piece."""


class RangedFile(io.RawIOBase):
    """A file of any file system that is read where its reader asks, for Python's zipfile and for pyarrow."""

    def __init__(self, path: str) -> None:
        self._path, self._place = path, 0
        self._size = files.size_of(path) or 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        return self._place

    def readinto(self, buffer: Any) -> int:
        part = files.read_part(self._path, self._place, min(len(buffer), max(0, self._size - self._place)))
        buffer[: len(part)] = part
        self._place += len(part)
        return len(part)


def packing_of(start: bytes) -> str | None:
    """How a file is packed that begins with these bytes; None for one that isn't."""
    return next((name for mark, name in PACKINGS.items() if start.startswith(mark)), None)


def first_content(path: str, *, member: str | None) -> bytes:
    """The first bytes of a file, at most MOST, unpacked. Raises UserError for what is no text, and for a broken file."""
    start = files.read_part(path, 0, MOST)
    for mark, remedy in NO_TEXT.items():
        if start.startswith(mark):
            raise UserError(f"{path} {remedy}")
    packing = packing_of(start)
    try:
        if packing == "zip":
            with (
                zipfile.ZipFile(io.BufferedReader(RangedFile(path))) as archive,
                archive.open(member_of(archive, path, member)) as source,
            ):
                return source.read(MOST)
        return start if packing is None else _unpack_start(start, packing)
    except UserError:  # a FileError is an OSError too
        raise
    except (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, RuntimeError) as error:
        raise UserError(f"{path} can't be read: {' '.join(str(error).split()) or type(error).__name__}") from None


def member_of(archive: zipfile.ZipFile, path: str, wanted: str | None) -> str:
    """The member of an archive that is read: the wanted one, or the only one. UserError, with their names, where none is that."""
    names = [name for name in archive.namelist() if not name.endswith("/") and "__MACOSX" not in name]
    if "xl/workbook.xml" in names:
        raise UserError(f"{path} is an Excel workbook: save it as CSV")
    if wanted is None and len(names) == 1:
        return names[0]
    matches = [name for name in names if wanted is not None and (name == wanted or name.endswith(f"/{wanted}"))]
    if len(matches) == 1:
        return matches[0]
    listed = ", ".join(names[:10]) or "none"
    problem = f"has {len(names)} files" if wanted is None else f"has no file {wanted!r}, or several"
    raise UserError(f"{path} {problem} ({listed}): say which one by input.member=NAME (users.member, items.member …)")


def encoding_of(content: bytes, *, whole: bool) -> tuple[str, str]:
    """The encoding of a text that begins with these bytes, and why.

    A text of which most lines with more than ASCII are UTF-8 is UTF-8: a damaged line doesn't turn all others into another
    encoding. `whole`: nothing follows, so that no letter is cut at the end.
    """
    content = content.removeprefix(codecs.BOM_UTF8)
    for mark, name in MARKS:
        if content.startswith(mark):
            return name, f"it begins with the byte order mark of {name}"
    zeros = content[:1000].count(0)
    if zeros * 3 > len(content[:1000]):
        name = "UTF-16LE" if content[1:1000:2].count(0) * 2 > zeros else "UTF-16BE"
        return name, "every other byte is 0"
    lines = content.split(b"\n") if whole else content.split(b"\n")[:-1]
    special = [line for line in lines if not line.isascii()]
    good = sum(_decodes(line, "utf-8") for line in special)
    if 2 * good >= len(special) and (good or not special):
        bad = len(special) - good
        return "UTF-8", "plain letters only" if not special else f"{good} lines with more than plain letters are UTF-8" + (
            f", {bad} aren't" if bad else ""
        )
    windows = any(0x80 <= byte <= 0x9F for line in special for byte in line)
    name = "windows-1252" if windows and all(_decodes(line, "cp1252") for line in special) else "ISO-8859-1"
    return name, f"{len(special) - good} lines aren't UTF-8, such as {special[0][:40]!r}"


def decode_start(content: bytes, encoding: str, path: str, *, whole: bool) -> str:
    """The text of a file's first bytes, without byte order mark; a line that is cut at the end is left out."""
    try:
        decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
        text = decoder.decode(content.removeprefix(codecs.BOM_UTF8), final=whole).removeprefix("\ufeff")
    except LookupError:
        raise UserError(
            f"{path}: {encoding!r} is no encoding: say UTF-8, ISO-8859-1 or another one of Python's and Java's"
        ) from None
    if whole:
        return text
    end = max(text.rfind("\n"), text.rfind("\r")) + 1
    if not end:
        raise UserError(f"{path}: its first line is longer than {MOST:,} bytes: give one rating or one user a line")
    return text[:end]


def decompressor(packing: str) -> Decompressor:
    """A new decompressor of gzip, bzip2 or xz."""
    if packing == "gzip":
        return zlib.decompressobj(wbits=31)
    return bz2.BZ2Decompressor() if packing == "bzip2" else lzma.LZMADecompressor()


def _unpack_start(start: bytes, packing: str) -> bytes:
    """The first content of compressed bytes, of which the end may be missing where they are MOST."""
    if packing == "Zstandard":
        return _zstandard(start)
    content, unpacking, rest = b"", decompressor(packing), start
    while rest and len(content) < MOST:
        piece, rest = rest[:CHUNK], rest[CHUNK:]
        content += unpacking.decompress(piece)
        if unpacking.eof:  # another compressed file may follow, as parallel compressors write it
            rest = (unpacking.unused_data + rest).lstrip(b"\0")
            unpacking = decompressor(packing) if rest else unpacking
    if not rest and not unpacking.eof and len(start) < MOST:
        raise EOFError("Compressed file ended before its end-of-stream marker was reached")
    return content[:MOST]


def _zstandard(start: bytes) -> bytes:
    """The first content of bytes in Zstandard."""
    source, content = pa.CompressedInputStream(pa.BufferReader(start), "zstd"), b""
    try:
        while len(content) < MOST and (piece := source.read(CHUNK)):
            content += piece
    except pa.ArrowException as error:
        raise OSError(str(error)) from None
    except OSError:
        if len(start) < MOST:
            raise
    return content


def _decodes(content: bytes, encoding: str) -> bool:
    """Whether bytes are text in an encoding."""
    try:
        content.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
