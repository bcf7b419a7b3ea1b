"""make ml-1m: from a server of files to ratings, again, and what is said where it can't be had."""

import functools
import hashlib
import http.server
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from seqrec import movielens

RATINGS = "1::1193::5::978300760\n2::661::3::978302109\n"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The address of a server of the folder `served`, which has a zip like MovieLens's."""
    (tmp_path / "served").mkdir()
    with zipfile.ZipFile(tmp_path / "served" / "ml-1m.zip", "w") as packed:
        packed.writestr("ml-1m/ratings.dat", RATINGS)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "served"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as started:
        threading.Thread(target=started.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{started.server_address[1]}"
        started.shutdown()


def get(tmp_path: Path, url: str, md5: str) -> Path:
    """The ratings, by the command."""
    movielens.main(["--folder", str(tmp_path / "kept"), "--url", url, "--md5", md5])
    return tmp_path / "kept" / "ml-1m" / "ratings.dat"


def test_it_is_downloaded_checked_unpacked_and_not_downloaded_again(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    served = tmp_path / "served" / "ml-1m.zip"
    md5 = hashlib.md5(served.read_bytes()).hexdigest()
    ratings = get(tmp_path, f"{server}/ml-1m.zip", md5)
    assert ratings.read_text() == RATINGS
    assert capsys.readouterr().out == f"{ratings}: 2 ratings, for research only\nnext: make recommend RATINGS={ratings}\n"
    served.unlink()
    ratings.write_text("changed")
    assert get(tmp_path, f"{server}/ml-1m.zip", md5).read_text() == RATINGS
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == ["ml-1m", "ml-1m.zip"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "ml-1m.zip",
            r"gave \d+ bytes with the MD5 [0-9a-f]{32}, expected 0000: it broke off, or isn't that file; run this again",
        ),
        (
            "none.zip",
            r"none.zip: the server answers 404 File not found: fetch it where there is a network, put it at .*kept/ml-1m.zip",
        ),
    ],
)
def test_what_another_file_or_none_means_is_said(server: str, tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(SystemExit, match=f"^error: {server}/{name}.*{said.removeprefix(name)}"):
        get(tmp_path, f"{server}/{name}", "0000")
    assert list((tmp_path / "kept").iterdir()) == []


def test_without_a_network_it_says_where_to_put_the_file(tmp_path: Path) -> None:
    said = rf"http://127.0.0.1:9/ml-1m.zip can't be reached \(.*refused\): fetch it .*, put it at {tmp_path}/kept/ml-1m.zip, and"
    with pytest.raises(SystemExit, match=said):
        get(tmp_path, "http://127.0.0.1:9/ml-1m.zip", "0000")


def test_an_archive_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    with zipfile.ZipFile(tmp_path / "kept" / "ml-1m.zip", "w") as packed:
        packed.writestr("other/ratings.csv", "x")
    md5 = hashlib.md5((tmp_path / "kept" / "ml-1m.zip").read_bytes()).hexdigest()
    with pytest.raises(SystemExit, match=r"ml-1m.zip has no ml-1m/ratings.dat: it isn't MovieLens-1M"):
        get(tmp_path, "http://127.0.0.1:9/", md5)
