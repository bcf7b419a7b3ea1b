"""What a job needs of the machine: Python, Spark, Java, memory and the variables of its template, found or checked."""

import importlib.util
import locale
import os
import re
import shutil
import sys
from pathlib import Path

from seqrec.command.class_archive import archive_options
from seqrec.command.environment import check_python, check_settings, needed_variables, variable
from seqrec.command.installation import HOME_VARIABLE, home, in_checkout, set_up, shown_template
from seqrec.command.java import quoted_option, require_java
from seqrec.command.log_file import choose
from seqrec.errors import UserError

LEAST_MEMORY, MOST_MEMORY = 1024, 8192  # MiB
CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def python_variables() -> dict[str, str]:
    """The Python of driver and executors, and the locale that Java's names of files need; UserError for no such Python."""
    workers = os.environ.get("PYSPARK_PYTHON") or sys.executable
    driver = os.environ.get("PYSPARK_DRIVER_PYTHON") or (workers if in_checkout() else sys.executable)
    if shutil.which(driver) is None:
        raise UserError(f"{driver}: no such Python; run {set_up(extras='train')} first, or set PYSPARK_PYTHON")
    found = {"PYSPARK_PYTHON": workers, "PYSPARK_DRIVER_PYTHON": driver, HOME_VARIABLE: str(home())}
    coerced = os.environ.get("LC_CTYPE") in ("C.UTF-8", "C.utf8", "UTF-8")  # by Python itself, which tells no other program
    if coerced or locale.nl_langinfo(locale.CODESET) != "UTF-8":
        found["LC_ALL"] = "C.UTF-8"
    paths = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    if in_checkout() and str(home()) not in paths:
        found["PYTHONPATH"] = os.pathsep.join([str(home()), *paths])
    return found


def spark_home() -> Path:
    """Spark's folder: SPARK_HOME, else that of the package pyspark; UserError where it isn't one."""
    if named := os.environ.get("SPARK_HOME"):
        folder = Path(named)
    else:
        package = importlib.util.find_spec("pyspark")
        if package is None or not package.submodule_search_locations:
            raise UserError(f"{sys.executable} has no pyspark: run {set_up(extras='train')} first, or set SPARK_HOME")
        folder = Path(package.submodule_search_locations[0]).resolve()  # as pyspark itself names it
    if not os.access(folder / "bin" / "spark-submit", os.X_OK):
        raise UserError(f"SPARK_HOME={folder} holds no bin/spark-submit: set it to Spark's folder, or unset it")
    return folder


def check_job(job: str, template: str | None) -> dict[str, str]:
    """Check what a job reads of the environment; where Java is, and the file of the job's log.

    Raises UserError for a missing package, a variable of the template that is unset, a setting that can't be right, or no Java.
    """
    if not os.environ.get("SEQREC_LOG_LEVEL"):
        os.environ.pop("SEQREC_LOG_LEVEL", None)
    check_python()
    if template is not None:
        for name in needed_variables(Path(template).read_text(encoding="utf-8")):
            variable(name, shown_template(template))
    check_settings()
    return {"JAVA_HOME": str(require_java()), "SEQREC_LOG": str(choose(job) or os.devnull)}


def java_options(spark: Path, temporary: Path | None) -> str:
    """SPARK_SUBMIT_OPTS: the archived classes, how Spark logs, where Java's temporary files lie, and the user's own."""
    own = [*archive_options(spark), f"-Dlog4j2.configurationFile={home() / 'conf' / 'log4j2.properties'}"]
    if temporary is not None:
        own.append(f"-Djava.io.tmpdir={temporary}")
    return " ".join([*map(quoted_option, own), os.environ.get("SPARK_SUBMIT_OPTS", "")])


def default_memory() -> str:
    """A quarter of the memory, 1 to 8 GiB: the driver's Python and, on a local master, the workers need the rest.

    >>> re.fullmatch(r"[1-8][0-9]{3}m", default_memory()) is not None
    True
    """
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = CGROUP_LIMIT.read_text().strip() if CGROUP_LIMIT.exists() else "max"
    quarter = (total if limit == "max" else min(total, int(limit))) // 4 // 2**20
    return f"{min(max(quarter, LEAST_MEMORY), MOST_MEMORY)}m"


def spark_defaults(spark: Path) -> str:
    """The text of Spark's file of defaults; empty where there is none."""
    path = Path(os.environ.get("SPARK_CONF_DIR") or spark / "conf") / "spark-defaults.conf"
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def chooses_local_folder(options: list[str], spark: Path) -> bool:
    """Whether the user says on which disk Spark spills and shuffles."""
    return (
        bool(os.environ.get("SPARK_LOCAL_DIRS"))
        or any("spark.local.dir" in option for option in options)
        or re.search(r"^\s*spark\.local\.dir", spark_defaults(spark), re.MULTILINE) is not None
    )
