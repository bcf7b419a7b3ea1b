"""The settings of enrich_items."""

import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from seqrec.command.config import Strict
from seqrec.error_messages import add_secret
from seqrec.settings import Path, Positive, Share

SourceName = Literal["steam", "wikipedia", "llm"]
E_MAIL = re.compile(r"[^\s@<>()]+@[^\s@<>()]+\.[^\s@<>().]+")
VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class ItemTitles(Strict):
    """The file of items whose titles are searched."""

    path: str | None = Field(
        None,
        min_length=1,
        description="CSV with or without header, JSON lines, Parquet, or a versioned folder; null: the games of Steam",
    )
    id: str | None = Field(None, description="column of the item's id, by name or number; null: found")
    title: str | None = Field(None, description="column of the title, by name or number; null: found")


class WebService(Strict):
    """How a service is asked."""

    requests_per_second: Annotated[float, Field(gt=0, le=1000)] = Field(
        2.0, description="most requests in a second, one at a time"
    )
    timeout_s: Annotated[float, Field(gt=0, le=3600)] = Field(30.0, description="seconds for a whole answer")
    attempts: Annotated[int, Field(ge=1, le=20)] = Field(4, description="requests for one question, before the item has failed")
    backoff_s: Annotated[float, Field(ge=0, le=3600)] = Field(
        1.0, description="seconds before the second attempt, doubled for each further one, where the service names no time"
    )
    max_wait_s: Annotated[float, Field(ge=0, le=86400)] = Field(
        120.0, description="longest time to wait for a service; if it asks for more (Retry-After), the run ends"
    )
    max_failures: Positive = Field(
        5, description="failed items in a row after which a service isn't asked any more, and the run ends"
    )


class Wikipedia(WebService):
    """A Wikipedia, and which of its articles are taken."""

    contact: str | None = Field(
        None,
        description="your e-mail address, for the User-Agent of each request, as Wikimedia's policy asks; without it no request",
    )
    base_url: Path = Field("https://en.wikipedia.org/w/api.php", description="MediaWiki's API, of any language")
    hint: str | None = Field(
        None,
        min_length=1,
        description="what the items are in the language of base_url, such as film: searched beside the title, and an article "
        "that doesn't say it isn't taken",
    )
    results: Annotated[int, Field(ge=1, le=50)] = Field(8, description="articles of a search that are compared")
    least_likeness: Annotated[float, Field(ge=0, le=1)] = Field(
        0.85, description="share of the words that an article's title and the item's have in common (F1), of those that are taken"
    )

    @field_validator("contact")
    @classmethod
    def _is_e_mail(cls, value: str | None) -> str | None:
        """A contact is one address."""
        if value is not None and not E_MAIL.fullmatch(value):
            raise ValueError("it is no e-mail address, such as you@example.org")
        return value


class Steam(Strict):
    """A file of Steam's games."""

    path: str | None = Field(
        None,
        min_length=1,
        description="file of Steam's games: lines of Python dicts (.json.gz), JSON or CSV; null: there is none",
    )
    by: Literal["id", "title"] = Field(
        "id", description="what items are found by: id, where item ids are Steam's app ids, or title"
    )
    max_bad_share: Share = Field(0.01, description="share of the file's rows that can't be read, refused above")


