"""The whole chain in one command: a file of ratings, or simulated ones, into stored recommendations.

    python -m seqrec.chain recommend --ratings FILE --input "key=value …" --train "key=value …"
    python -m seqrec.chain demo --sizes "--users 4000 …" --train "key=value …"

They run the chains of conf/chains with the same names. What is up to date is not made again, as `run` decides it: a chain that
was killed is simply run again.
"""

import argparse
import hashlib
import json
import logging
import os
import re
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from seqrec import simulate
from seqrec.catalogue.title_keys import carried_titles, shown_titles
from seqrec.catalogue.titles import add_title_options, titles_of
from seqrec.chains.chain_file import Chain, read_chain
from seqrec.chains.run import Choice, alone, choice_arguments, choice_of, run_chain
from seqrec.chains.start import call
from seqrec.command.entry import command_line, verbosity_arguments
from seqrec.command.environment import STORE_CHOICES, variable
from seqrec.command.installation import in_checkout, kept_folder, program
from seqrec.command.overrides import parse_overrides, show_value, split_overrides
from seqrec.command.screen import duration, heading, show
from seqrec.command.story import module_command
from seqrec.dataset.first_files import input_files
from seqrec.errors import UserError
from seqrec.storage import files, versions

STARTED = time.monotonic()
PAGE = "report.html"
FIXED = ("data", "model")

log = logging.getLogger("seqrec")


def folder_of(ratings: str) -> str:
    """The chain's folder for a file of ratings: the file's name and a hash of its path, so that no two files share a folder.

    >>> folder_of("/data/it's 2024.csv").rpartition("/")[2]
    'it_s_2024.csv-b92a3fe7'
    """
    path = Path(ratings).absolute()
    where = hashlib.blake2b(str(path).encode(errors="surrogateescape"), digest_size=4).hexdigest()
    return str(kept_folder() / f"{re.sub(r'[^A-Za-z0-9._-]', '_', path.name)[:60]}-{where}")


def recommend(ratings: str, *, keys: str, train: str, titles: Sequence[str] = (), choice: Choice) -> None:
    """The chain on a file of ratings, with keys of build_sequences in addition to the detected ones, and keys of train.

    `titles` are the options of stores.show that name a file of titles.
    """
    if not ratings:
        raise UserError(f"say which ratings: {'make recommend RATINGS=' if in_checkout() else '--ratings '}ratings.csv")
    if not files.is_local(ratings):
        raise UserError(
            f"{ratings}: this command takes ratings on this machine; export RATINGS and run {program()} run recommend"
        )
    path = str(Path(ratings).absolute())
    steps = {
        "build_sequences": [f"input.path={show_value(path)}", *_free(keys, "INPUT")],
        "train": _free(train, "TRAIN"),
        "batch_recommend": carried_titles(titles),
        "report": shown_titles(titles),
    }
    input_files(path)  # what is wrong with them is said before the chain speaks of its steps
    root = _placed(variable("SEQREC_ROOT", "the chain") if os.environ.get("SEQREC_ROOT") else folder_of(ratings))
    chain = _chain("recommend", steps)
    if choice.dry_run:
        run_chain(chain, choice)
        return
    with working_in(root):
        run_chain(chain, choice)
        if choice.only:
            return
        _show(root, *titles)
        log.info("\none user: %s", module_command("seqrec.recommend", root, "--history", "ID,ID", *titles))


def demo(sizes: str, *, train: str) -> None:
    """The chain on simulated ratings, and how near it came to the best possible."""
    trained = _free(train, "DEMO_TRAIN")
    root = _placed(variable("SEQREC_ROOT", "the demo"))
    ratings, named = Path(root, "ratings.csv"), ["--titles", str(Path(root, "titles.csv"))]
    chain = _chain("demo", {"train": trained, "report": shown_titles(named)})
    with working_in(root):
        log.info("%s", f"\n{heading('simulated ratings')}")
        simulate.main([*shlex.split(sizes), "--output", str(ratings), *named])
        run_chain(chain, Choice())
        _show(root, *named)
        metrics = json.loads(files.read_text(f"{versions.resolve(f'{root}/evaluation')}/metrics.json"))["metrics"]
        best = json.loads(ratings.with_suffix(".json").read_text())["drawn_ndcg@10"]["test"]
        reached = {name: row["ndcg@10"] for name, row in metrics.items()}
        show(f"test NDCG@10: {simulate.against_best(reached, best=best)}")


