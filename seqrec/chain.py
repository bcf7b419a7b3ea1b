"""The whole chain in one command: a file of ratings, or simulated ones, into stored recommendations.

    python -m seqrec.chain recommend --ratings FILE --input "key=value …" --train "key=value …"
    python -m seqrec.chain demo --sizes "--users 4000 …" --train "key=value …"

If ratings and settings didn't change since the last run, the dataset and the trained model are used again. Otherwise a new
version of the dataset is built and a new model trained. A chain that was killed is simply run again.
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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

from seqrec import simulate
from seqrec.catalogue.title_keys import carried_titles, shown_titles
from seqrec.catalogue.titles import add_title_options, titles_of
from seqrec.chains.start import call, step, submit
from seqrec.command.config import load_config, public
from seqrec.command.entry import command_line, verbosity_arguments
from seqrec.command.environment import STORE_CHOICES, variable
from seqrec.command.installation import home, in_checkout, kept_folder
from seqrec.command.overrides import parse_overrides, show_value, split_overrides
from seqrec.command.screen import duration, heading, show
from seqrec.command.story import module_command
from seqrec.dataset.first_files import input_files
from seqrec.errors import UserError
from seqrec.settings.build_sequences import BuildSequences
from seqrec.storage import files, versions
from seqrec.storage.lock import hold
from seqrec.tracking.chain_run import tracked_chain

MADE_FROM = "chain.json"
STARTED = time.monotonic()
STEPS = 6
PAGE = "report.html"
FIXED = ("data", "model")
BASELINES = ("popularity", "markov")  # what the model is compared with

log = logging.getLogger("seqrec")

Run = Callable[..., None]


def run_chain(
    root: str,
    *,
    overrides: Sequence[str],
    train: Sequence[str],
    baselines: Sequence[str],
    publish: Sequence[str] = (),
    titles: Sequence[str] = (),
    run: Run,
) -> None:
    """Run the jobs of the chain in a folder: run(job, *overrides) is called for each, and raises if it fails.

    `titles` are the options of stores.show that name a file of titles, which the report shows.

    The dataset is built unless the folder has one of the same ratings and settings. If the folder has a training of another
    dataset or with other settings, it is started over.
    """
    settings = load_config(BuildSequences, str(home() / "conf" / "build_sequences.yaml"), list(overrides))
    content = digest(settings.input.wanted_ratings.path)
    log.info("the chain's folder is %s", root)
    current = reusable(root, settings, content)
    with step(1, STEPS, "build_sequences"):
        if current is None:
            run("build_sequences", *overrides)
        else:
            log.info("the ratings and their settings are those of version %s, which is taken again", current)
    if current is None:
        run_id = versions.resolve(settings.data).rsplit("/", 1)[-1]
        origin = {"dataset": run_id, "ratings": content, "settings": public(settings)}
        files.write_text(files.join(root, MADE_FROM), json.dumps(origin) + "\n")
    compared = [f"{name}=true" for name in baselines]
    jobs = {
        "train": ["resume=same", *train],
        "export_onnx": [],
        "evaluate": compared,
        "batch_recommend": [*publish],
        "report": shown_titles(titles),
    }
    for number, (job, keys) in enumerate(jobs.items(), start=2):
        with step(number, STEPS, job):
            run(job, *keys)


def reusable(root: str, settings: BuildSequences, content: str) -> str | None:
    """The run id of the dataset in the folder, if it was made from ratings of this content and with these settings."""
    try:
        origin = json.loads(files.read_text(files.join(root, MADE_FROM)))
        path = versions.resolve(settings.data)
        run_id = path.rsplit("/", 1)[-1]
        same = origin == {"dataset": run_id, "ratings": content, "settings": public(settings)}
    except (FileNotFoundError, ValueError, UserError):
        return None
    return run_id if same and settings.vocabulary is None else None


def digest(path: str) -> str:
    """A hash of the content of an input's files, and of their names where it is a folder or a pattern, as Spark takes them."""
    if not files.is_local(path):
        raise UserError(f"{path}: the chain takes ratings on this machine")
    hashed = hashlib.blake2b(digest_size=16)
    for file in input_files(path):
        name = file.path.removeprefix(path).lstrip("/")
        hashed.update(f"{name}\0{file.size}\0".encode(errors="surrogateescape"))
        with files.local_path(file.path).open("rb") as source:
            while block := source.read(1 << 20):
                hashed.update(block)
    return hashed.hexdigest()


