"""Small files on any file system: local paths, file://, hdfs:// and s3a://.

Spark reads and writes the tables; this module is for what lies beside them (CURRENT, meta.json, checkpoints). A remote path
goes through Hadoop's file system where a Spark context runs in this process, else through pyarrow's, which takes its S3 keys
from the AWS_* variables and its HDFS client from HADOOP_HOME.
"""

import os
import posixpath
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow.fs

from seqrec.errors import UserError

REMOTE_SCHEMES = ("hdfs", "s3", "s3a")


def is_local(path: str) -> bool:
    """Whether the path is on a file system that this process mounts; an unknown scheme is an error."""
    scheme = urlsplit(path).scheme
    if scheme in REMOTE_SCHEMES:
        return False
    if scheme not in ("", "file"):
        raise UserError(f"{path}: the scheme {scheme}:// isn't supported; use a local path, file://, hdfs:// or s3a://")
    return True


def local_path(path: str) -> Path:
    """The operating system's path of a local path or file:// URL."""
    return Path(path.removeprefix("file://"))


def join(folder: str, *parts: str) -> str:
    """
    >>> join("s3a://bucket/data/", "items")
    's3a://bucket/data/items'
    """
    return posixpath.join(folder.rstrip("/") or "/", *parts)


def absolute(path: str) -> str:
    """The path with its scheme, so that driver and executors mean the same place.

    >>> absolute("file:///data/x"), absolute("s3a://bucket/x")
    ('file:///data/x', 's3a://bucket/x')
    """
    return f"file://{local_path(path).absolute()}" if is_local(path) else path


def exists(path: str) -> bool:
    """Whether a file or folder is there."""
    if is_local(path):
        return local_path(path).exists()
    if (hadoop := _hadoop(path)) is not None:
        fs, where = hadoop
        return bool(fs.exists(where))
    arrow, inner = _arrow(path)
    return bool(arrow.get_file_info(inner).type != pyarrow.fs.FileType.NotFound)


def read_bytes(path: str) -> bytes:
    """A whole file; FileNotFoundError if there is none."""
    if is_local(path):
        return local_path(path).read_bytes()
    if not exists(path):
        raise FileNotFoundError(path)
    if (hadoop := _hadoop(path)) is not None:
        fs, where = hadoop
        stream = fs.open(where)
        try:
            return bytes(_jvm().org.apache.commons.io.IOUtils.toByteArray(stream))
        finally:
            stream.close()
    arrow, inner = _arrow(path)
    with arrow.open_input_stream(inner) as source:
        return bytes(source.read())


def read_text(path: str) -> str:
    """A whole UTF-8 file; FileNotFoundError if there is none."""
    return read_bytes(path).decode()


def write_bytes(path: str, content: bytes) -> None:
    """Create or replace a file as a whole: a reader sees the old content or the new one, never a part."""
    if is_local(path):
        target = local_path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        try:
            with os.fdopen(handle, "wb") as sink:
                sink.write(content)
                sink.flush()
                os.fsync(sink.fileno())
            os.chmod(temporary, 0o644)
            os.replace(temporary, target)
        except BaseException:
            os.unlink(temporary)
            raise
    elif (hadoop := _hadoop(path)) is not None:
        _replace_hadoop(*hadoop, content)
    else:
        arrow, inner = _arrow(path)
        arrow.create_dir(posixpath.dirname(inner), recursive=True)
        with arrow.open_output_stream(inner) as sink:
            sink.write(content)


def write_text(path: str, content: str) -> None:
    """Create or replace a UTF-8 file as a whole."""
    write_bytes(path, content.encode())


def names(folder: str) -> list[str]:
    """Names in a folder, sorted; none if there is no such folder."""
    if is_local(folder):
        root = local_path(folder)
        return sorted(os.listdir(root)) if root.is_dir() else []
    if not exists(folder):
        return []
    if (hadoop := _hadoop(folder)) is not None:
        fs, where = hadoop
        return sorted(status.getPath().getName() for status in fs.listStatus(where))
    arrow, inner = _arrow(folder)
    return sorted(info.base_name for info in arrow.get_file_info(pyarrow.fs.FileSelector(inner)))


