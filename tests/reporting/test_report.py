"""The page of a chain: what each section says of small versions that can be counted by hand, whole, broken and half of it."""

import json
import re
import shutil
from pathlib import Path

import pytest

from jobs import report
from seqrec.storage import files, versions
from tests.reporting import small_chain
from tests.reporting.small_chain import (
    DATASET,
    EVALUATION,
    EXPORT,
    LISTS,
    METRICS,
    MODEL,
    STATS,
    write_chain,
    write_dataset,
    write_evaluation,
    write_export,
    write_journal,
    write_lists,
)

ROOT = Path(__file__).parents[2]
NEWER = "20260103T000000Z-0009"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """SEQREC_ROOT with a whole chain."""
    root = tmp_path / "a chain"
    monkeypatch.setenv("SEQREC_ROOT", str(root))
    write_chain(root)
    return root


def page(root: Path, *overrides: str) -> str:
    """The page that the job writes."""
    report.main(["--conf", str(ROOT / "conf" / "report.yaml"), *overrides])
    return (root / "report.html").read_text(encoding="utf-8")


def text_of(html: str) -> str:
    """What a reader sees: without tags, blanks as one."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", re.sub(r"<(style|title|desc)>.*?</\1>", " ", html, flags=re.DOTALL)))


def section(html: str, name: str) -> str:
    """A section's text."""
    [found] = [part for part in re.findall(r"<section>.*?</section>", html, flags=re.DOTALL) if f'<h2 id="{name}">' in part]
    return text_of(found)


def error_of(*overrides: str) -> str:
    """The one line that the job ends with."""
    with pytest.raises(SystemExit) as ended:
        report.main(["--conf", str(ROOT / "conf" / "report.yaml"), *overrides])
    line = str(ended.value.code)
    assert len(line.splitlines()) == 1
    return line


def test_the_data_section_counts_what_was_lost(root: Path) -> None:
    html = page(root)
    text = section(html, "data")
    assert "Of 20 rows, 12 became events." in text
    assert "the user is missing dropped −3 15 %" in text
    assert "the rating is below min_rating no event −5 25 %" in text
    assert "bad_rating" not in text
    assert "25 % of the ratings have the same time as the same user's rating before (ties)" in text.replace("&#x27;", "'")
    assert "4 users had too few events to hold any out, and are trained on whole." in text
    assert "The events are from 1970-01-01 00:00 UTC to 1970-01-05 00:00 UTC." in text
    # histories of 1, 1, 2, 3 and 5 events; 5 events on the first day, then 3, 2, 1, 1
    assert re.findall(r"<title>([\w–]+), users: (\d+)</title>", html) == [("1", "2"), ("2", "1"), ("3–4", "1"), ("5–6", "1")]
    days = [f"1970-01-0{day}" for day in range(1, 6)]
    assert re.findall(r"<title>([\d-]+), events: (\d+)</title>", html) == list(zip(days, "53211", strict=True))


def test_without_times_there_is_no_activity(root: Path) -> None:
    shutil.rmtree(root / "dataset")
    write_dataset(root, stats={**STATS, "times": {}})
    text = section(page(root), "data")
    assert "The input has no times: the order of its rows is the order of the events." in text
    assert "There is no picture of events over time" in text
    assert "Activity over time" not in text


def test_the_curves_and_their_best_validation(root: Path) -> None:
    html = page(root)
    text = section(html, "training")
    assert "The training was validated 3 times, at last after 30 steps." in text
    assert "The best validation, whose weights are kept, is number 2, after step 20." in text
    assert "The best, 0.2500, is at step 20." in text
    assert re.findall(r"<title>(train|valid): ([\d.]+) at (\d+)</title>", html) == [
        ("train", "3", "10"), ("train", "2", "20"), ("train", "1.5", "30"),
        ("valid", "2.5", "10"), ("valid", "2.25", "20"), ("valid", "2.5", "30"),
    ]  # fmt: skip
    assert html.count('class="dot series-0 best"') == 2


def test_metrics_have_intervals_baselines_and_segments(root: Path) -> None:
    text = section(page(root), "metrics")
    assert "The model is worth using: it is better." in text
    assert "NDCG@10 0.5000 0.4000–0.6000 0.2500 0.2000–0.3000" in text
    assert "hit rate = recall@10 0.7500 0.5000" in text
    assert "1 to 3 4 0.5000 0.3000–0.7000 –" in text
    assert "There is no evaluation of this split before this one whose first method is of the same kind." in text