class Llm(WebService):
    """A language model behind an OpenAI-compatible endpoint, which finds facts in the texts of the other sources."""

    base_url: str | None = Field(
        None, min_length=1, description="of the endpoint, such as https://api.openai.com/v1; null: there is none"
    )
    model: str | None = Field(None, min_length=1, description="name of the model")
    key_variable: Path = Field(
        "OPENAI_API_KEY", description="name of the environment variable that holds the key; the key stands nowhere"
    )
    temperature: Annotated[float, Field(ge=0, le=2)] | None = Field(
        0.0, description="of the model; null: the request doesn't say it"
    )
    json_mode: bool = Field(
        True, description="whether the request asks for JSON by response_format, which some servers don't know"
    )
    max_tokens: Positive | None = Field(None, description="longest answer; null: the request doesn't say it")
    text_chars: Positive = Field(6000, description="characters of the texts that are sent for an item")

    @model_validator(mode="after")
    def _names_a_variable(self) -> "Llm":
        """The key itself isn't a setting: settings are shown and kept."""
        if not VARIABLE_NAME.fullmatch(self.key_variable):
            raise ValueError(
                "llm.key_variable is the name of an environment variable, never the key: export the key, and name it"
            )
        add_secret(self.key_variable)  # here, because a chain with this job is tracked before the job runs
        return self


class EnrichItems(Strict):
    """Titles of items into what Wikipedia, a file of Steam's games and a language model say of them."""

    output: Path = Field(description="folder of the table enriched_items; each run adds a version")
    cache: Path = Field(description="folder of the services' answers, which aren't asked again")
    items: ItemTitles = ItemTitles()
    sources: list[SourceName] = Field(
        ["wikipedia"],
        description="steam, wikipedia and llm, or some of them, by priority: a column is taken from the first that has a value",
    )
    wikipedia: Wikipedia = Wikipedia()
    steam: Steam = Steam()
    llm: Llm = Llm()
    summary_chars: Annotated[int, Field(ge=20, le=100_000)] = Field(
        1000, description="longest summary, in characters; cut behind a sentence"
    )
    refresh: bool = Field(False, description="ask all services anew, whatever is in the cache")
    id_type: Literal["auto", "bigint", "string"] = Field("auto", description="auto: bigint where all ids are whole numbers")
    keep: Positive = Field(5, description="newest versions that stay")

    def reads(self) -> tuple[str, ...]:
        return ("items.path", "steam.path") if "steam" in self.sources else ("items.path",)

    def writes(self) -> str | None:
        return "output"

    @field_validator("sources")
    @classmethod
    def _distinct(cls, value: list[Any]) -> list[Any]:
        """Sources are there, each once, and a model has texts to read."""
        if not value or len(set(value)) < len(value):
            raise ValueError("name each source once, and at least one, as in [steam, wikipedia, llm]")
        if value == ["llm"]:
            raise ValueError("llm finds facts in the texts of other sources: add wikipedia or steam")
        return value

    @model_validator(mode="after")
    def _has_what_sources_need(self) -> "EnrichItems":
        """No source without its address, its file, or the name of who asks."""
        if self.items.path is None and "steam" not in self.sources:
            raise ValueError("items has no path: set items.path=FILE")
        if "wikipedia" in self.sources and self.wikipedia.contact is None:
            raise ValueError(
                "wikipedia.contact is null, and nothing was asked: set it to your e-mail address, which Wikimedia's policy wants "
                "in each request, or leave wikipedia out of sources"
            )
        if "steam" in self.sources and self.steam.path is None:
            raise ValueError("steam has no path: set steam.path=FILE, or leave steam out of sources")
        if "llm" in self.sources:
            for name in ("base_url", "model"):
                if getattr(self.llm, name) is None:
                    raise ValueError(f"llm.{name} is null: set it, or leave llm out of sources")
        for key, address in (("wikipedia", self.wikipedia.base_url), ("llm", self.llm.base_url)):
            if address is not None and not _is_plain_address(address):
                raise ValueError(f"{key}.base_url is an address http:// or https:// of a host, without user, query and blanks")
        return self


def _is_plain_address(address: str) -> bool:
    """Whether an address is http(s)://HOST/PATH."""
    try:
        parts = urlsplit(address)
        port_is_right = parts.port is None or parts.port > 0
    except ValueError:
        return False
    plain = not (parts.username or parts.password or parts.query or parts.fragment) and not re.search(r"[\s\x00-\x1f]", address)
    return plain and port_is_right and parts.scheme in ("http", "https") and bool(parts.hostname)