@contextmanager
def working_in(root: str) -> Iterator[None]:
    """In the `with` block, no other chain works in the folder; at its end, the log says what may be done with what it holds."""
    with alone():
        log.info("the chain's folder is %s", root)
        yield
        placed = f"SEQREC_ROOT={shlex.quote(root)}"
        served = f"make stores {placed}" if in_checkout() else f"{placed} {module_command('seqrec.stores.embedded', '--serve')}"
        log.info("all users: %s", served)
        log.info("done in %s", duration(time.monotonic() - STARTED))
        if files.exists(page := files.join(root, PAGE)):
            log.info("look at it in a browser: %s", files.uri(page))


def _placed(folder: str) -> str:
    """The folder's whole path, which SEQREC_ROOT becomes."""
    os.environ["SEQREC_ROOT"] = str(files.local_path(folder).absolute()) if files.is_local(folder) else folder
    return os.environ["SEQREC_ROOT"]


def _chain(name: str, keys: Mapping[str, Sequence[str]]) -> Chain:
    """A chain of conf/chains, with keys of its steps."""
    return read_chain(name, [f"{step}.{key}" for step, words in keys.items() for key in words])


def _free(text: str, name: str) -> list[str]:
    """The overrides in a text; UserError if one of them sets a folder of the chain."""
    overrides = split_overrides(text)
    for key in FIXED:
        if key in parse_overrides(overrides):
            raise UserError(f"{name} sets {key}, but a chain's folders lie in SEQREC_ROOT: set that instead")
    return overrides


def _show(root: str, *options: str) -> None:
    """Show some of what the stores hold."""
    log.info("%s", f"\n{heading('what the stores hold')}")
    call([sys.executable, "-m", "seqrec.stores.show", "--data", f"{root}/dataset", *options])


def _title_options(arguments: argparse.Namespace) -> list[str]:
    """The options that name the titles, which are read once before the first job, so that a mistake ends the chain there."""
    titles_of(arguments, option="TITLE_COLUMNS=ID,TITLE")
    path = arguments.titles and str(Path(arguments.titles).absolute())
    given = {"--titles": path, "--title-columns": arguments.title_columns}
    return [word for option, value in given.items() if value for word in (option, value)]


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m seqrec.chain", description=(__doc__ or "").split("\n\n")[0])
    chains = parser.add_subparsers(dest="chain", required=True)
    recommending = chains.add_parser("recommend", help="of a file of ratings, in SEQREC_ROOT or in .seqrec/NAME-HASH")
    recommending.add_argument("--ratings", default="", metavar="FILE", help="file or folder of ratings")
    recommending.add_argument("--input", default="", metavar="KEYS", help="keys of build_sequences, in one text")
    choice_arguments(recommending)
    demonstrating = chains.add_parser("demo", help="of simulated ratings, in SEQREC_ROOT")
    demonstrating.add_argument("--sizes", default="", metavar="OPTIONS", help="options of python -m seqrec.simulate, in one text")
    add_title_options(recommending)
    for command in (recommending, demonstrating):
        command.add_argument("--train", default="", metavar="KEYS", help="keys of train, in one text")
        verbosity_arguments(command)
    arguments = parser.parse_args(argv)
    for store in STORE_CHOICES:
        os.environ[store] = os.environ.get(store) or "embedded"
    with command_line(arguments):
        if arguments.chain == "demo":
            demo(arguments.sizes, train=arguments.train)
        else:
            titles, choice = _title_options(arguments), choice_of(arguments)
            recommend(arguments.ratings, keys=arguments.input, train=arguments.train, titles=titles, choice=choice)


if __name__ == "__main__":
    main()
