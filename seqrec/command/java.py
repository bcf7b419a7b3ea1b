"""Finds, checks and installs the Java that Spark and the embedded MongoDB run on.

`python -m seqrec.command.java` prints its home; with --install, and as root with apt-get, it installs Java if there is none.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from seqrec.error_messages import explain
from seqrec.errors import UserError

OLDEST, NEWEST = 17, 21  # Spark 4.0 fails on 24 and later: Hadoop needs the security manager, which they lack
WANTED = f"Java {OLDEST} to {NEWEST}"
FOLDERS = ("/usr/lib/jvm", "/opt/homebrew/opt", "/usr/local/opt")
INSTALLERS = {
    "apt-get": "apt-get update && apt-get install -y openjdk-17-jre-headless",
    "dnf": "dnf install -y java-17-openjdk-headless",
    "brew": "brew install openjdk@17",
}


def require_java() -> Path:
    """The home of a Java 17 to 21: JAVA_HOME, else the PATH's java, else the first that fits in the usual places.

    Raises UserError, with the line that installs one, if there is none or JAVA_HOME's doesn't fit.
    """
    if home_variable := os.environ.get("JAVA_HOME"):
        java = Path(home_variable) / "bin" / "java"
        if not java.exists():
            raise UserError(f"JAVA_HOME={home_variable} holds no bin/java: unset it, or set it to the home of a {WANTED}")
        if not OLDEST <= (release := _ask(java)[0]) <= NEWEST:
            raise UserError(f"JAVA_HOME={home_variable} is Java {release}, Spark needs {WANTED}: set it to one, or unset it")
        return Path(home_variable)
    candidates = [Path(on_path)] if (on_path := shutil.which("java")) else []
    candidates += sorted(java for folder in FOLDERS for java in Path(folder).glob("*/bin/java"))
    releases = set()
    for java in candidates:
        release, home = _ask(java)
        if OLDEST <= release <= NEWEST:
            return Path(home)
        releases.add(release)
    here = f"here is only Java {', '.join(map(str, sorted(releases)))}" if releases else "there is none"
    raise UserError(f"Spark needs {WANTED} and {here}: install it with `{install_line()}`")


def install_line() -> str:
    """The one line that installs Java with this machine's package manager."""
    tool = next((tool for tool in INSTALLERS if shutil.which(tool)), "apt-get")
    as_root = tool != "brew" and os.geteuid() != 0
    return " && ".join(("sudo " if as_root else "") + step for step in INSTALLERS[tool].split(" && "))


def quoted_option(text: str) -> str:
    r"""An option of the JVM in single quotes, as spark-submit reads SPARK_SUBMIT_OPTS.

    >>> print(quoted_option("it's"))
    'it'"'"'s'
    """
    return "'" + text.replace("'", "'\"'\"'") + "'"


def parse_properties(text: str) -> tuple[int, str]:
    """The release and the home in the output of `java -XshowSettings:properties -version`; (0, "") if they aren't there.

    >>> parse_properties("    java.home = /opt/jdk\\n    java.specification.version = 17\\n")
    (17, '/opt/jdk')
    >>> parse_properties("java.specification.version = 1.8")
    (8, '')
    """
    release = re.search(r"java\.specification\.version = (?:1\.)?(\d+)", text)
    home = re.search(r"java\.home = (.+)", text)
    return int(release[1]) if release else 0, home[1] if home else ""


def install() -> None:
    """Install Java as root with apt-get: 17, or 21 where the distribution has no 17 any more."""
    subprocess.run(["apt-get", "update", "-qq"], check=False)
    for release in (17, 21):
        command = ["apt-get", "install", "-y", "-qq", f"openjdk-{release}-jre-headless"]
        if subprocess.run(command, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, check=False).returncode == 0:
            return


def main(argv: list[str] | None = None) -> None:
    """Print the home of a usable Java, or exit with the line that installs one."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--install", action="store_true", help="where there is none: as root with apt-get, install it")
    arguments = parser.parse_args(argv)
    can_install = os.geteuid() == 0 and shutil.which("apt-get") and not os.environ.get("JAVA_HOME")
    try:
        try:
            home = require_java()
        except UserError:
            if not (arguments.install and can_install):
                raise
            install()
            home = require_java()
    except UserError as error:
        sys.exit(f"error: {error}")
    except Exception as error:
        sys.exit(f"error: {explain(error)}")
    sys.stdout.write(f"{home}\n")


def _ask(java: Path) -> tuple[int, str]:
    """The release and the home that a Java reports of itself."""
    command = [str(java), "-XshowSettings:properties", "-version"]
    return parse_properties(subprocess.run(command, capture_output=True, text=True, check=False).stderr)


if __name__ == "__main__":
    main()
