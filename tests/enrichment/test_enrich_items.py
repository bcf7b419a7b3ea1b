"""The job, against a server that answers as Wikipedia and an OpenAI-compatible endpoint do."""

import json
import logging
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from jobs import embed_items
from jobs.enrich_items import main, run
from seqrec.catalogue.titles import read_titles
from seqrec.command.config import load_config
from seqrec.dataset.head import settle_table
from seqrec.enrichment.enrich_items import enriched_schema
from seqrec.errors import UserError
from seqrec.ranking.genres import GenreSource
from seqrec.ranking.side_tables import FeatureColumns, SideTable, SideTables, read_item_tables
from seqrec.settings.embed_items import EmbedItems
from seqrec.settings.enrich_items import EnrichItems
from seqrec.storage import versions
from seqrec.storage.lock import hold_in
from seqrec.tables import schemas
from seqrec.tables.input_table import WantedTable
from tests.enrichment.services import KEY, Failure, Services

ROOT = Path(__file__).parents[2]
CONF = str(ROOT / "conf" / "enrich_items.yaml")
MOVIES = """movieId,title
1,Toy Story (1995)
2,Heat (1995)
3,"Matrix, The (1999)"
4,Star Wars: Episode IV - A New Hope (1977)
5,"City of Lost Children, The (Cité des enfants perdus, La) (1995)"
6,Sabrina (1995)
7,Nowhere to Be Found (1990)
8,
10,Mercury (1998)
11,Python (2000)
12,Nosferatu (1979)
13,Stalker (1979)
"""
STEAM = "appid,name,developer,genres\n1,Toy Story,Disney,Adventure;Family\n2,Other,,\n"
PAGES = {
    1: "Toy_Story",
    2: "Heat_(1995_film)",
    3: "The_Matrix",
    4: "Star_Wars_(film)",
    5: "La_Cité_des_enfants_perdus",
    13: "Stalker",
}


def keys(services: Services, *more: str) -> list[str]:
    fast = ("requests_per_second=1000", "backoff_s=0.01", "timeout_s=5", "attempts=2")
    return [
        f"wikipedia.base_url={services.wikipedia}",
        "wikipedia.contact=ann@example.org",
        "wikipedia.hint=film",
        *(f"{name}.{key}" for name in ("wikipedia", "llm") for key in fast),
        *more,
    ]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """SEQREC_ROOT, with the items."""
    (tmp_path / "movies.csv").write_text(MOVIES)
    (tmp_path / "steam.csv").write_text(STEAM)
    monkeypatch.setenv("SEQREC_ROOT", str(tmp_path))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    return tmp_path


def enrich(folder: Path, *overrides: str) -> tuple[dict[Any, dict[str, Any]], dict[str, Any]]:
    """Run the job; the rows by id, and meta.json."""
    run(load_config(EnrichItems, CONF, list(overrides)))
    version = Path(versions.resolve(f"{folder}/enriched_items"))
    rows = pq.read_table(version / "enriched_items").to_pylist()
    return {row["item_id"]: row for row in rows}, json.loads((version / "meta.json").read_text())