def test_the_run_before_is_compared_user_by_user_where_users_have_values(root: Path) -> None:
    better = {**METRICS, "metrics": {MODEL: {"users": 5.0, "ndcg@10": 0.625}}}
    write_evaluation(root, run_id=NEWER, metrics=better, ranks=[1, 1, 1, 1, 0])
    text = section(page(root), "metrics")
    assert f"The run before is {EVALUATION}" in text
    assert "NDCG@10 0.5000 0.6250 +0.1250" in text
    # NDCG before: 1, 0.6309, 0.4307, 0, 0; now 1, 1, 1, 1, 0: 3 users differ, on average (0.3691 + 0.5693 + 1) / 5
    assert "Over the 5 users of both, NDCG@10 differs by +0.3877 (95 % confidence: " in text
    assert "it is another one for 3 of them. This may be chance." in text
    write_evaluation(root, run_id="20260104T000000Z-0009", metrics=better)
    assert "if both evaluations are of the same dataset and were made with save_predictions=true" in section(
        page(root), "metrics"
    )


def test_coverage_and_popularity_of_what_is_recommended(root: Path) -> None:
    html = page(root)
    text = section(html, "lists")
    assert "items in anybody's first 10 5 of 6" in text.replace("&#x27;", "'")
    assert "coverage 83.3 %" in text
    assert "model the model scored all items 4 80 %" in text
    assert "popular the model knows nothing of the user, so popular items are given 1 20 %" in text
    assert "item a 3 60 % 9 item b 3 60 % 7 item &lt;i&gt;c&lt;/i&gt; 1 20 % 7" in text
    # 9 of 26 events and 3 of 9 places of lists are of the most popular item
    assert "<title>1, training events: 34.6 %</title>" in html
    assert "<title>1, recommendations: 33.3 %</title>" in html


def test_sample_users_have_their_latest_items_and_their_list(root: Path) -> None:
    (root / "titles.csv").write_text('id,title\na,"Alien, <the> film"\nb,Brazil\n')
    text = section(page(root, f"items.path={root}/titles.csv", "users=[4, 77]"), "users")
    assert "Users without a list: 77." in text
    assert "User 4 the newest 5 items of the history; source of the list: model" in text
    assert "Latest items item e item d item &lt;i&gt;c&lt;/i&gt; Brazil Alien, &lt;the&gt; film" in text
    assert "Recommended Alien, &lt;the&gt; film (2.000)" in text
    assert "User 1 " not in text
    spread = section(page(root, "sample_users=2"), "users")
    assert re.findall(r"User (\d)", spread) == ["3", "4"]  # the shortest history and the longest


def test_neighbours_are_those_of_the_model(root: Path) -> None:
    text = section(page(root, "known_items=[a]"), "items")
    assert "item a, 9 training events item b (1.000) item e (0.707)" in text
    assert "item b, 7 training events" not in text
    assert "item f" not in section(page(root), "items")
    assert "items: the model" in section(page(root, "known_items=[zz]"), "items")


def test_what_was_published_hides_passwords(root: Path) -> None:
    html = page(root)
    assert "is of lists " + LISTS in section(html, "published")
    assert "ended 2026-01-02 03:04 UTC, 5 users" in section(html, "published")
    assert "secret" not in html
    write_journal(root, run_id="20260101T040000Z-0004", finished=None)
    text = section(page(root), "published")
    assert "It did not end: its finished steps are MongoDB staged" in text
    assert f"The newest lists are {LISTS}, so users read other lists than this page shows." in text
    (root / "output" / "PUBLISHED.json").unlink()
    assert "Nothing was published from this folder" in section(page(root), "published")


def test_the_lineage_names_runs_settings_and_packages(root: Path) -> None:
    text = section(page(root), "lineage")
    assert f"Dataset {DATASET} by build_sequences, 2026-01-01 01:00 UTC from ratings r &amp; s.csv" in text
    made_from = f"from dataset {DATASET} from training {small_chain.TRAINING} from export {EXPORT}"
    assert f"Evaluation {EVALUATION} by evaluate, 2026-01-01 04:00 UTC {made_from}" in text
    assert f"Lists {LISTS} by batch_recommend, 2026-01-01 05:00 UTC {made_from}" in text
    assert "min_rating 3" in text
    assert "pyarrow 14.0.2" in text


