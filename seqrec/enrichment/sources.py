"""The settings of enrich_items taken apart: the file of games, the items, and the sources that are asked about them."""

import os
import platform
from typing import Any

from seqrec import __version__
from seqrec.command.environment import check_text
from seqrec.enrichment.answers import Answers
from seqrec.enrichment.catalogue_items import CatalogueItems, read_catalogue_items
from seqrec.enrichment.enrich_items import Source
from seqrec.enrichment.llm import LanguageModel
from seqrec.enrichment.service import Limits, Service
from seqrec.enrichment.steam_file import SteamFile, games_as_items, read_steam
from seqrec.enrichment.transport import Headers
from seqrec.enrichment.wikipedia import Wikipedia
from seqrec.errors import UserError
from seqrec.settings.enrich_items import EnrichItems, WebService

ORDER = ("steam", "wikipedia", "llm")  # in which sources are asked: a model reads what the others say


def open_sources(cfg: EnrichItems, *, steam: SteamFile | None, key: str | None) -> list[Source]:
    """The sources that are named, in the order in which they are asked."""
    return [_source(name, cfg, steam=steam, key=key) for name in ORDER if name in cfg.sources]


def read_key(cfg: EnrichItems) -> str | None:
    """The endpoint's key, from the environment; None where it is no source. UserError, which doesn't show it, without one."""
    if "llm" not in cfg.sources:
        return None
    return _key(cfg.llm.key_variable)


def read_steam_file(cfg: EnrichItems) -> SteamFile | None:
    """The games of Steam's file; None where it is no source."""
    if "steam" not in cfg.sources or cfg.steam.path is None:
        return None
    by = cfg.steam.by if cfg.items.path is not None else "id"
    return read_steam(cfg.steam.path, by=by, summary_chars=cfg.summary_chars, max_bad_share=cfg.steam.max_bad_share)


def read_items(cfg: EnrichItems, steam: SteamFile | None) -> CatalogueItems:
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
