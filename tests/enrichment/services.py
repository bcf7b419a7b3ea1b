"""A Wikipedia and a language model on 127.0.0.1, whose answers have the shape of the real ones; and what goes wrong with them."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

KEY = "sk-test-4711"


@dataclass(frozen=True, kw_only=True)
class Article:
    """An article of this Wikipedia."""

    page_id: int
    title: str
    extract: str
    short: str = ""
    redirects: tuple[str, ...] = ()
    disambiguation: bool = False


ARTICLES = (
    Article(
        page_id=1,
        title="Toy Story",
        extract="Toy Story is a 1995 American animated film directed by John Lasseter. Woody is a cowboy.",
    ),
    Article(page_id=2, title="Toy Story 2", extract="Toy Story 2 is a 1999 American animated film directed by John Lasseter."),
    Article(page_id=3, title="Heat", extract="In thermodynamics, heat is energy in transfer."),
    Article(
        page_id=4,
        title="Heat (1995 film)",
        extract="Heat is a 1995 American crime film by Michael Mann.",
        short="1995 film by Michael Mann",
    ),
    Article(page_id=5, title="Heat (1986 film)", extract="Heat is a 1986 American film.", short="1986 film"),
    Article(
        page_id=6,
        title="The Matrix",
        extract="The Matrix is a 1999 science fiction film.\nIt is set in a simulation.",
        short="1999 film",
    ),
    Article(page_id=7, title="Matrix", extract="Matrix may refer to a film of 1999 and other things.", disambiguation=True),
    Article(
        page_id=8,
        title="Star Wars (film)",
        extract="Star Wars is a 1977 American epic film by George Lucas.",
        redirects=("Star Wars: Episode IV – A New Hope",),
    ),
    Article(
        page_id=9, title="La Cité des enfants perdus", extract="La Cité des enfants perdus is a 1995 film.", short="1995 film"
    ),
    Article(page_id=10, title="Sabrina (1954 film)", extract="Sabrina is a 1954 film. It was made anew in 1995."),
    Article(
        page_id=11, title="Mercury", extract="Mercury may refer to a film of 1998, and to other things.", disambiguation=True
    ),
    Article(page_id=12, title="Python", extract=f"Python is a snake. {'It eats. ' * 60}A film of 2000 shows one."),
    Article(page_id=13, title="Nosferatu", extract="Nosferatu is a 1922 film, which was made anew in 1979.", short="1922 film"),
    Article(page_id=14, title="Stalker", extract="Stalker, after a novel of 1972, is a film of 1979."),
)


@dataclass(kw_only=True)
class Failure:
    """What is answered in place of the right answer."""

    status: int = 200
    content: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    wait_s: float = 0.0
    pause_s: float = 0.0  # before each byte


@dataclass(kw_only=True)
class Services:
    """A server, what it was asked, and the failures that come first; `broken` decides for a question whether it fails."""

    url: str = ""
    searches: list[str] = field(default_factory=list)
    read: list[str] = field(default_factory=list)
    chats: list[dict[str, Any]] = field(default_factory=list)
    agents: set[str] = field(default_factory=set)
    times: list[float] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    broken: Callable[[str], Failure | None] = lambda _: None
    facts: Callable[[str], str] = lambda _: "{}"

    @property
    def wikipedia(self) -> str:
        return f"{self.url}/w/api.php"

    @property
    def llm(self) -> str:
        return f"{self.url}/v1"

    @property
    def asked(self) -> int:
        return len(self.searches) + len(self.read) + len(self.chats)

    def forget(self) -> None:
        """Forget what was asked."""
        for kept in (self.searches, self.read, self.chats, self.times):
            kept.clear()


def search(words: str) -> list[dict[str, Any]]:
    """list=search: articles that hold all words, those with most of them in the title first."""
    wanted = re.findall(r"\w+", words.casefold())
    hits = []
    for article in ARTICLES:
        names = [article.title, *article.redirects]
        text = " ".join([*names, article.extract, article.short]).casefold()
        if all(word in re.findall(r"\w+", text) for word in wanted):
            redirect = next((name for name in article.redirects if set(re.findall(r"\w+", name.casefold())) & set(wanted)), None)
            hit = {"ns": 0, "title": article.title, "pageid": article.page_id}
            hits.append(hit | ({"redirecttitle": redirect} if redirect else {}))
    return hits


def page(page_id: int) -> dict[str, Any]:
    """prop=extracts|pageprops|info of an article."""
    article = next(article for article in ARTICLES if article.page_id == page_id)
    marks = {"wikibase-shortdesc": article.short} if article.short else {}
    marks |= {"disambiguation": ""} if article.disambiguation else {}
    url = f"https://en.wikipedia.org/wiki/{article.title.replace(' ', '_')}"
    return {"pageid": page_id, "ns": 0, "title": article.title, "extract": article.extract, "pageprops": marks, "fullurl": url}


@contextmanager
def running_services() -> Iterator[Services]:
    """The server on a free port of 127.0.0.1."""
    services = Services()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
            if not self.path.startswith("/w/api.php?") or asked.get("action") != "query":
                return self.answer(404, b"not here")
            if asked.get("list") == "search":
                services.searches.append(asked["srsearch"])
                content: dict[str, Any] = {"search": search(asked["srsearch"])[: int(asked["srlimit"])]}
            else:
                services.read.append(asked["pageids"])
                content = {"pages": [page(int(number)) for number in asked["pageids"].split("|")]}
            return self.respond(asked.get("srsearch", ""), {"batchcomplete": True, "query": content})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path != "/v1/chat/completions":
                return self.answer(404, b"not here")
            if self.headers["Authorization"] != f"Bearer {KEY}":
                said = f"Incorrect API key provided: {self.headers['Authorization']}"
                return self.answer(401, json.dumps({"error": {"message": said}}).encode())
            services.chats.append(body)
            text = body["messages"][-1]["content"]
            choice = {"index": 0, "message": {"role": "assistant", "content": services.facts(text)}, "finish_reason": "stop"}
            return self.respond(text, {"object": "chat.completion", "choices": [choice]})

        def respond(self, question: str, content: dict[str, Any]) -> None:
            services.agents.add(str(self.headers["User-Agent"]))
            services.times.append(time.monotonic())
            failure = services.failures.pop(0) if services.failures else services.broken(question)
            if failure is None:
                return self.answer(200, json.dumps(content).encode())
            time.sleep(failure.wait_s)
            return self.answer(failure.status, failure.content, failure.headers, pause_s=failure.pause_s)

        def answer(self, status: int, content: bytes, headers: dict[str, str] | None = None, *, pause_s: float = 0) -> None:
            try:
                self.send_response(status)
                for name, value in {**(headers or {}), "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                for piece in [content] if not pause_s else (bytes([byte]) for byte in content):
                    time.sleep(pause_s)
                    self.wfile.write(piece)
            except ConnectionError:
                return  # whoever asked has gone

        def log_message(self, format: str, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    services.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield services
    finally:
        server.shutdown()
        server.server_close()