def test_articles_are_found_and_others_are_not_taken(
    services: Services, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Heat isn't the film of 1986, Sabrina of 1995 not that of 1954, Nosferatu of 1979 not that of 1922; Python is no snake.

    Mercury is a list of meanings. The first year that the article on Stalker names is a novel's. Three articles that don't
    fit are found by both searches, and asked for once.
    """
    rows, meta = enrich(folder, *keys(services))
    found = {item: row["url"].rpartition("/")[2] for item, row in rows.items() if row["url"]}
    assert found == PAGES
    assert (rows[1]["summary"], rows[1]["summary_source"], rows[1]["year"]) == (
        "Toy Story is a 1995 American animated film directed by John Lasseter. Woody is a cowboy.",
        "wikipedia",
        1995,
    )
    assert rows[3]["summary"] == "The Matrix is a 1999 science fiction film. It is set in a simulation."
    assert (rows[6]["title"], rows[6]["summary"], rows[6]["summary_source"]) == ("Sabrina (1995)", None, None)
    assert list(rows) == [*range(1, 9), *range(10, 14)]  # all items, in the file's order
    assert meta["by_source"]["wikipedia"] == {
        "found": 6, "not_found": 5, "failed": 0, "left_out": 1, "requests": services.asked, "cached": 3
    }  # fmt: skip
    assert meta["counts"] == {"items": 12, "untitled": 1, "without_id": 0, "repeated": 0, "known": 6}
    assert meta["with_value"]["summary"] == 6
    assert services.searches[0] == "Toy Story 1995 film"
    [agent] = services.agents
    assert re.fullmatch(r"seqrec/\S+ \(ann@example\.org\) python-urllib/3\.\S+", agent)
    assert re.search(r"wikipedia +6 +5 +0 +1 ", capsys.readouterr().out)


def test_a_long_title_is_cut_where_wikipedia_would_refuse_it(services: Services, folder: Path) -> None:
    """Its search takes 300 letters."""
    long = "The Matrix " + "and what came of it " * 20
    (folder / "movies.csv").write_text(f"movieId,title\n1,{long}(1999)\n2,{'長' * 400}\n3,The Matrix (1999)\n")
    enrich(folder, *keys(services))
    assert max(map(len, services.searches)) == 300
    assert "長" * 295 + " film" in services.searches
    [cut, _] = [words for words in services.searches if words.startswith("The Matrix and")]
    assert re.fullmatch(r"The Matrix and what .* (and|what|came|of|it) 1999 film", cut)


def test_the_next_command_can_be_pasted(services: Services, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        run(load_config(EnrichItems, CONF, keys(services, f"output={folder}/my items")))
    [line] = [line for line in "\n".join(caplog.messages).splitlines() if line.startswith("next: ")]
    _, *words = shlex.split(line.removeprefix("next: "))
    assert words == ["embed_items", f"items.path={folder}/my items", 'template="{title}. {genres}. {summary}"']


def test_nothing_is_asked_twice_but_what_is_new_or_failed(
    services: Services, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    services.broken = lambda words: Failure(status=500) if words.startswith("The Matrix") else None
    rows, meta = enrich(folder, *keys(services))
    assert (rows[3]["summary"], meta["by_source"]["wikipedia"]["failed"]) == (None, 1)
    assert "wikipedia failed for 1 item: run the same command again, which asks for these alone" in caplog.text
    services.broken = lambda _: None
    services.forget()
    rows, meta = enrich(folder, *keys(services))
    assert (services.searches, services.read) == (["The Matrix 1999 film"], ["6"])
    assert meta["by_source"]["wikipedia"]["requests"] == 2
    services.forget()
    with (folder / "movies.csv").open("a") as movies:
        movies.write("9,Toy Story 2 (1999)\n")
    rows, _ = enrich(folder, *keys(services))
    assert (services.searches, rows[9]["year"]) == (["Toy Story 2 1999 film"], 1999)
    services.forget()
    again, _ = enrich(folder, *keys(services))
    assert (services.asked, again) == (0, rows)
    enrich(folder, *keys(services, "refresh=true"))
    assert services.asked > 20


def test_sources_are_merged_by_priority_and_a_model_reads_them(
    services: Services, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The model invents a year and a name, which its text doesn't have; its first answer for The Matrix is no JSON."""
    monkeypatch.setenv("MY_KEY", KEY)
    answers = {
        "Toy Story": '```json\n{"genres": ["Animation"], "year": 1995, "creators": ["John Lasseter", "Pete Docter"]}\n```',
        "Matrix": '{"summary": "Simulated.", "genres": ["Sci-fi"], "year": 1984, "creators": null, "keywords": "simulation"}',
    }
    spoiled = ["I am sorry"]

    def facts(text: str) -> str:
        name = next((name for name in answers if name in text), "")
        return spoiled.pop() if name == "Matrix" and spoiled else answers.get(name, "{}")

    services.facts = facts
    llm = [f"llm.base_url={services.llm}", "llm.model=tiny", "llm.key_variable=MY_KEY", "steam.path=" + str(folder / "steam.csv")]
    rows, meta = enrich(folder, *keys(services, *llm, "sources=[steam, llm, wikipedia]"))
    one = rows[1]
    assert (one["genres"], one["genres_source"]) == (["Adventure", "Family"], "steam")
    assert (one["creators"], one["creators_source"]) == (["Disney"], "steam")
    assert (one["year"], one["year_source"], one["summary_source"]) == (1995, "llm", "wikipedia")
    matrix = rows[3]
    assert (matrix["summary"], matrix["summary_source"]) == ("Simulated.", "llm")
    assert (matrix["genres"], matrix["keywords"], matrix["year"]) == (["Sci-fi"], ["simulation"], 1999)
    assert matrix["year_source"] == "wikipedia"
    counts = meta["by_source"]["llm"]
    assert (counts["found"], counts["not_found"], counts["left_out"], counts["unsupported"]) == (2, 4, 6, 2)
    assert (meta["by_source"]["steam"]["found"], meta["by_source"]["steam"]["not_found"]) == (2, 10)
    assert services.chats[0]["model"] == "tiny"
    assert services.chats[0]["response_format"] == {"type": "json_object"}
    assert "Genres: Adventure, Family." in services.chats[0]["messages"][1]["content"]
    assert len(services.chats) == 7
    written = [path for path in folder.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
    assert written == []
    assert KEY not in caplog.text


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["wikipedia.contact=null"], "wikipedia.contact is null, and nothing was asked: set it to your e-mail address"),
        (["wikipedia.contact=ann"], "it is no e-mail address, such as you@example.org"),
        (["sources=[wikipedia, llm]"], "llm.base_url is null: set it, or leave llm out of sources"),
        (["sources=[wikipedia, llm]", "llm.base_url=http://127.0.0.1:1/v1", "llm.model=m"], "export OPENAI_API_KEY=…"),
        (["llm.key_variable=sk-my-own-key"], "llm.key_variable is the name of an environment variable, never the key"),
        (["sources=[llm]"], "llm finds facts in the texts of other sources: add wikipedia or steam"),
        (["sources=[steam]"], "steam has no path"),
        (["sources=[wiki]"], "wiki"),
        (["wikipedia.base_url=ftp://x/"], "wikipedia.base_url is an address http:// or https://"),
        (["wikipedia.base_url=https://ann:secret@x/"], "wikipedia.base_url is an address http:// or https://"),
        (["items.path=/nowhere.csv"], "items.path=/nowhere.csv: no such file"),
        (["items.title=name"], "has no column 'name', which items.title=COLUMN names"),
        (["wikipedia.hints=film"], "did you mean wikipedia.hint?"),
    ],
)
def test_without_a_contact_or_a_key_nothing_is_asked(services: Services, folder: Path, overrides: list[str], said: str) -> None:
    with pytest.raises(UserError) as raised:
        enrich(folder, *keys(services, *overrides))
    assert said in str(raised.value)
    assert "sk-my-own-key" not in str(raised.value)
    assert "secret" not in str(raised.value)
    assert services.asked == 0
    assert not (folder / "enriched_items").exists()


