"""The best items for one user, on the command line: neither torch nor Spark is loaded.

    python -m seqrec.recommend MODEL --history 318,527 -k 10 --titles movies.csv
    python -m seqrec.recommend MODEL --history '"Hammer, large",nails' --history 'nuts and bolts'
    python -m seqrec.recommend MODEL --history 318,527 --explain 2      what of the history speaks most for each item

The items are printed on stdout, a line each: place, id, score and title. All else is said on stderr, or left out by --quiet.
"""

import argparse
import csv
import logging
from collections.abc import Callable, Sequence
from typing import get_args

from seqrec.catalogue.titles import Titles, add_title_options, titles_of
from seqrec.command.entry import command_line, positive, verbosity_arguments
from seqrec.command.screen import show
from seqrec.errors import UserError
from seqrec.serving.explanations import By
from seqrec.serving.extended_sequence import Id
from seqrec.serving.recommender import Recommender
from seqrec.serving.sealed import EXPORTS
from seqrec.serving.typed_ids import BIGINT
from seqrec.storage import files

log = logging.getLogger("seqrec")

EXAMPLES = """examples:
  python -m seqrec.recommend /data/model --history 318,527 -k 10
  python -m seqrec.recommend /data/model --history 318,527 --titles movies.csv
  python -m seqrec.recommend /data/model --history '"Hammer, large",nails' --history 'nuts and bolts'
  python -m seqrec.recommend /data/model --history 318,527 --explain 2 --explain-by drop
  python -m seqrec.recommend /data/two_tower --history 318 --user 42
  python -m seqrec.recommend /data/model                 the most popular items"""


def main(argv: list[str] | None = None) -> None:
    """Parse the command line, print the items; a UserError ends it with one line and status 1."""
    parser = _parser()
    options = parser.parse_args(argv)
    if options.explain_by is not None and options.explain is None:
        parser.error("--explain-by says how to explain: give --explain N too")
    with command_line(options):
        recommender = Recommender.load(_model_folder(options.model), titles=titles_of(options))
        history = parse_history(options.history, recommender)
        user = None if options.user is None else parse_id(options.user, recommender.id_types.user, "--user")
        best = recommender.recommend(history, options.k, user=user, filter_seen=not options.keep_seen)
        for line in ignored(recommender, history, user):
            log.warning("%s", line)
        log.info("%s", origin(recommender, history))
        reasons: list[list[tuple[Id, float]]] = [[] for _ in best]
        if options.explain is not None:
            items: list[Id] = [item for item, _ in best]
            by: By = options.explain_by or "vectors"
            reasons = recommender.explain(history, items, options.explain, by=by, user=user)
        for line, why in zip(listed_items(best, recommender.title), reasons, strict=True):
            show("\n".join([line, *shown_reasons(why, recommender.titles)]))


def _parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(
        prog="python -m seqrec.recommend",
        description=(__doc__ or "").splitlines()[0],
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="MODEL", help="a model's folder, an export MODEL/exports/RUN_ID, or a chain's folder")
    parser.add_argument(
        "--history",
        action="append",
        default=[],
        metavar="IDS",
        help="ids of the user's items, oldest first, between commas; an id with commas in quotes, or in a --history of its own",
    )
    parser.add_argument("-k", type=positive, default=10, metavar="K", help="how many items (10)")
    parser.add_argument("--user", metavar="ID", help="the user, for a model with embeddings of users")
    parser.add_argument("--keep-seen", action="store_true", help="leave the history's items in the list")
    parser.add_argument(
        "--explain", type=positive, metavar="N", help="with each item the N items of the history that speak most for it"
    )
    parser.add_argument("--explain-by", choices=get_args(By), help="by likeness of vectors, or by the score lost without them")
    add_title_options(parser)
    verbosity_arguments(parser)
    return parser


def parse_history(texts: Sequence[str], recommender: Recommender) -> list[Id]:
    """The ids of --history in the type of the model's ids; a text that is an id as it stands isn't cut at its commas.

    Raises UserError for a text that is no integer, if the model's ids are.
    """
    kind = recommender.id_types.item
    ids: list[Id] = []
    for text in texts:
        whole = kind == "string" and recommender.knows(text)
        ids += [text] if whole else [parse_id(part, kind, "--history") for part in split_ids(text)]
    return ids


def split_ids(text: str) -> list[str]:
    """The ids between commas, trimmed; quotes keep commas, and empty ones are left out.

    >>> split_ids('318, 527,'), split_ids('"Hammer, large",nuts and bolts')
    (['318', '527'], ['Hammer, large', 'nuts and bolts'])
    """
    return [part.strip() for row in csv.reader([text], skipinitialspace=True) for part in row if part.strip()]


def parse_id(text: str, kind: str, option: str) -> Id:
    """An id of a type, bigint or string; UserError for a text that is no such integer."""
    if kind == "string":
        return text
    try:
        number = int(text)
    except ValueError:
        number = BIGINT.stop
    if number not in BIGINT:
        raise UserError(f"{option}: {text!r} is no id of this model, whose ids are whole numbers such as 318")
    return number


def listed_items(items: Sequence[tuple[Id, float]], title: Callable[[Id], str | None]) -> list[str]:
    """A line an item: place, id, score, and the title if it has one.

    >>> listed_items([(7, 1.5), (12, 0.25)], {7: "Heat"}.get)
    [' 1  7   1.5000  Heat', ' 2  12  0.2500']
    """
    width = max((len(str(item)) for item, _ in items), default=0)
    scores = [f"{score:.4f}" for _, score in items]
    longest = max(map(len, scores), default=0)
    return [
        f"{place:2d}  {item!s:<{width}}  {score:>{longest}}  {title(item) or ''}".rstrip()
        for place, ((item, _), score) in enumerate(zip(items, scores, strict=True), start=1)
    ]


def shown_reasons(reasons: Sequence[tuple[Id, float]], titles: Titles) -> list[str]:
    """A line that names an item's reasons and how much each speaks for it; none without a reason.

    >>> shown_reasons([(7, 0.5), (12, 0.25)], Titles({"7": "Heat"}, "titles"))
    ['      because of Heat (0.500) | item 12 (0.250)']
    """
    shown = " | ".join(f"{titles.shown(item)} ({score:.3f})" for item, score in reasons)
    return [f"      because of {shown}"] if shown else []


def _model_folder(folder: str) -> str:
    """The folder itself or, for a chain's folder (SEQREC_ROOT), the model in it."""
    inner = files.join(folder, "model")
    return inner if files.exists(files.join(inner, EXPORTS)) else folder


def ignored(recommender: Recommender, history: Sequence[Id], user: Id | None) -> list[str]:
    """What of the command line has no say in the list."""
    lines = []
    if unknown := [str(item) for item in history if not recommender.knows(item)]:
        lines.append(f"unknown to the model, and left out: {', '.join(unknown)}")
    if user is not None and not recommender.knows_user(user):
        has_users = recommender.model.users is not None
        why = f"user {user} wasn't in the training" if has_users else f"{recommender.name} has no embeddings of users"
        lines.append(f"{why}: --user has no say, and the history alone counts")
    return lines


def origin(recommender: Recommender, history: Sequence[Id]) -> str:
    """What the list is made from."""
    if known := [item for item in history if recommender.knows(item)]:
        shown = ", ".join(f"{title} ({item})" if (title := recommender.title(item)) else str(item) for item in known)
        return f"{recommender.name} of run {recommender.run_id}, after {shown}:"
    why = "nothing of the history is known" if history else "there is no --history"
    return f"{why}: these are the most popular items of {recommender.name}, scored by their numbers of events"


if __name__ == "__main__":
    main()
