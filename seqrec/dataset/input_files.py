"""Checks of an input's files before they are read: whether text files are text, and whether all have the same columns.

Spark reads the columns of a CSV by their position, and takes the names from the header of one file. So the driver looks at the
header of every file, through Hadoop, as Spark does: about 2 ms a local file.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import unquote

from pyspark.sql import DataFrame, SparkSession

from seqrec.errors import UserError
from seqrec.tables.input_table import InputTable

MOST = 2**20  # bytes that are looked at for a line
THREADS = 16
BOM = "\ufeff".encode().decode("ISO-8859-1")
REMEDIES = {
    "PAR1": "is Parquet: set {key}.format=parquet",
    "\x1f\x8b": "is compressed by gzip, which Spark knows by the name alone, as the first file isn't: let its name end in .gz",
    "PK\x03\x04": "is a ZIP archive, which the first file isn't: give it alone, or unpack it",
    "\xff\xfe": "is UTF-16: set {key}.encoding=UTF-16, or leave it out",
    "\xfe\xff": "is UTF-16: set {key}.encoding=UTF-16, or leave it out",
}


def first_lines(spark: SparkSession, text: DataFrame) -> dict[str, str]:
    """The first line that isn't blank of each file of a DataFrame of text, by the file's path. Files without one are left out.

    A line's bytes are read as ISO 8859-1, in which every byte is a character. A Py4JJavaError of a file that can't be opened or
    decompressed is left to the caller.
    """
    hadoop = _Hadoop(spark)
    files = sorted(text.inputFiles())
    with ThreadPoolExecutor(THREADS) as threads:
        lines = dict(zip(files, threads.map(hadoop.first_line, files), strict=True))
    return {unquote(file): line for file, line in lines.items() if line}


def guard_text(lines: Mapping[str, str], table: InputTable) -> None:
    """Raise UserError if a file, by its first line, isn't text in UTF-8 or in an encoding of one byte a character."""
    for file, line in lines.items():
        for mark, remedy in REMEDIES.items():
            if line.startswith(mark):
                raise UserError(f"{table.key}.path: {file} {remedy.format(key=table.key)}")


def guard_headers(lines: Mapping[str, str], table: InputTable) -> None:
    """Raise UserError, with both headers, if two files differ in their columns or in the order of these."""
    headers: dict[str, tuple[str, str]] = {}
    for file, line in lines.items():
        header = line.removeprefix(BOM).encode("ISO-8859-1").decode(table.encoding, errors="replace")
        headers.setdefault(header.replace('"', "").strip(), (file, header))
    if len(headers) > 1:
        (file, header), (other, another) = list(headers.values())[:2]
        raise UserError(
            f"{table.key}.path: {file} has the header {header!r}, {other} has {another!r}, but columns are read by their "
            "place: give all files the same columns in the same order"
        )


class _Hadoop:
    """Files through Hadoop's file systems and codecs, in the session's JVM."""

    def __init__(self, spark: SparkSession) -> None:
        session: Any = spark
        jvm, self._conf = session._jvm, session._jsc.hadoopConfiguration()
        self._uri, self._file = jvm.java.net.URI, jvm.org.apache.hadoop.fs.Path
        self._bounded = jvm.org.apache.commons.io.input.BoundedInputStream
        self._reader, self._buffered = jvm.java.io.InputStreamReader, jvm.java.io.BufferedReader
        self._codecs = jvm.org.apache.hadoop.io.compress.CompressionCodecFactory(self._conf)

    def first_line(self, file: str) -> str:
        """The first line that isn't blank, empty if the first MOST bytes have none."""
        path = self._file(self._uri(file))
        codec = self._codecs.getCodec(path)
        stream = path.getFileSystem(self._conf).open(path)
        try:
            content = stream if codec is None else codec.createInputStream(stream)
            lines = self._buffered(self._reader(self._bounded(content, MOST), "ISO-8859-1"))
            return next((str(line) for line in iter(lines.readLine, None) if line.strip()), "")
        finally:
            stream.close()