def folder_of(ratings: str) -> str:
    """The chain's folder for a file of ratings: the file's name and a hash of its path, so that no two files share a folder.

    >>> folder_of("/data/it's 2024.csv").rpartition("/")[2]
    'it_s_2024.csv-b92a3fe7'
    """
    path = Path(ratings).absolute()
    where = hashlib.blake2b(str(path).encode(errors="surrogateescape"), digest_size=4).hexdigest()
    return str(kept_folder() / f"{re.sub(r'[^A-Za-z0-9._-]', '_', path.name)[:60]}-{where}")


def recommend(ratings: str, *, keys: str, train: str, titles: Sequence[str] = (), run: Run) -> None:
    """The chain on a file of ratings, with keys of build_sequences in addition to the detected ones, and keys of train.

    `titles` are the options of stores.show that name a file of titles.
    """
    if not ratings:
        raise UserError(f"say which ratings: {'make recommend RATINGS=' if in_checkout() else '--ratings '}ratings.csv")
    inputs, trained = _free(keys, "INPUT"), _free(train, "TRAIN")
    with working_in(variable("SEQREC_ROOT", "the chain") if os.environ.get("SEQREC_ROOT") else folder_of(ratings)) as root:
        path = f"input.path={show_value(str(Path(ratings).absolute()))}"
        run_chain(
            root,
            overrides=[path, *inputs],
            train=trained,
            baselines=BASELINES,
            publish=carried_titles(titles),
            titles=titles,
            run=run,
        )
        _show(root, *titles)
        log.info("\none user: %s", module_command("seqrec.recommend", root, "--history", "ID,ID", *titles))


def demo(sizes: str, *, train: str, run: Run) -> None:
    """The chain on simulated ratings, and how near it came to the best possible."""
    trained = _free(train, "DEMO_TRAIN")
    with working_in(variable("SEQREC_ROOT", "the demo")) as root:
        ratings, titles = Path(root, "ratings.csv"), Path(root, "titles.csv")
        log.info("%s", f"\n{heading('simulated ratings')}")
        simulate.main([*shlex.split(sizes), "--output", str(ratings), "--titles", str(titles)])
        run_chain(root, overrides=[], train=trained, baselines=BASELINES, titles=["--titles", str(titles)], run=run)
        _show(root, "--titles", str(titles))
        metrics = json.loads(files.read_text(f"{versions.resolve(f'{root}/evaluation')}/metrics.json"))["metrics"]
        best = json.loads(ratings.with_suffix(".json").read_text())["drawn_ndcg@10"]["test"]
        reached = {name: row["ndcg@10"] for name, row in metrics.items()}
        show(f"test NDCG@10: {simulate.against_best(reached, best=best)}")


@contextmanager
def working_in(folder: str) -> Iterator[str]:
    """In the `with` block, SEQREC_ROOT is the folder's whole path, which is yielded, and no other chain works in the folder."""
    local = files.is_local(folder)
    root = str(files.local_path(folder).absolute()) if local else folder
    os.environ["SEQREC_ROOT"] = root
    lock = hold(Path(root, ".chain.lock"), what=root, remedy="wait until it ends, or set another SEQREC_ROOT")
    with lock if local else nullcontext(), tracked_chain("chain"):
        yield root
        placed = f"SEQREC_ROOT={shlex.quote(root)}"
        served = f"make stores {placed}" if in_checkout() else f"{placed} {module_command('seqrec.stores.embedded', '--serve')}"
        log.info("all users: %s", served)
        log.info("done in %s", duration(time.monotonic() - STARTED))
        log.info("look at it in a browser: %s", files.uri(files.join(root, PAGE)))


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
            demo(arguments.sizes, train=arguments.train, run=submit)
        else:
            titles = _title_options(arguments)
            recommend(arguments.ratings, keys=arguments.input, train=arguments.train, titles=titles, run=submit)


if __name__ == "__main__":
    main()
