"""Unexpected errors in one line: the root cause, and what a user can do about it."""

import errno
import os
import re
from collections.abc import Iterator
from traceback import extract_tb

USER_ERROR = re.compile(r"^(?:.*\b)?seqrec\.errors\.(?:User|File)Error: (.+)$", re.MULTILINE)
CAUSE = re.compile(r"^\s*(?:Caused by: |: )([\w.$]+(?:Exception|Error|Failure)\w*(?:: .*)?)$", re.MULTILINE)
PYTHON_CAUSE = re.compile(r"^([A-Za-z_][\w.]*(?:Error|Exception|Interrupt)(?:: .*)?)$", re.MULTILINE)
LONGEST = 400
SECRETS = (
    *("MONGODB_URI", "MILVUS_URI", "MILVUS_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
    *("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "OPENAI_API_KEY"),
)
CREDENTIALS = re.compile(r'://[^/@\s"]+@')  # of an address; a quote ends an address of JSON
_named: set[str] = set()  # the variables that settings name, beside SECRETS
MEMORY = "give it more, by SPARK_DRIVER_MEMORY=8g in the environment (on a cluster also `-- --executor-memory 8g`)"
GONE = f"Spark's JVM has gone, most often killed for want of memory: free memory, or {MEMORY}"
DISK_FULL = (
    "the disk is full: free space where the job writes and where temporary files lie (TMPDIR), or set them to a larger disk; "
    "then run it again"
)
KINDS = [  # a pattern in the error's whole text, and the sentence for it, in which {0} is what the pattern's group matched
    (r"No space left on device|Disk quota exceeded|Errno 28\b|Errno 122\b", DISK_FULL),
    (r"OutOfMemoryError", f"Java's memory is too small (OutOfMemoryError): {MEMORY}"),
    (
        r"Python worker exited unexpectedly|Python worker failed to connect back|SIGSEGV|exited with code 137",
        "a Python worker of Spark ended within its task, most often killed for want of memory: take smaller batches, free memory "
        "or run fewer tasks at a time (`-- --master 'local[1]'`)",
    ),
    (r"Py4JNetworkError|Answer from Java side is empty", GONE),
    (
        r"NoSuchBucket|(?i:specified bucket does not exist|\bbucket (?:\S+ )?does not exist)",
        "S3 has no such bucket: make it first, or mend the s3a:// path or AWS_ENDPOINT_URL",
    ),
    (
        r"InvalidAccessKeyId|SignatureDoesNotMatch|Status Code: 403|AWS Error ACCESS_DENIED|NoAuthWithAWS|No AWS Credentials",
        "S3 refuses the keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to those of a user who may write to the bucket",
    ),
    (
        r"software\.amazon\.awssdk\S*(?:SdkClientException|TimeoutException)|AWS Error NETWORK_CONNECTION|AWSClientIOException"
        r"|Unable to execute HTTP request|ApiCall(?:Attempt)?Timeout",
        "S3 doesn't answer: look whether AWS_ENDPOINT_URL (else Amazon's servers) can be reached from here",
    ),
    (
        r"Call From \S+ to (\S+) failed on connection exception",
        "HDFS at {0} doesn't answer: look whether its name node runs and can be reached from here, and at the hdfs:// path",
    ),
    (
        r"All masters are unresponsive|Failed to connect to master (\S+)|Could not parse Master URL|Invalid master URL",
        "Spark's master can't be reached: look at --master, and whether it runs and can be reached from here",
    ),
    (
        r"PYTHON_VERSION_MISMATCH|Python in worker has different version",
        "the executors' Python is another version than the driver's: set PYSPARK_PYTHON to a Python that is the same on both",
    ),
    (
        r"Parquet file|parquet\S*(?:Exception|Error)|CANNOT_READ_FILE|Could not read footer|ArrowInvalid",
        "{root}: a file is broken, or is no Parquet: run the job again that writes it",
    ),
]


def explain(error: BaseException) -> str:
    """One line on an error: what, where and what to do, as far as the error says; secrets of the environment are masked."""
    text = "\n".join(f"{type(link).__name__}: {link}" for link in _chain(error))
    line = one_line(hide_secrets(_sentence(error, text)))
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}…"


def hide_secrets(text: str) -> str:
    """The text without the secrets of the environment and the credentials in addresses.

    >>> hide_secrets("can't reach mongodb://ann:pass@host:1")
    "can't reach mongodb://***@host:1"
    """
    for name in (*SECRETS, *_named):
        value = os.environ.get(name, "")
        if len(value) > len("embedded"):
            text = text.replace(value, CREDENTIALS.sub("://***@", value) if "://" in value else "***")
    return CREDENTIALS.sub("://***@", text)


def add_secret(name: str) -> None:
    """From here on, hide the value of this environment variable too: a setting names it."""
    _named.add(name)


def one_line(text: str) -> str:
    """The text without its line ends."""
    return re.sub(r"\s*[\r\n]+\s*", " ", text.strip())


def _sentence(error: BaseException, text: str) -> str:
    """What went wrong and what to do, as the first sentence that fits an error."""
    if messages := USER_ERROR.findall(text):
        return str(messages[-1])
    for link in _chain(error):
        if isinstance(link, ConnectionError) and any("py4j" in frame.filename for frame in extract_tb(link.__traceback__)):
            return GONE
        if isinstance(link, OSError) and link.errno is not None and (sentence := _os_error(link)):
            return sentence
    root = _root(error, text)
    for pattern, sentence in KINDS:
        if match := re.search(pattern, text):
            detail = next(filter(None, match.groups()), "") if match.groups() else ""
            return f"{sentence.format(detail, root=root)}" + ("" if "{root}" in sentence else f" ({one_line(root)[:160]})")
    if isinstance(error, MemoryError):
        return "memory ran out: take smaller batches, or free memory"
    return root


def _os_error(error: OSError) -> str:
    """The sentence for an operating system's error; empty if it names no file and means nothing without one."""
    remedies = {
        errno.ENOSPC: DISK_FULL,
        errno.EDQUOT: DISK_FULL,
        errno.EACCES: "no permission: take another folder, or change whose it is",
        errno.EPERM: "no permission: take another folder, or change whose it is",
        errno.EROFS: "it can only be read: take a folder that can be written",
        errno.ENOTDIR: "a file is where a folder should be: remove it, or take another folder",
        errno.EEXIST: "something else has that name already: remove it, or take another name",
        errno.EISDIR: "it is a folder, and a file is needed",
        errno.ENOENT: "no such file or folder",
        errno.EMFILE: "too many open files: raise the limit with `ulimit -n 65536`",
    }
    message = remedies.get(error.errno or 0, str(error.strerror))
    if error.filename is not None:
        return f"{error.filename}: {message}"
    return str(message) if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EMFILE) else ""


def _root(error: BaseException, text: str) -> str:
    """The innermost cause that the text names: of Java's "Caused by", of a Python worker's trace, or of the error itself."""
    links = list(_chain(error))
    causes = CAUSE.findall(text)
    worker = PYTHON_CAUSE.findall(text.partition("Traceback (most recent call last)")[2])
    cause = worker[-1] if worker else causes[-1] if causes else None
    if cause is None:
        first = next((line for line in str(links[-1]).splitlines() if line.strip()), "")
        cause = f"{type(links[-1]).__name__}: {first}" if first else type(links[-1]).__name__
    name, colon, message = cause.partition(": ")
    return f"{name.rsplit('.', 1)[-1]}{colon}{message.strip()}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, and those that it was raised from, the first cause last."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
