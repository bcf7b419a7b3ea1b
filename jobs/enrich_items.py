"""Titles of items into a version of enriched_items: what Wikipedia, a file of Steam's games and a language model say of them."""

import logging
import shlex

from seqrec.command.entry import run_job
from seqrec.command.installation import program
from seqrec.command.screen import counted, show
from seqrec.command.session import open_session
from seqrec.command.story import end, open_draft, show_setting
from seqrec.enrichment.enrich_items import describe, enrich, write_enriched
from seqrec.enrichment.sources import open_sources, read_items, read_key, read_steam_file
from seqrec.settings.enrich_items import EnrichItems
from seqrec.storage import files
from seqrec.storage.enriched_metadata import EnrichedItemsMeta
from seqrec.storage.lock import hold_in

log = logging.getLogger("seqrec")


def run(cfg: EnrichItems) -> None:
    """Ask the sources about all items, write a version, and make it current.

    A Spark session is opened only where it is the way to a remote file system.
    """
    key = read_key(cfg)
    if not all(files.is_local(path) for path in (cfg.output, cfg.cache, cfg.items.path or cfg.output)):
        open_session("enrich_items")
    draft = open_draft(cfg, cfg.output)
    files.require_writable(cfg.cache, key="cache")
    steam = read_steam_file(cfg)
    catalogue = read_items(cfg, steam)
    log.info("%s of %s", counted(len(catalogue.items), "item"), catalogue.words)
    sources = open_sources(cfg, steam=steam, key=key)
    with hold_in(cfg.cache, ".lock", what=f"the cache {cfg.cache}", remedy="wait until that run ends, or set cache=FOLDER"):
        enriched = enrich(catalogue.items, sources, priority=cfg.sources)
    columns = write_enriched(catalogue, enriched, draft.path, priority=cfg.sources)
    EnrichedItemsMeta(
        run_id=draft.run_id,
        id_type=catalogue.id_type,
        sources=list(cfg.sources),
        counts={**catalogue.counts, "known": len(enriched.facts)},
        by_source=enriched.counts,
        with_value=columns,
        inputs=[path for path in (cfg.items.path, cfg.steam.path if steam else None) if path],
        settings=draft.settings,
    ).write(draft.path)
    draft.commit(keep=cfg.keep)
    show(describe(enriched, columns, items=len(catalogue.items)))
    made = f"what sources say of {len(enriched.facts):,} of {counted(len(catalogue.items), 'item')}, {draft.run_id}"
    items = shlex.quote(f"items.path={show_setting(cfg.output)}")
    then = f"{program()} embed_items {items} template='\"{{title}}. {{genres}}. {{summary}}\"'"
    end(made=made, path=draft.path, then=then)


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and run."""
    run_job(EnrichItems, run, argv)


if __name__ == "__main__":
    main()
