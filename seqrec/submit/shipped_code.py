"""The package as a zip, which spark-submit ships to the executors; and copies of the code for lines that are printed."""

import os
import shutil
import sys
import tempfile
import time
import zipfile
import zlib
from pathlib import Path

from seqrec.command.installation import PACKAGE, kept_folder
from seqrec.errors import UserError

ARCHIVE = "seqrec.zip"
KEPT_DAYS = 180
DAY_S = 86400


def zip_package(target: Path) -> None:
    """Write the package's modules into a zip."""
    with zipfile.ZipFile(target, "w") as archive:
        for module in sorted(PACKAGE.rglob("*.py")):
            archive.write(module, Path(PACKAGE.name, module.relative_to(PACKAGE)))


def keep_code(script: Path) -> Path:
    """A copy of the package and of the job's script, in a folder that is named by their content.

    A line that was printed runs the code that it was printed for, whatever becomes of this code. The template, the presets and
    log4j2.properties are read where they lie. A line that is printed or run touches `used` in its copy; a copy whose `used` is
    untouched for 180 days is removed. UserError where none can be written.
    """
    parent = kept_folder() / "submit"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix="new.", dir=parent))
        zip_package(made / ARCHIVE)
        shutil.copyfile(script, made / script.name)
        made.chmod(0o755)
        sums = [zlib.crc32(path.read_bytes()) for path in sorted(made.iterdir())]
        folder = parent / f"{sums[0]:08x}{sums[1]:08x}"
        if folder.is_dir():
            shutil.rmtree(made)
        else:
            made.rename(folder)
        (folder / "used").touch()
    except OSError as error:
        raise UserError(
            f"{parent} can't be written ({error.strerror or error}): the printed line needs a copy of the code that stays; "
            "free space there, or let it be written"
        ) from None
    _remove_unused(parent)
    return folder


def _remove_unused(parent: Path) -> None:
    """Remove copies whose line was neither printed nor run for a long time, and say which."""
    oldest = time.time() - KEPT_DAYS * DAY_S
    for used in parent.glob("*/used"):
        if used.stat().st_mtime < oldest:
            shutil.rmtree(used.parent, ignore_errors=True)
            sys.stderr.write(
                f"removed {used.parent}, a copy of the code whose line was neither printed nor run for {KEPT_DAYS} days\n"
            )


def ship(folder: Path) -> None:
    """The package into a job's temporary folder; UserError where it can't be written."""
    try:
        zip_package(folder / ARCHIVE)
    except OSError:
        raise UserError(f"{os.fspath(folder)} can't be written: free space there, or set TMPDIR to another folder") from None