def test_a_dead_host_ends_the_run_and_nothing_is_written(services: Services, folder: Path) -> None:
    services.broken = lambda _: Failure(status=500)
    with pytest.raises(UserError, match="failed for 3 items in a row"):
        enrich(folder, *keys(services, "wikipedia.max_failures=3"))
    assert services.asked == 6
    assert not (folder / "enriched_items" / versions.CURRENT).exists()


def test_items_that_nobody_knows_are_an_error(services: Services, folder: Path) -> None:
    (folder / "movies.csv").write_text("movieId,title\n11,Nothing (1901)\n12,Something Else\n")
    with pytest.raises(UserError, match=r"no source knows any of the 2 items \(wikipedia: found 0 · not found 2"):
        enrich(folder, *keys(services))
    services.forget()
    with pytest.raises(UserError, match=r"none of the 2 items is in the file of steam: look at items.id, or set steam.by=title"):
        enrich(folder, *keys(services, "sources=[steam, wikipedia]", f"steam.path={folder}/steam.csv"))
    assert services.asked == 0


def test_the_games_of_steam_are_items_themselves(services: Services, folder: Path) -> None:
    rows, meta = enrich(folder, "sources=[steam]", f"steam.path={folder}/steam.csv", "items.path=null")
    assert {item: row["title"] for item, row in rows.items()} == {1: "Toy Story", 2: "Other"}
    assert (meta["id_type"], services.asked) == ("bigint", 0)


