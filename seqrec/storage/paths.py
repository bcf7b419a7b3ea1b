"""How a path is written: a local path, file:/x, file:///x, hdfs://host/x or s3a://bucket/x, with any character in it.

A path is never URL-quoted: `%20` is these three characters, as for Hadoop. `uri` quotes a path for code that needs a URL. s3://
means s3a://, see `hadoop.spelled`.
"""

import posixpath
import re
from pathlib import Path
from urllib.parse import quote

from seqrec.errors import UserError

REMOTE_SCHEMES = ("hdfs", "s3", "s3a")
PARTS = re.compile(r"(?:([A-Za-z][A-Za-z0-9+.-]*):(?=/)(?://([^/]*))?)?(.*)", re.DOTALL)


def split(path: str) -> tuple[str, str, str]:
    """Scheme, host and the rest of a path; a local path has neither scheme nor host.

    >>> split("s3a://bucket/a b#c"), split("/data/a: b"), split("file:/data")
    (('s3a', 'bucket', '/a b#c'), ('', '', '/data/a: b'), ('file', '', '/data'))
    """
    match = PARTS.fullmatch(path)
    assert match is not None
    return (match[1] or "").lower(), match[2] or "", match[3]


def is_local(path: str) -> bool:
    """Whether the path is on a file system that this process mounts; UserError for an unknown scheme, or no bucket."""
    scheme, host, _ = split(path)
    if scheme in ("s3", "s3a") and not host:
        raise UserError(f"{path} names no bucket: write {scheme}://BUCKET/FOLDER")
    if scheme in REMOTE_SCHEMES:
        return False
    if scheme not in ("", "file"):
        raise UserError(f"{path}: the scheme {scheme}:// isn't supported; use a local path, file://, hdfs:// or s3a://")
    if host not in ("", "localhost"):
        raise UserError(f"{path} is on another machine, {host}; a local folder is written file:///{host}…, with three slashes")
    return True


def local_path(path: str) -> Path:
    """The operating system's path of a local path or file: URL; a leading `~/` is the user's home.

    >>> local_path("file:///data/a%20b"), local_path("file://localhost/x"), local_path("data/x")
    (PosixPath('/data/a%20b'), PosixPath('/x'), PosixPath('data/x'))
    """
    rest = Path(split(path)[2])
    return rest.expanduser() if rest.parts[:1] == ("~",) else rest


def join(folder: str, *parts: str) -> str:
    """
    >>> join("s3a://bucket/data/", "items")
    's3a://bucket/data/items'
    """
    return posixpath.join(folder.rstrip("/") or "/", *parts)


def absolute(path: str) -> str:
    """The path with its scheme, so that driver and executors read the same file; not URL-quoted, as Spark and Hadoop want it.

    >>> absolute("file:/data/x"), absolute("s3a://bucket/a b")
    ('file:///data/x', 's3a://bucket/a b')
    """
    return f"file://{local_path(path).absolute()}" if is_local(path) else path


def uri(path: str) -> str:
    """The path as a URL with its special characters quoted, for functions that parse URLs, such as SparkContext.addFile.

    >>> uri("s3a://bucket/a b#c")
    's3a://bucket/a%20b%23c'
    """
    scheme, host, rest = split(absolute(path))
    return f"{scheme}://{host}{quote(rest)}"