def remove(path: str) -> None:
    """Remove a file, or a folder with all it holds; nothing happens if it isn't there."""
    if is_local(path):
        target = local_path(path)
        if target.is_dir():
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)
    elif (hadoop := _hadoop(path)) is not None:
        fs, where = hadoop
        fs.delete(where, True)
    elif exists(path):
        arrow, inner = _arrow(path)
        if arrow.get_file_info(inner).type == pyarrow.fs.FileType.Directory:
            arrow.delete_dir(inner)
        else:
            arrow.delete_file(inner)


def fetch(path: str, folder: Path) -> Path:
    """A local path of a file: itself where it is local, else a copy in the folder."""
    if is_local(path):
        return local_path(path)
    target = folder / posixpath.basename(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    if (hadoop := _hadoop(path)) is not None:
        fs, where = hadoop
        fs.copyToLocalFile(False, where, _jvm().org.apache.hadoop.fs.Path(str(target)), True)
    else:
        arrow, inner = _arrow(path)
        pyarrow.fs.copy_files(inner, str(target), source_filesystem=arrow, destination_filesystem=pyarrow.fs.LocalFileSystem())
    return target


def put(source: Path, path: str) -> None:
    """Copy a local file to a path, of any size; on a local path and in S3 it appears whole, replacing what was there."""
    if is_local(path):
        target = local_path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        shutil.copyfile(source, temporary)
        os.replace(temporary, target)
    elif (hadoop := _hadoop(path)) is not None:
        fs, where = hadoop
        fs.copyFromLocalFile(False, True, _jvm().org.apache.hadoop.fs.Path(absolute(str(source))), where)  # S3 needs the scheme
    else:
        arrow, inner = _arrow(path)
        arrow.create_dir(posixpath.dirname(inner), recursive=True)
        pyarrow.fs.copy_files(str(source), inner, source_filesystem=pyarrow.fs.LocalFileSystem(), destination_filesystem=arrow)


def _jvm() -> Any:
    from pyspark import SparkContext

    context = SparkContext._active_spark_context
    return None if context is None else context._jvm


def _hadoop(path: str) -> tuple[Any, Any] | None:
    if "pyspark" not in sys.modules or (jvm := _jvm()) is None:
        return None
    from pyspark import SparkContext

    context: Any = SparkContext._active_spark_context
    where = jvm.org.apache.hadoop.fs.Path(path)
    return where.getFileSystem(context._jsc.hadoopConfiguration()), where


def _replace_hadoop(fs: Any, where: Any, content: bytes) -> None:
    atomic_create = fs.getScheme() in ("s3a", "s3")
    target = where if atomic_create else where.suffix(f".{os.getpid()}.tmp")
    sink = fs.create(target, True)
    try:
        sink.write(content)
    finally:
        sink.close()
    if not atomic_create:
        from pyspark import SparkContext

        jvm, gateway = _jvm(), SparkContext._gateway
        assert gateway is not None
        rename = jvm.org.apache.hadoop.fs.Options.Rename
        options = gateway.new_array(rename, 1)
        options[0] = rename.OVERWRITE
        jvm.org.apache.hadoop.fs.FileContext.getFileContext(where.toUri(), fs.getConf()).rename(target, where, options)


def _arrow(path: str) -> tuple[pyarrow.fs.FileSystem, str]:
    parts = urlsplit(path)
    inner = f"{parts.netloc}{parts.path}"
    if parts.scheme == "hdfs":
        try:
            return pyarrow.fs.HadoopFileSystem(parts.hostname or "default", parts.port or 8020), parts.path
        except OSError as error:
            raise UserError(f"{path}: no HDFS client ({error}); set HADOOP_HOME and ARROW_LIBHDFS_DIR") from error
    endpoint = os.environ.get("AWS_ENDPOINT_URL")
    return pyarrow.fs.S3FileSystem(endpoint_override=endpoint), inner
