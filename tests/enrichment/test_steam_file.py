"""Games of Steam in each of the shapes in which they are published."""

import gzip
import json
from pathlib import Path

import pytest

from seqrec.enrichment.catalogue_items import Item
from seqrec.enrichment.facts import Facts
from seqrec.enrichment.steam_file import SteamFile, read_steam
from seqrec.errors import UserError

PYTHON = """{u'publisher': u'Valve', u'genres': [u'Action'], u'app_name': u'Half-Life', u'title': u'Half-Life', u'url': \
u'http://store.steampowered.com/app/70/', u'release_date': u'1998-11-08', u'tags': [u'FPS', u'Classic'], u'price': 9.99, \
u'early_access': False, u'id': u'70', u'developer': u'Valve, Inc.'}
{u'app_name': u'Log Challenge', u'price': 2.99, u'specs': [u'Single-player'], u'id': u'773570', u'tags': []}
"""
OBJECT = {
    "70": {
        "name": "Half-Life",
        "release_date": "Nov 8, 1998",
        "short_description": "<b>Named</b> Game of the Year.",
        "genres": ["Action"],
        "tags": {"FPS": 2800, "Classic": 20},
        "developers": ["Valve, Inc."],
    },
    "773570": {"name": "Log Challenge", "genres": [], "tags": {}, "developers": []},
}
CSV = """appid,name,release_date,developer,publisher,genres,steamspy_tags
70,Half-Life,1998-11-08,"Valve, Inc.",Valve,Action,FPS;Classic
773570,Log Challenge,,,,,
"""
HALF_LIFE = Facts(title="Half-Life", genres=("Action",), year=1998, creators=("Valve, Inc.",), keywords=("FPS", "Classic"))


def read(path: Path, **options: str) -> SteamFile:
    return read_steam(str(path), by="title" if options else "id", summary_chars=1000, max_bad_share=0.2)


@pytest.mark.parametrize("shape", ["python.gz", "python", "object", "lines", "array", "csv"])
def test_the_published_shapes(tmp_path: Path, shape: str) -> None:
    path = tmp_path / f"games.{shape}"
    rows = [{"appid": number, **game} for number, game in OBJECT.items()]
    contents = {
        "python": PYTHON,
        "object": json.dumps(OBJECT, indent=1),
        "lines": "".join(json.dumps(row) + "\n" for row in rows),
        "array": json.dumps(rows),
        "csv": CSV,
    }
    path.write_bytes(gzip.compress(PYTHON.encode()) if shape == "python.gz" else contents[shape].encode())
    steam = read(path)
    assert (sorted(steam.games), steam.rows, steam.unread) == (["70", "773570"], 2, 0)
    found = steam.look_up(Item(70, None))
    assert found is not None
    plain = {name: getattr(found, name) for name in ("title", "genres", "year", "creators", "keywords")}
    assert plain == {name: getattr(HALF_LIFE, name) for name in plain}
    assert found.summary == ("Named Game of the Year." if shape in ("object", "lines", "array") else None)
    assert steam.look_up(Item("773570", None)) == Facts(
        title="Log Challenge", keywords=("Single-player",) if shape.startswith("python") else ()
    )
    assert steam.look_up(Item(71, "Half-Life")) is None


def test_items_are_found_by_title(tmp_path: Path) -> None:
    (tmp_path / "games.csv").write_text(CSV + "71,HALF LIFE,1999-01-01,,,,\n")
    steam = read(tmp_path / "games.csv", by="title")
    found = steam.look_up(Item(1, "Half-Life (1998)"))
    assert found is not None
    assert found.creators == ("Valve, Inc.",)  # the first game of the name stands
    assert steam.look_up(Item(1, "Half-Life 2")) is None
    assert steam.look_up(Item(1, None)) is None


def test_bad_lines_are_counted_and_too_many_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "games.json"
    path.write_text(PYTHON * 4 + "{u'id': u'1', u'tit\n{'title': 'no id'}\n")
    assert (read(path).rows, read(path).unread) == (10, 2)
    path.write_text(PYTHON + "{u'id': u'1', u'tit\n")
    with pytest.raises(UserError, match=r"1 of 3 rows can't be read, or have no app id, max_bad_share is 0\.2"):
        read(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"movieId,genre\n1,x\n", "has no game with app ids"),
        (b"[1, 2", "can't be read"),
        (b"\x1f\x8bbroken", "can't be read"),
        (b"", "is empty"),
        (None, "no such file"),
    ],
)
def test_what_is_no_such_file_is_refused(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "games"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=f"steam.path={path}.*{said}"):
        read(path)
