"""Files on Hadoop's file systems, hdfs:// and s3a://, through the JVM of the Spark context that runs in this process."""

import logging
import posixpath
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from seqrec.storage.local import temporary_name
from seqrec.storage.paths import absolute, split

log = logging.getLogger("seqrec")

# For a test write: it fails after about 15 seconds, the shortest time that S3A allows, instead of after minutes.
QUICK = {
    "fs.s3a.attempts.maximum": "4",
    "fs.s3a.retry.limit": "0",
    "fs.s3a.retry.throttle.limit": "0",
    "fs.s3a.connection.establish.timeout": "15s",
    "fs.s3a.connection.timeout": "15s",
    "fs.s3a.connection.request.timeout": "15s",
    "ipc.client.connect.max.retries": "3",
    "ipc.client.connect.max.retries.on.timeouts": "0",
    "dfs.client.failover.max.attempts": "3",
}
HINTS = {
    "UnknownStoreException": "there is no such bucket",
    "AccessDeniedException": "access is denied: are AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY right, and may they do this?",
    "ConnectException": "no server answers: is AWS_ENDPOINT_URL, or the host in the path, right?",
    "UnknownHostException": "there is no such server: is AWS_ENDPOINT_URL, or the host in the path, right?",
    "AWSApiCallTimeoutException": "the server doesn't answer in time",
    "UnsupportedFileSystemException": "this Spark has no file system of that scheme; an S3 bucket is written s3a://BUCKET",
    "ClassNotFoundException": "this Spark lacks the package of that file system: start jobs by python -m seqrec JOB",
    "NoAuthWithAWSException": "no keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
}


def runs() -> bool:
    """Whether a Spark context runs in this process."""
    return "pyspark" in sys.modules and _context()._active_spark_context is not None


class HadoopFiles:
    """The methods of `files.FileSystem`, in the JVM of the Spark context that runs in this process."""

    def exists(self, path: str) -> bool:
        with _errors(path):
            return bool(_system(path).exists(_path(path)))

    def read(self, path: str) -> bytes:
        with _errors(path):
            stream = _system(path).open(_path(path))
            try:
                return bytes(_jvm().org.apache.commons.io.IOUtils.toByteArray(stream))
            finally:
                stream.close()

    def write(self, path: str, content: bytes) -> None:
        with _errors(path), _whole(path) as target:
            stream = _system(path).create(_path(target), True)
            try:
                stream.write(content)
            except BaseException:
                if _is_s3(path):
                    stream.abort()  # closing the stream would publish the partial file
                else:
                    with suppress(Exception):
                        stream.close()
                raise
            stream.close()

    def put(self, source: Path, path: str) -> None:
        size = source.stat().st_size
        with _errors(path), _whole(path) as target:
            system, where = _system(path), _path(target)
            system.copyFromLocalFile(False, True, _path(absolute(str(source))), where)
            if (copied := system.getFileStatus(where).getLen()) != size:
                raise OSError(f"{source} changed while it was copied: it had {size} bytes, {copied} were read")

    def names(self, folder: str) -> list[str]:
        with _errors(folder):
            system, where = _system(folder), _path(folder)
            if not system.exists(where) or not system.getFileStatus(where).isDirectory():
                return []
            return [status.getPath().getName() for status in system.listStatus(where)]

    def sizes(self, folder: str) -> dict[str, int | None]:
        with _errors(folder):
            system, where = _system(folder), _path(folder)
            if not system.exists(where) or not system.getFileStatus(where).isDirectory():
                return {}
            statuses = system.listStatus(where)
            return {status.getPath().getName(): status.getLen() if status.isFile() else None for status in statuses}

    def newest_change(self, folder: str) -> float:
        with _errors(folder):
            system, where = _system(folder), _path(folder)
            times = [0.0]
            files = system.listFiles(where, True) if system.exists(where) else None
            while files is not None and files.hasNext():
                times.append(files.next().getModificationTime() / 1000)
            return max(times)

    def read_end(self, path: str, size: int) -> bytes:
        with _errors(path):
            system, where = _system(path), _path(path)
            stream = system.open(where)
            try:
                stream.seek(max(0, system.getFileStatus(where).getLen() - size))
                return bytes(_jvm().org.apache.commons.io.IOUtils.toByteArray(stream))
            finally:
                stream.close()

    def read_part(self, path: str, start: int, size: int) -> bytes:
        with _errors(path):
            stream = _system(path).open(_path(path))
            try:
                stream.seek(start)
                part = _jvm().org.apache.commons.io.input.BoundedInputStream(stream, size)
                return bytes(_jvm().org.apache.commons.io.IOUtils.toByteArray(part))
            finally:
                stream.close()

    def size(self, path: str) -> int | None:
        with _errors(path):
            status = _system(path).getFileStatus(_path(path))
            return int(status.getLen()) if status.isFile() else None

    def remove(self, path: str) -> None:
        with _errors(path):
            _system(path).delete(_path(path), True)

    def fetch(self, path: str, target: Path) -> None:
        with _errors(path):
            _system(path).copyToLocalFile(False, _path(path), _path(absolute(str(target))), True)

    def try_to_write(self, folder: str) -> None:
        """Create and remove a test file in the folder or, if there is none, in its nearest ancestor; OSError if that fails."""
        with _errors(folder):
            settings = _jvm().org.apache.hadoop.conf.Configuration(_settings())
            for key, value in QUICK.items():
                settings.set(key, value)
            system = _jvm().org.apache.hadoop.fs.FileSystem.newInstance(_path(folder).toUri(), settings)
            try:
                ancestor = _path(folder)
                while not _is_s3(folder) and ancestor.getParent() is not None and not system.exists(ancestor):
                    ancestor = ancestor.getParent()
                probe = _jvm().org.apache.hadoop.fs.Path(ancestor, temporary_name())
                system.create(probe, True).close()
                system.delete(probe, False)
            finally:
                system.close()


