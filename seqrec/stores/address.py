"""Addresses of stores: how they are checked, and how they are shown without passwords."""

import re
from urllib.parse import unquote, urlsplit

from seqrec.errors import UserError

EMBEDDED, NONE = "embedded", "none"
SCHEMES = {"MONGODB_URI": ("mongodb", "mongodb+srv"), "MILVUS_URI": ("http", "https")}
EXAMPLES = {"MONGODB_URI": "mongodb://host:27017", "MILVUS_URI": "http://host:19530"}
LOOPBACK = "127.0.0.1"


def check_address(uri: str, variable: str) -> str:
    """The value of a store's variable, if it is a server's address, embedded or none; else UserError."""
    if uri in (EMBEDDED, NONE):
        return uri
    try:
        parts = urlsplit(uri)
        if variable == "MILVUS_URI":
            _ = parts.port  # MongoDB's address may be of several servers, whose ports its driver checks
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in SCHEMES[variable] or not parts.netloc.rpartition("@")[2]:
        shown = masked(uri) if "://" in uri else "its value"
        raise UserError(f"{variable}: {shown} is no address; set it to {EXAMPLES[variable]}, {EMBEDDED} or {NONE}")
    return uri


def masked(uri: str) -> str:
    """The URI without credentials and options, which may hold secrets.

    >>> masked("mongodb://ann:p%40ss@a:1,b:2/db?tlsCertificateKeyFilePassword=x")
    'mongodb://***@a:1,b:2/db'
    >>> masked("http://localhost:19530")
    'http://localhost:19530'
    """
    scheme, _, rest = uri.partition("://")
    credentials, at, hosts = rest.rpartition("@")
    hosts = hosts.partition("?")[0].partition("#")[0].rstrip("/")
    return f"{scheme}://{'***@' if at and credentials else ''}{hosts}"


def mongodb_name(server: str, *, database: str, collection: str) -> str:
    """A collection as logs and the journal of publications name it; `server` is masked, or says where an embedded one is."""
    return f"MongoDB {server}, collection {database}.{collection}"


def milvus_name(server: str, *, alias: str) -> str:
    """An alias as logs and the journal of publications name it."""
    return f"Milvus {server}, alias {alias}"


def scrubbed(text: str, *secrets: str) -> str:
    """A message on one line, without the secrets and without the credentials of the URIs among them.

    >>> scrubbed("can't reach mongodb://ann:p%40ss@a:1,\\n with p@ss", "mongodb://ann:p%40ss@a:1")
    "can't reach mongodb://***@a:1, with ***"
    """
    for secret in secrets:
        if "://" in secret:
            text = text.replace(secret, masked(secret))
            password = secret.partition("://")[2].rpartition("@")[0].partition(":")[2]
            parts: tuple[str, ...] = (password, unquote(password))
        else:
            parts = (secret,)
        for value in filter(None, parts):
            text = text.replace(value, "***")
    return " ".join(re.sub(r"://[^/@\s]+@", "://***@", text).split())
