"""Titles of items into a version of enriched_items: what Wikipedia, a file of Steam's games and a language model say of them."""

import logging
import os
import platform
import shlex
from typing import Any

from seqrec import __version__
from seqrec.command.entry import run_job
from seqrec.command.environment import check_text
from seqrec.command.installation import program
from seqrec.command.screen import counted, show
from seqrec.command.session import open_session
from seqrec.command.story import end, open_draft, show_setting
from seqrec.enrichment.answers import Answers
from seqrec.enrichment.catalogue_items import CatalogueItems, read_catalogue_items
from seqrec.enrichment.enrich_items import Source, describe, enrich, write_enriched
from seqrec.enrichment.llm import LanguageModel
from seqrec.enrichment.service import Limits, Service
from seqrec.enrichment.steam_file import SteamFile, games_as_items, read_steam
from seqrec.enrichment.transport import Headers
from seqrec.enrichment.wikipedia import Wikipedia
from seqrec.errors import UserError
from seqrec.settings.enrich_items import EnrichItems, WebService
from seqrec.storage import files
from seqrec.storage.enriched_metadata import EnrichedItemsMeta
from seqrec.storage.lock import hold_in

log = logging.getLogger("seqrec")

ORDER = ("steam", "wikipedia", "llm")  # in which sources are asked: a model reads what the others say


def run(cfg: EnrichItems) -> None:
    """Ask the sources about all items, write a version, and make it current.

    A Spark session is opened only where it is the way to a remote file system.
    """
    key = _key(cfg.llm.key_variable) if "llm" in cfg.sources else None
    if not all(files.is_local(path) for path in (cfg.output, cfg.cache, cfg.items.path or cfg.output)):
        open_session("enrich_items")
    draft = open_draft(cfg, cfg.output)
    files.require_writable(cfg.cache, key="cache")
    steam = _read_steam(cfg)
    catalogue = _read_items(cfg, steam)
    log.info("%s of %s", counted(len(catalogue.items), "item"), catalogue.words)
    sources = [source for name in ORDER if name in cfg.sources for source in [_source(name, cfg, steam=steam, key=key)]]
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


def _read_steam(cfg: EnrichItems) -> SteamFile | None:
    """The games of Steam's file; None where it is no source."""
    if "steam" not in cfg.sources or cfg.steam.path is None:
        return None
    by = cfg.steam.by if cfg.items.path is not None else "id"
    return read_steam(cfg.steam.path, by=by, summary_chars=cfg.summary_chars, max_bad_share=cfg.steam.max_bad_share)


def _read_items(cfg: EnrichItems, steam: SteamFile | None) -> CatalogueItems:
    """The items that are looked up: those of a file, else all games of Steam's."""
    if cfg.items.path is not None:
        columns = {"id_column": cfg.items.id, "title_column": cfg.items.title}
        return read_catalogue_items(cfg.items.path, **columns, id_type=cfg.id_type)
    assert steam is not None  # the settings see to it
    return games_as_items(steam, path=str(cfg.steam.path), id_type=cfg.id_type)


def _source(name: str, cfg: EnrichItems, *, steam: SteamFile | None, key: str | None) -> Source:
    """A source by its name."""
    if steam is not None and name == "steam":
        other = "title" if steam.by == "id" else "id"
        remedy = f"look at items.{steam.by}, or set steam.by={other}"
        return Source(name=name, look_up=steam.look_up, more=steam.more_counts, unknown=remedy)
    if name == "wikipedia":
        agent = f"seqrec/{__version__} ({cfg.wikipedia.contact}) python-urllib/{platform.python_version()}"
        service = _service(name, cfg.wikipedia, cfg, Headers(public={"User-Agent": agent}))
        wikipedia = Wikipedia(
            service=service,
            base_url=cfg.wikipedia.base_url,
            hint=cfg.wikipedia.hint,
            results=cfg.wikipedia.results,
            least_likeness=cfg.wikipedia.least_likeness,
            summary_chars=cfg.summary_chars,
        )
        return Source(name=name, look_up=wikipedia.look_up, service=service, needs="title")
    service = _service(name, cfg.llm, cfg, Headers(public={"User-Agent": f"seqrec/{__version__}"}, key=key))
    options: dict[str, Any] = {"model": cfg.llm.model, "temperature": cfg.llm.temperature, "max_tokens": cfg.llm.max_tokens}
    options["response_format"] = {"type": "json_object"} if cfg.llm.json_mode else None
    model = LanguageModel(
        service=service,
        base_url=str(cfg.llm.base_url),
        options={option: value for option, value in options.items() if value is not None},
        text_chars=cfg.llm.text_chars,
        summary_chars=cfg.summary_chars,
    )
    return Source(name=name, look_up=model.look_up, service=service, needs="texts", more=model.more_counts)


def _service(name: str, settings: WebService, cfg: EnrichItems, headers: Headers) -> Service:
    """A service, with its limits and the answers on disk."""
    limits = Limits(
        requests_per_second=settings.requests_per_second,
        timeout_s=settings.timeout_s,
        attempts=settings.attempts,
        backoff_s=settings.backoff_s,
        max_wait_s=settings.max_wait_s,
        max_failures=settings.max_failures,
    )
    return Service(name=name, headers=headers, limits=limits, answers=Answers(cfg.cache), refresh=cfg.refresh)


def _key(name: str) -> str:
    """The key of the endpoint, from the environment; UserError, which doesn't show it, without one."""
    value = os.environ.get(name, "")
    if not value:
        raise UserError(f"sources has llm, and its key isn't there: `export {name}=…` first, or leave llm out; nothing was asked")
    check_text(name, value, secret=True)
    if not value.isascii():
        raise UserError(f"{name} holds signs that no key has, beyond ASCII: export it again")
    return value


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and run."""
    run_job(EnrichItems, run, argv)


if __name__ == "__main__":
    main()