@contextmanager
def _whole(path: str) -> Iterator[str]:
    """The path to write to: in S3 the file itself, which appears when it is closed; else a temporary one, renamed at the end."""
    if _is_s3(path):
        yield path
        return
    temporary = posixpath.join(posixpath.dirname(path), temporary_name())
    try:
        yield temporary
        jvm, gateway = _jvm(), _context()._gateway
        overwrite = gateway.new_array(jvm.org.apache.hadoop.fs.Options.Rename, 1)
        overwrite[0] = jvm.org.apache.hadoop.fs.Options.Rename.OVERWRITE
        system = jvm.org.apache.hadoop.fs.FileContext.getFileContext(_path(path).toUri(), _settings())
        system.rename(_path(temporary), _path(path), overwrite)
    except BaseException:
        with suppress(Exception):
            _system(path).delete(_path(temporary), False)
        raise


@contextmanager
def _errors(path: str) -> Iterator[None]:
    """In the `with` block, Java's exceptions become OSErrors of one line."""
    from py4j.protocol import Py4JError, Py4JJavaError

    try:
        yield
    except Py4JJavaError as error:
        causes: list[tuple[str, str]] = []
        exception = error.java_exception
        while exception is not None and len(causes) < 10:
            causes.append((str(exception.getClass().getSimpleName()), str(exception.getMessage()).strip()))
            exception = exception.getCause()
        if causes[0][0] == "FileNotFoundException" and not causes[0][1].startswith("Bucket "):
            raise FileNotFoundError(path) from error
        raise OSError(_reason(causes, path)) from error
    except Py4JError as error:
        raise OSError(f"Spark's JVM doesn't answer ({str(error).splitlines()[0]})") from error


def _reason(causes: list[tuple[str, str]], path: str) -> str:
    """What went wrong, from the names and messages of Java's exceptions, the outermost first."""
    hint = next((HINTS[name] for name, _ in causes if name in HINTS), None)
    message = (causes[-1][1].splitlines() or [""])[0].partition(" (Service: ")[0]
    detail = f"{causes[0][0]}: {message}" if message not in ("", "null", path) else causes[0][0]
    return f"{hint} ({detail})" if hint else detail


def _context() -> Any:
    """pyspark's SparkContext class; imported here, because this module must load without pyspark."""
    from pyspark import SparkContext

    return SparkContext


def _jvm() -> Any:
    """The JVM of the Spark context."""
    return _context()._active_spark_context._jvm


def _settings() -> Any:
    """Hadoop's settings in the Spark context."""
    return _context()._active_spark_context._jsc.hadoopConfiguration()


def spelled(path: str) -> str:
    """The path as this Spark reads it: s3:// means s3a://, unless fs.s3.impl names another file system for it, as on EMR."""
    scheme, host, rest = split(path)
    if scheme != "s3" or _settings().get("fs.s3.impl"):
        return path
    _say_spelling(host)
    return f"s3a://{host}{rest}"


@cache
def _say_spelling(bucket: str) -> None:
    """Say once for each bucket how it is read."""
    log.info("s3://%s is read as s3a://%s: this Spark has no other file system for s3://", bucket, bucket)


def _path(path: str) -> Any:
    """A path as Hadoop's object."""
    return _jvm().org.apache.hadoop.fs.Path(spelled(path))


def _system(path: str) -> Any:
    """Hadoop's file system of a path."""
    return _path(path).getFileSystem(_settings())


def _is_s3(path: str) -> bool:
    """Whether a path is in S3, where a file appears when its stream is closed."""
    return split(path)[0] in ("s3", "s3a")