def test_a_killed_run_goes_on_where_it_was(services: Services, folder: Path) -> None:
    """SIGKILL while the fourth item is asked: the second run asks for that and those behind it."""
    services.broken = lambda words: Failure(wait_s=60) if words.startswith("Star Wars") else None
    command = [sys.executable, "-m", "jobs.enrich_items", "--conf", CONF, *keys(services, "wikipedia.timeout_s=100")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    give_up = time.monotonic() + 60
    while not any(words.startswith("Star Wars") for words in services.searches) and time.monotonic() < give_up:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (folder / "enriched_items").exists()
    before = set(services.searches)
    services.broken = lambda _: None
    services.forget()
    rows, meta = enrich(folder, *keys(services))
    assert sum(row["summary"] is not None for row in rows.values()) == 6
    assert before & set(services.searches) == {"Star Wars Episode IV A New Hope 1977 film"}
    assert meta["by_source"]["wikipedia"]["cached"] == 9  # a search and a reading of each of three items, and three as above


def test_two_runs_do_not_ask_at_the_same_time(services: Services, folder: Path) -> None:
    cache = f"{folder}/enrichment_cache"
    with hold_in(cache, ".lock", what="", remedy=""), pytest.raises(UserError, match="wait until that run ends, or set cache="):
        enrich(folder, *keys(services))


def test_other_jobs_read_the_folder_as_it_is(
    spark: SparkSession, services: Services, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, _ = enrich(folder, *keys(services, "sources=[steam, wikipedia]", f"steam.path={folder}/steam.csv"))
    output = f"{folder}/enriched_items"
    overrides = [f"items.path={output}", 'template="{title}. {genres}. {summary}"', "dimension=2"]
    embed_items.run(load_config(EmbedItems, str(ROOT / "conf" / "embed_items.yaml"), overrides))
    version = Path(versions.resolve(f"{folder}/item_vectors"))
    assert {row["item_id"] for row in pq.read_table(version / "item_vectors").to_pylist()} >= {1, 2, 3}
    assert json.loads((version / "meta.json").read_text())["inputs"] == [f"{versions.resolve(output)}/enriched_items"]
    columns = FeatureColumns(text=("title", "summary"), discrete=("year",))
    side = SideTable(table=settle_table(WantedTable(key="items", path=output)), columns=columns)
    kind = schemas.IDS["bigint"]
    items = read_item_tables(spark, SideTables(items=side), GenreSource(column="genres"), kind=kind, max_bad_share=0.0)
    features = {row["item_id"]: row for row in items.collect()}
    assert (features[1]["year"], features[1]["genres"], features[8]["genres"]) == ("1995", ["Adventure", "Family"], [])
    assert features[1]["summary"] == rows[1]["summary"]
    assert read_titles(output).of(3) == "Matrix, The (1999)"
    written = spark.read.parquet(f"{versions.resolve(output)}/enriched_items").schema
    assert written.simpleString() == schemas.enriched_items(kind).simpleString()
    assert enriched_schema(pa.int64()).names == schemas.enriched_items(kind).fieldNames()


def test_a_folder_of_several_tables_is_no_table(tmp_path: Path) -> None:
    version = tmp_path / "20260101T000000Z-0001"
    for name in ("a", "b"):
        (version / name).mkdir(parents=True)
        pq.write_table(pa.table({"item_id": [1]}), version / name / "part.parquet")
        (version / name / "_SUCCESS").touch()
    versions.write_meta(str(version), {"run_id": version.name})
    (tmp_path / versions.CURRENT).write_text(version.name)
    with pytest.raises(UserError, match=rf"is a versioned folder with 2 tables: give one of {version}/a, {version}/b"):
        settle_table(WantedTable(key="items", path=str(tmp_path)))
    assert settle_table(WantedTable(key="items", path=f"{version}/a")).path == f"{version}/a"


def test_help_says_every_key(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "wikipedia.contact = null" in capsys.readouterr().out