def test_text_of_the_data_is_escaped_and_nothing_is_loaded(root: Path) -> None:
    html = page(root)
    assert "<b>" not in html
    assert "<i>" not in html
    assert MODEL.replace("<b>", "&lt;b&gt;") in html
    assert "<script" not in html
    assert not re.search(r'(?:src|href)="(?!#)', html)
    assert "url(" not in html
    assert "@import" not in html


@pytest.mark.parametrize(
    ("lost", "name", "said"),
    [
        ("dataset", "data", "There is no finished dataset here. It is written by ./spark-submit.sh build_sequences"),
        ("model/meta.json", "training", "There is no finished training of this export here."),
        ("model/exports", "items", "There is no finished export of a model here."),
        ("evaluation", "metrics", "There is no finished evaluation here."),
        ("output", "lists", "There is no finished version of lists here."),
        (f"dataset/{DATASET}/stats.json", "data", "How long histories are"),
        (f"dataset/{DATASET}/events/part-00000.parquet", "data", "is missing, one of the 1 files of this table"),
        (f"output/{LISTS}/recommendations/part-00000.parquet", "lists", "is missing, one of the 1 files of this table"),
        (f"evaluation/{EVALUATION}/metrics.json", "metrics", "is missing or has no metrics: run evaluate again."),
        (f"model/exports/{EXPORT}/meta.json", "items", "There is no finished export of a model here."),
        ("model/epochs.jsonl", "training", "No validation was recorded yet"),
    ],
)
def test_half_a_chain_shows_what_there_is(root: Path, lost: str, name: str, said: str) -> None:
    """Every other section is what it was."""
    whole = page(root)
    path = root / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    part = page(root)
    assert said in section(part, name)
    for other in {"data", "training", "metrics"} - {name}:
        assert section(part, other) == section(whole, other)


@pytest.mark.parametrize(
    ("broken", "name", "said"),
    [
        (f"evaluation/{EVALUATION}/metrics.json", "metrics", "metrics.json is not valid JSON"),
        ("model/epochs.jsonl", "training", "epochs.jsonl is damaged"),
        ("output/PUBLISHED.json", "published", "Nothing was published"),
        ("model/meta.json", "training", "There is no finished training of this export here."),
        (f"output/{LISTS}/meta.json", "lists", "There is no finished version of lists here."),
        (f"dataset/{DATASET}/stats.json", "data", "stats.json is not valid JSON"),
    ],
)
def test_a_broken_file_is_named(root: Path, broken: str, name: str, said: str) -> None:
    (root / broken).write_text("{")
    html = page(root)
    assert said in section(html, name)
    assert Path(broken).name in html


