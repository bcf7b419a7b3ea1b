"""MovieLens-1M from GroupLens, checked by its hash: it may be used for research, and not redistributed.

    python -m seqrec.movielens --folder .seqrec

A download that broke off leaves nothing; a file that is there with the right hash isn't fetched again.
"""

import argparse
import hashlib
import logging
import shlex
import shutil
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

from seqrec.command.entry import command_line, verbosity_arguments
from seqrec.command.installation import kept_folder
from seqrec.command.screen import counted, show
from seqrec.errors import UserError

URL = "https://files.grouplens.org/datasets/movielens/ml-1m.zip"
MD5 = "c4d9eecfca2ab87c1945afe126590906"  # of https://files.grouplens.org/datasets/movielens/ml-1m.zip.md5
NAME = "ml-1m"
TIMEOUT_S = 30.0

log = logging.getLogger("seqrec")


def fetch_archive(url: str, file: Path, *, md5: str) -> None:
    """Download a file, unless it is there with this MD5; UserError, with what to do, if it can't be had or has another one."""
    if file.exists() and _md5(file) == md5:
        log.info("%s is there already", file)
        return
    part = file.with_name(f"{file.name}.part")
    remedy = f"fetch it where there is a network, put it at {file.absolute()}, and run this again"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        log.info("downloading %s", url)
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as source, part.open("wb") as target:
            shutil.copyfileobj(source, target)
        if (found := _md5(part)) != md5:
            raise UserError(
                f"{url} gave {counted(part.stat().st_size, 'byte')} with the MD5 {found}, expected {md5}: it broke off, or isn't "
                f"that file; run this again, or {remedy}"
            )
        part.replace(file)
    except urllib.error.HTTPError as error:
        raise UserError(f"{url}: the server answers {error.code} {error.reason}: {remedy}") from None
    except urllib.error.URLError as error:
        raise UserError(f"{url} can't be reached ({error.reason}): {remedy}") from None
    except OSError as error:
        raise UserError(f"{url} can't be fetched to {file} ({error.strerror or error}): {remedy}") from None
    finally:
        part.unlink(missing_ok=True)


def unpack(archive: Path, folder: Path) -> Path:
    """The ratings of an archive of MovieLens-1M, unpacked into a folder, whole or not at all; UserError if it has none."""
    target, part = folder / NAME, folder / f"{NAME}.part"
    shutil.rmtree(part, ignore_errors=True)
    try:
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(part)
    except (zipfile.BadZipFile, OSError) as error:
        raise UserError(
            f"{archive} can't be unpacked into {folder} ({error}): free space there, or remove it and run this again"
        ) from None
    if not (part / NAME / "ratings.dat").exists():
        shutil.rmtree(part)
        raise UserError(f"{archive} has no {NAME}/ratings.dat: it isn't MovieLens-1M")
    shutil.rmtree(target, ignore_errors=True)
    (part / NAME).replace(target)
    shutil.rmtree(part)
    return target / "ratings.dat"


def _md5(file: Path) -> str:
    """The MD5 of a file."""
    with file.open("rb") as source:
        return hashlib.file_digest(source, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m seqrec.movielens", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--folder", type=Path, metavar="FOLDER", help="where it is put; default .seqrec")
    parser.add_argument("--url", default=URL, help=f"another place that has the file; default {URL}")
    parser.add_argument("--md5", default=MD5, help=f"its MD5; default {MD5}")
    verbosity_arguments(parser)
    arguments = parser.parse_args(argv)
    with command_line(arguments):
        folder = arguments.folder or kept_folder()
        archive = folder / f"{NAME}.zip"
        fetch_archive(arguments.url, archive, md5=arguments.md5)
        ratings = unpack(archive, folder)
        lines = ratings.read_bytes().count(b"\n")
        show(
            f"{ratings}: {counted(lines, 'rating')}, for research only\nnext: make recommend RATINGS={shlex.quote(str(ratings))}"
        )


if __name__ == "__main__":
    main()
