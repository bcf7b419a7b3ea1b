"""A chain as one page of HTML, from its finished versions; no store need be running."""

import logging

from seqrec.catalogue.titles import NO_TITLES, Titles, read_titles
from seqrec.command.entry import run_job
from seqrec.command.screen import show
from seqrec.command.session import open_session
from seqrec.command.story import end
from seqrec.reporting.chain_folders import Folders, folder_of
from seqrec.reporting.report import make_page, open_chains
from seqrec.reporting.sections import Samples
from seqrec.settings.report import Report, TitledItems
from seqrec.storage import files

TITLE_KEYS = "items.id=ID items.title=TITLE"

log = logging.getLogger("seqrec")


def run(cfg: Report) -> None:
    """Read, write the page, and say where it is; a Spark session is opened only where it is the way to a remote file system."""
    if not all(
        files.is_local(path) for path in (cfg.data, cfg.model, cfg.evaluation, cfg.lists, cfg.output, cfg.compare or cfg.data)
    ):
        open_session("report")
    folder, _, _ = cfg.output.rpartition("/")
    files.require_writable(folder or ".", key="output")
    folders = Folders(data=cfg.data, model=cfg.model, evaluation=cfg.evaluation, lists=cfg.lists)
    chain, other = open_chains(folders, cfg.compare)
    samples = Samples(
        users=cfg.sample_users,
        named_users=tuple(cfg.users),
        items=cfg.sample_items,
        named_items=tuple(cfg.known_items),
        titles=_titles(cfg.items),
    )
    page = make_page(chain, other, samples=samples, name=_chain_name(cfg.data))
    files.write_text(cfg.output, page)
    end(made=f"a page of {len(page) / 1000:,.0f} kB", path=cfg.output)
    show(f"report: {files.uri(cfg.output)}")


def _chain_name(data: str) -> str:
    """The name of the folder that holds a chain's dataset."""
    return folder_of(files.absolute(data)).rstrip("/").rpartition("/")[0].rpartition("/")[2]


def _titles(items: TitledItems) -> Titles:
    """The titles of the file that the settings name; none without one."""
    if items.path is None:
        return NO_TITLES
    columns = None if items.id is None else f'"{items.id}","{items.title}"'
    titles = read_titles(items.path, columns, option=TITLE_KEYS)
    log.info("%s", titles.words)
    return titles


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and run."""
    run_job(Report, run, argv)


if __name__ == "__main__":
    main()
