"""What the page of a chain says where values are of a wrong kind, and where numbers could be taken for others."""

import json
import re
from pathlib import Path

import pytest

from tests.reporting.small_chain import (
    DATASET,
    EVALUATION,
    EXPORT,
    LISTS,
    METRICS,
    MODEL,
    RECORDS,
    STATS,
    write_chain,
    write_evaluation,
    write_lists,
)
from tests.reporting.test_report import error_of, page, section, text_of

NEWER, NEWEST = "20260103T000000Z-0009", "20260104T000000Z-0009"
BASELINE = {"metrics": {"popularity": {"users": 5.0, "ndcg@10": 0.018}, "markov": {"users": 5.0, "ndcg@10": 0.02}}}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """SEQREC_ROOT with a whole chain."""
    monkeypatch.setenv("SEQREC_ROOT", str(tmp_path))
    write_chain(tmp_path)
    return tmp_path


def head_of(html: str) -> str:
    """The text above the sections."""
    return text_of(html.partition("<nav")[0])


def with_main(value: object) -> str:
    """metrics.json whose NDCG@10 of the first method is another value."""
    return json.dumps({**METRICS, "metrics": {MODEL: {"users": 5.0, "ndcg@10": value}}})


@pytest.mark.parametrize(
    ("file", "content", "name", "said"),
    [
        (f"evaluation/{EVALUATION}/metrics.json", b"[]", "metrics", "metrics.json holds [], not an object"),
        (f"evaluation/{EVALUATION}/metrics.json", with_main(None).encode(), "metrics", "NDCG@10 - "),
        (f"evaluation/{EVALUATION}/metrics.json", with_main(float("nan")).encode(), "metrics", "NDCG@10 nan"),
        (f"evaluation/{EVALUATION}/metrics.json", b'{"metrics": {"m": 3}}', "metrics", "is missing or of a wrong kind"),
        ("model/epochs.jsonl", b"null\n", "training", "is missing or of a wrong kind (TypeError: argument"),
        ("model/epochs.jsonl", b'{"epoch": 1}\n', "training", "is missing or of a wrong kind (KeyError: &#x27;step&#x27;)"),
        ("model/epochs.jsonl", b"\xff\n", "training", "epochs.jsonl is damaged"),
        (
            f"dataset/{DATASET}/stats.json",
            json.dumps({**STATS, "times": {"first": None, "last": None}}).encode(),
            "data",
            "is missing or of a wrong kind (TypeError",
        ),
    ],
)
def test_a_value_of_a_wrong_kind_costs_its_section_alone(root: Path, file: str, content: bytes, name: str, said: str) -> None:
    whole = page(root)
    (root / file).write_bytes(content)
    part = page(root)
    assert said in section(part, name)
    for other in {"data", "training", "metrics", "lists", "users", "items", "published"} - {name}:
        assert section(part, other) == section(whole, other)
    assert ("NDCG@10 of test" in head_of(part)) == (name != "metrics")
    assert "published 2026-01-02" in head_of(part)


def test_curves_leave_out_what_is_no_number(root: Path) -> None:
    lines = [*RECORDS, {**RECORDS[2], "step": 40, "train_loss": float("nan"), "loss": None}]
    (root / "model" / "epochs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    html = page(root)
    assert "1 validation has a value that is no finite number" in section(html, "training")
    assert "NDCG@10: 0.1875 at 40" in html
    assert "train: nan" not in html


def test_an_id_of_more_than_64_bits_is_named(root: Path) -> None:
    assert "users: '99999999999999999999' is no id of this dataset" in error_of("users=['99999999999999999999']")
    assert "User 3" in section(page(root, "known_items=['99999999999999999999']"), "users")


def test_a_baseline_is_not_taken_for_the_model(root: Path) -> None:
    assert "NDCG@10 of test, the model 0.5000" in head_of(page(root))
    write_evaluation(root, run_id=NEWER, metrics=BASELINE)
    html = page(root)
    assert "NDCG@10 of test, popularity 0.0180" in head_of(html)
    assert "There is no evaluation of this split before this one whose first method is of the same kind." in section(
        html, "metrics"
    )
    better = {"metrics": {"other": {"users": 5.0, "ndcg@10": 0.75}}}
    write_evaluation(root, run_id=NEWEST, metrics=better)
    text = section(page(root), "metrics")
    assert f"The run before is {EVALUATION}" in text
    assert "Now other; before sasrec-with-" in text
    write_evaluation(root, run_id="20260105T000000Z-0009", metrics=better, table="elsewhere")
    assert "whose first method is of the same kind." in section(page(root), "metrics")


def test_titles_that_fit_no_item_are_said(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    (root / "titles.csv").write_text("id,title\n1,Alien\n2,Brazil\n")
    with caplog.at_level("INFO", logger="seqrec"):
        html = page(root, f"items.path={root}/titles.csv")
    said = "items.id=ID items.title=TITLE says which columns are right"
    assert said in head_of(html)
    assert said in caplog.text
    assert f"2 titles in {root}/titles.csv: column title, by id" in [record.getMessage() for record in caplog.records]
    (root / "titles.csv").write_text("id,title\na,Alien\n2,Brazil\n")
    assert said not in head_of(page(root, f"items.path={root}/titles.csv"))


def test_lists_of_a_subset_are_compared_only_if_they_are_named(root: Path) -> None:
    best = {1: ["d", "e"], 2: ["b", "a"]}
    write_lists(root, run_id=NEWER, best=best)
    meta = root / "output" / NEWER / "meta.json"
    meta.write_text(json.dumps({**json.loads(meta.read_text()), "users": "users.csv"}))
    write_lists(root, run_id=NEWEST)
    (root / "output" / "CURRENT").write_text(NEWEST)
    (root / "output" / NEWEST / "meta.json").write_text(
        json.dumps({**json.loads((root / "output" / NEWEST / "meta.json").read_text()), "export": "20260104T000000Z-0003"})
    )
    assert "Its mean over 5 users of both" in section(page(root, f"compare={EXPORT}"), "compared")
    assert "Its mean over 2 users of both" in section(page(root, f"compare={NEWER}"), "compared")


def test_a_version_may_be_named_by_its_folder(root: Path) -> None:
    """The journal and the evaluation before are found beside it."""
    write_evaluation(root, run_id=NEWER)
    named = (f"data={root}/dataset/{DATASET}", f"lists={root}/output/{LISTS}", f"evaluation={root}/evaluation/{NEWER}")
    html = page(root, *named)
    assert f"<h1>Report: {root.name}</h1>" in html
    assert f"is of lists {LISTS}" in section(html, "published")
    assert f"The run before is {EVALUATION}" in section(html, "metrics")


def test_sample_users_are_those_who_have_a_list(root: Path) -> None:
    write_lists(root, run_id=NEWER, best={2: ["a", "b"], 4: ["a"]})
    assert re.findall(r"User (\d)", section(page(root), "users")) == ["2", "4"]
    assert re.findall(r"User (\d)", section(page(root, "sample_users=1"), "users")) == ["2"]
    text = section(page(root, "users=[77, 3]"), "users")
    assert "None of the users has a list here. Users without a list: 77, 3." in text