def test_what_does_not_fit_together_is_said_at_the_top(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_dataset(root, run_id=NEWER)
    said = f"lists {LISTS} was made from dataset {DATASET}, the dataset is {NEWER} now: run batch_recommend again"
    html = page(root)
    assert said in text_of(html.partition("<nav")[0])
    assert said in caplog.text
    assert "Latest items item e" in section(html, "users")  # by the dataset that the lists were made from
    shutil.rmtree(root / "dataset" / DATASET)
    assert f"The dataset {DATASET} that the lists were made from is no longer there" in section(page(root), "lists")
    small_chain.write_training(root, run_id="20260105T000000Z-0001")
    assert "the curves are left out" in text_of(page(root))


def test_a_run_is_compared_with_what_belongs_to_it(root: Path) -> None:
    """Newer lists by another export, and the older ones by the run id of their evaluation, their export, or themselves."""
    write_export(root, run_id="20260103T000000Z-0003", seed=2)
    better = {"metrics": {"other": {"users": 5.0, "ndcg@10": 0.75}}}
    write_evaluation(root, run_id="20260103T000000Z-0004", export="20260103T000000Z-0003", metrics=better, ranks=[1] * 5, seed=7)
    best = {1: ["d", "e"], 2: ["b", "a"], 3: ["b", "e"], 4: ["d"], 6: ["a"]}
    write_lists(root, run_id="20260103T000000Z-0005", export="20260103T000000Z-0003", best=best)
    texts = [section(page(root, f"compare={run_id}"), "compared") for run_id in (EVALUATION, EXPORT, LISTS)]
    assert texts[0] == texts[1] == texts[2]
    text = texts[0].replace("&#x27;", "'")
    assert f"The same dataset, {DATASET}." in text
    assert "evaluate seed 42 7" in text
    assert "train seed 1 2" in text
    assert "Both are of the same dataset." in text
    assert "NDCG@10 0.5000 0.7500 +0.2500" in text
    assert "NDCG@10 differs by +0.5877" in text
    # users 1 and 2 have both items, 3 one of two, 4 none
    assert "Its mean over 4 users of both is 62.5 %; 50 % of them have the same 10 items, 25 % have none in common" in text
    assert "75 % have the same first item" not in text
    assert "50 % have the same first item." in text
    assert "1 user had a list now alone. 1 user had a list before alone." in text
    assert "item d +1 item e +1" in text
    assert "Items that fewer users get now item users item &lt;i&gt;c&lt;/i&gt; -1 item a -1" in text
    assert text.index("User 4") < text.index("User 3") < text.index("User 1")
    assert "User 4 Before item a Now item d" in text


def test_another_chain_is_compared(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    write_chain(other)
    shutil.rmtree(other / "dataset")
    write_dataset(other, stats={**STATS, "events": {**STATS["events"], "all": 10}}, keep=9, task="test")
    text = section(page(root, f"compare={other}"), "compared")
    assert "events, all 10 12 +2" in text
    assert "build_sequences task test not set" in text
    assert "keep" not in text
    assert "Its mean over 5 users of both is 100 %" in text
    shutil.rmtree(other / "evaluation")
    shutil.rmtree(other / "output")
    text = section(page(root, f"compare={other}"), "compared")
    assert "One of the two has no evaluation" in text
    assert "One of the two has no lists" in text


def test_errors_name_the_value_and_the_remedy(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert f"compare={NEWER}: none of the chain's folders has a version of that run id; the newest are:" in error_of(
        f"compare={NEWER}"
    )
    assert f"compare={tmp_path}: no chain is there; give a run id" in error_of(f"compare={tmp_path}")
    assert "'x' is no id of this dataset, whose users are whole numbers" in error_of("users=[x]")
    assert "titles.csv: no such file" in error_of("items.path=titles.csv")
    assert "id and title name the columns" in error_of("items.path=titles.csv", "items.id=code")
    assert "id and title are columns of path" in error_of("items.title=name", "items.id=code")
    (tmp_path / "file").touch()
    assert "output: " in error_of(f"output={tmp_path}/file/report.html")
    monkeypatch.setenv("SEQREC_ROOT", str(tmp_path / "nothing"))
    assert "there is nothing to report on" in error_of()
    assert not (root / "report.html").exists()
    assert not (tmp_path / "nothing").exists()


def test_the_page_is_replaced_and_its_address_printed(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page(root)
    assert capsys.readouterr().out.splitlines()[-1] == f"report: file://{str(root).replace(' ', '%20')}/report.html"
    write_evaluation(root, run_id=NEWER)
    assert NEWER in page(root)
    assert "<h1>Report: a chain</h1>" in page(root, f"output={root}/report.html")
    assert sorted(path.name for path in root.iterdir()) == ["dataset", "evaluation", "model", "output", "report.html"]


def test_no_spark_and_no_store_is_asked(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGODB_URI", "mongodb://127.0.0.1:1")
    monkeypatch.setattr(report, "open_session", lambda *_, **__: pytest.fail("a Spark session was opened"))
    assert "MongoDB" in section(page(root), "published")


def test_remote_tables_are_copied_and_removed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of a remote file lies in a folder of its own, which is gone when it is read."""
    from seqrec.reporting import table_rows

    copies: list[Path] = []

    def fetch(path: str, folder: Path) -> Path:
        copies.append(folder / Path(path).name)
        return Path(shutil.copy(path, copies[-1]))

    monkeypatch.setattr(files, "fetch", fetch)
    table = table_rows.whole_table(str(root / "dataset" / DATASET / "items"), ["item_id"])
    assert table["item_id"].to_pylist() == small_chain.IDS
    assert copies
    assert not any(copy.parent.exists() for copy in copies)


def test_a_meta_json_of_another_release_lacks_keys(root: Path) -> None:
    for path in (root / "dataset" / DATASET, root / "evaluation" / EVALUATION, root / "output" / LISTS):
        meta = versions.read_meta(str(path))
        kept = {key: meta[key] for key in ("run_id", "dataset", "tables") if key in meta}
        (path / "meta.json").write_text(json.dumps(kept))
    assert "Its mean over" not in page(root)
    assert "User 3" in section(page(root), "users")
