"""Files on hdfs:// and s3a:// through pyarrow, where no Spark context runs.

S3 keys are read from the AWS_* variables; the HDFS client is the one in HADOOP_HOME.
"""

import ctypes
import os
import posixpath
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow.fs

from seqrec.storage.local import chunks, temporary_name
from seqrec.storage.paths import split

CONNECT_S, ANSWER_S, TRIES = 10.0, 20.0, 4  # for S3: without an answer a request fails after about 85 seconds
QUICK_S = 4.0  # replaces both in a test of whether a folder can be written


HINTS = {
    "NO_SUCH_BUCKET": "there is no such bucket",
    "ACCESS_DENIED": "access is denied: are AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY right, and may they do this?",
    "INVALID_ACCESS_KEY_ID": "the server doesn't know the key AWS_ACCESS_KEY_ID",
    "SIGNATURE_DOES_NOT_MATCH": "the server refuses the key AWS_SECRET_ACCESS_KEY",
    "NETWORK_CONNECTION": "no server answers: is AWS_ENDPOINT_URL, else the network to Amazon's servers, right?",
}


class ArrowFiles:
    """Files on hdfs:// and s3a:// through pyarrow, where no Spark context runs; the methods are those of `files.FileSystem`."""

    def exists(self, path: str) -> bool:
        with _opened(path) as (system, inner):
            return bool(system.get_file_info(inner).type != pyarrow.fs.FileType.NotFound)

    def read(self, path: str) -> bytes:
        with _opened(path) as (system, inner), system.open_input_stream(inner) as source:
            return bytes(source.read())

    def write(self, path: str, content: bytes) -> None:
        with _opened(path) as (system, inner):
            _create(system, inner, [content])

    def put(self, source: Path, path: str) -> None:
        with _opened(path) as (system, inner):
            _create(system, inner, chunks(source))

    def names(self, folder: str) -> list[str]:
        with _opened(folder) as (system, inner):
            if system.get_file_info(inner).type != pyarrow.fs.FileType.Directory:
                return []
            return [info.base_name for info in system.get_file_info(pyarrow.fs.FileSelector(inner))]

    def sizes(self, folder: str) -> dict[str, int | None]:
        with _opened(folder) as (system, inner):
            if system.get_file_info(inner).type != pyarrow.fs.FileType.Directory:
                return {}
            return {info.base_name: info.size for info in system.get_file_info(pyarrow.fs.FileSelector(inner))}

    def newest_change(self, folder: str) -> float:
        with _opened(folder) as (system, inner):
            place = system.get_file_info(inner)
            if place.type != pyarrow.fs.FileType.Directory:
                return (place.mtime_ns or 0) / 1e9
            inside = system.get_file_info(pyarrow.fs.FileSelector(inner, recursive=True))
            return max(((info.mtime_ns or 0) / 1e9 for info in inside), default=0.0)

    def read_end(self, path: str, size: int) -> bytes:
        with _opened(path) as (system, inner), system.open_input_file(inner) as source:
            source.seek(max(0, source.size() - size))
            return bytes(source.read())

    def read_part(self, path: str, start: int, size: int) -> bytes:
        with _opened(path) as (system, inner), system.open_input_file(inner) as source:
            source.seek(start)
            return bytes(source.read(size))

    def size(self, path: str) -> int | None:
        with _opened(path) as (system, inner):
            info = system.get_file_info(inner)
            if info.type == pyarrow.fs.FileType.NotFound:
                raise FileNotFoundError(path)
            return int(info.size) if info.type == pyarrow.fs.FileType.File else None

    def remove(self, path: str) -> None:
        with _opened(path) as (system, inner):
            kind = system.get_file_info(inner).type
            if kind == pyarrow.fs.FileType.Directory:
                system.delete_dir(inner)
            elif kind != pyarrow.fs.FileType.NotFound:
                system.delete_file(inner)

    def fetch(self, path: str, target: Path) -> None:
        with _opened(path) as (system, inner):
            local = pyarrow.fs.LocalFileSystem()
            pyarrow.fs.copy_files(inner, str(target), source_filesystem=system, destination_filesystem=local)

    def try_to_write(self, folder: str) -> None:
        with _opened(posixpath.join(folder, temporary_name()), quick=True) as (system, inner):
            _create(system, inner, [b""])
            system.delete_file(inner)


def _create(system: pyarrow.fs.FileSystem, inner: str, content: Iterable[bytes]) -> None:
    """Create or replace a file: on HDFS under a temporary name first, in S3 by an upload."""
    if isinstance(system, pyarrow.fs.S3FileSystem):
        _upload(system, inner, content)
        return
    temporary = posixpath.join(posixpath.dirname(inner), temporary_name())
    system.create_dir(posixpath.dirname(inner), recursive=True)
    try:
        with system.open_output_stream(temporary) as sink:
            for chunk in content:
                sink.write(chunk)
        if system.get_file_info(inner).type != pyarrow.fs.FileType.NotFound:
            system.delete_file(inner)  # libhdfs has no rename that replaces: for this moment there is no file
        system.move(temporary, inner)
    except BaseException:
        with suppress(OSError):
            system.delete_file(temporary)
        raise


def _upload(system: pyarrow.fs.S3FileSystem, inner: str, content: Iterable[bytes]) -> None:
    """Upload a file to S3, where it appears when its stream is closed.

    A stream can't be aborted, and Python closes it when it frees it, which would publish a partial file. So a stream that failed
    gets an extra reference: it is never freed, not even at the end of the process.
    """
    sink = system.open_output_stream(inner)
    try:
        for chunk in content:
            sink.write(chunk)
        sink.close()
    except BaseException:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(sink))
        raise


@contextmanager
def _opened(path: str, *, quick: bool = False) -> Iterator[tuple[pyarrow.fs.FileSystem, str]]:
    """The file system of a path, and the path inside it. In the `with` block, known errors of S3 begin with their cause."""
    try:
        yield _open(path, quick=quick)
    except FileNotFoundError:
        raise
    except OSError as error:
        hint = next((hint for name, hint in HINTS.items() if f"AWS Error {name}" in str(error)), None)
        if hint is None:
            raise
        raise OSError(f"{hint} ({str(error).partition('AWS Error ')[2]})") from error


def _open(path: str, *, quick: bool) -> tuple[pyarrow.fs.FileSystem, str]:
    """The file system of a path, and the path inside it; `quick` takes the short timeouts of a test write."""
    scheme, host, inner = split(path)
    if scheme != "hdfs":
        system = pyarrow.fs.S3FileSystem(
            endpoint_override=os.environ.get("AWS_ENDPOINT_URL"),
            connect_timeout=QUICK_S if quick else CONNECT_S,
            request_timeout=QUICK_S if quick else ANSWER_S,
            retry_strategy=pyarrow.fs.AwsStandardS3RetryStrategy(max_attempts=TRIES),
        )
        return system, f"{host}{inner}".rstrip("/")
    name, _, port = host.partition(":")
    try:
        return pyarrow.fs.HadoopFileSystem(name or "default", int(port or 8020)), inner
    except OSError as error:
        raise OSError(f"no HDFS client ({error}): set HADOOP_HOME and ARROW_LIBHDFS_DIR") from error
