"""Chains: what is stale and why, what runs, and what is wrong before anything runs. Jobs are played: no Spark starts."""

import os
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest

from seqrec.chains import run, status
from seqrec.chains.chain_file import Step, job_names, read_chain, settings_of
from seqrec.chains.order import ordered, steps_before
from seqrec.command import lineage
from seqrec.command.config import load_config
from seqrec.command.lineage import made_from, paths_read
from seqrec.publishing import journal
from seqrec.storage import files, hadoop, versions
from seqrec.storage.draft import Draft
from seqrec.storage.made_from import record, state_of
from tests import s3

ROOT = Path(__file__).parents[2]
Go = Callable[..., list[str]]
SMALL = ["train.max_epochs=2"]
REQUIRED = {"enrich_items": ["wikipedia.contact=someone@example.org"]}  # keys that a template can't have
STEPS = ["build_sequences", "train", "export_onnx", "evaluate", "batch_recommend", "report"]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """SEQREC_ROOT with ratings; stores are none."""
    root = tmp_path / "root"
    root.mkdir()
    (root / "ratings.csv").write_text("user,item\n1,2\n")
    for name, value in {"SEQREC_ROOT": str(root), "MONGODB_URI": "none", "MILVUS_URI": "none"}.items():
        monkeypatch.setenv(name, value)
    return root


def play(step: Step, *, finished: bool = True) -> None:
    """What a step's job leaves: a version with its meta.json, or a model's folder; of a training that isn't finished no more."""
    made = made_from(step.config, job=step.job, script=step.script)
    if step.job == "train":
        assert step.writes is not None
        versions.write_meta(step.writes, {"run_id": versions.new_run_id(), "name": "sasrec"})
        if finished:
            record(step.writes, made)
    elif step.writes is not None:
        draft = Draft.of(step.writes, settings={}, made_from=made)
        versions.write_meta(draft.path, {"run_id": draft.run_id})
        draft.commit(keep=5)
    elif (left := step.config.leaves()) is not None:
        files.write_text(left, "")


@pytest.fixture
def go(root: Path, monkeypatch: pytest.MonkeyPatch) -> Go:
    """Runs a chain, and lists the jobs that were started, each with what it was told of resuming."""

    def go(*arguments: str, chain: str = "demo", fails_at: str = "", killed_in: str = "") -> list[str]:
        started: list[str] = []
        own = [one for one in arguments if "=" in one]
        steps = {(one.job, one.overrides): one for one in read_chain(chain, own).steps}

        def submit(job: str, *words: str) -> None:
            resumes = [word for word in words if word.startswith("resume=")]
            started.append(" ".join([job, *resumes]))
            if job == fails_at:
                raise SystemExit(1)
            played = tuple(word for word in words[2:] if word not in resumes)
            play(steps[job, played], finished=job != killed_in)
            if job == killed_in:
                raise SystemExit(137)

        monkeypatch.setattr(run, "submit", submit)
        with pytest.raises(SystemExit) if fails_at or killed_in else nullcontext():
            run.main([chain, *arguments, "--quiet"])
        return started

    return go


def shown(*arguments: str, chain: str = "demo") -> dict[str, str]:
    """What --dry-run says of each step."""
    read = read_chain(chain, arguments)
    records = files.join(os.environ["SEQREC_ROOT"], status.RECORDS)
    return {one.step.name: one.shown() for one in run.plan(read, status.Comparison(records=records))}


def test_what_changed_runs_and_what_follows(root: Path, go: Go) -> None:
    assert set(shown(*SMALL).values()) == {"stale: never ran"}
    assert go(*SMALL) == ["build_sequences", "train resume=same", *STEPS[2:]]
    assert go(*SMALL) == []
    assert shown(*SMALL)["build_sequences"] == f"up to date: {versions.read_current(f'{root}/dataset')}"
    (root / "ratings.csv").touch()
    assert go(*SMALL, "train.log_every=7", "evaluate.keep=3") == []

    model = state_of(f"{root}/model")
    changed = shown(*SMALL, "train.optimizer.lr=0.5", "train.init=null")
    assert changed["train"] == "stale: settings optimizer.lr changed 0.002 → 0.5"
    assert changed["build_sequences"].startswith("up to date: ")
    assert [changed[name] for name in STEPS[2:5]] == [
        "stale: follows train",
        "stale: follows train",
        "stale: follows export_onnx",
    ]
    assert go(*SMALL, "train.optimizer.lr=0.5") == ["train resume=false", *STEPS[2:]]
    assert state_of(f"{root}/model") != model

    before = versions.read_current(f"{root}/dataset")
    (root / "ratings.csv").write_text("user,item\n1,3\n")
    said = shown(*SMALL, "train.optimizer.lr=0.5")
    assert said["build_sequences"].startswith("stale: input.path 1 file, 14 bytes, ")
    assert said["train"] == "stale: follows build_sequences"
    assert go(*SMALL, "train.optimizer.lr=0.5", fails_at="train") == ["build_sequences", "train resume=same"]
    after = versions.read_current(f"{root}/dataset")
    assert shown(*SMALL, "train.optimizer.lr=0.5")["train"] == f"stale: data {before} → {after}"


def test_a_chain_that_failed_or_was_killed_goes_on_where_it_stopped(root: Path, go: Go) -> None:
    assert go(*SMALL, fails_at="train") == ["build_sequences", "train resume=same"]
    assert go(*SMALL, killed_in="train") == ["train resume=same"]
    assert shown(*SMALL)["train"] == "stale: its training isn't finished, and goes on"
    assert go(*SMALL) == ["train resume=same", *STEPS[2:]]
    assert go("train.max_epochs=1", killed_in="train") == ["train resume=false"]
    assert go("train.max_epochs=1") == ["train resume=same", *STEPS[2:]]
    assert go("train.max_epochs=5")[0] == "train resume=same"  # a training goes on to a limit that was raised


def test_steps_that_are_forced_or_named_run(root: Path, go: Go, capsys: pytest.CaptureFixture[str]) -> None:
    go()
    assert go("--force", "--only", "evaluate") == ["evaluate"]
    assert go("--dry-run", "-f") == []
    assert "evaluate         stale: forced" in capsys.readouterr().out
    files.remove(f"{root}/dataset/{versions.read_current(f'{root}/dataset')}/meta.json")
    with pytest.raises(SystemExit, match=r"the step train reads data=.*, which isn't there: run the step build_sequences first"):
        run.main(["demo", "--only", "train"])


def test_versions_that_other_code_made_are_stale(root: Path, go: Go, monkeypatch: pytest.MonkeyPatch) -> None:
    go()
    monkeypatch.setattr(lineage, "code_version", lambda script: "0" * 12 if script.stem == "evaluate" else "1" * 12)
    assert "the job's code changed" in shown()["evaluate"]
    assert go("--any-code") == []
    assert go("--any-code", "--force", "--only", "train") == ["train resume=same"]
    monkeypatch.setattr(lineage, "code_version", lambda script: "2" * 12)
    assert go("--any-code", "train.max_epochs=99")[0] == "train resume=same"
    monkeypatch.setattr(lineage, "code_version", lambda script: "3" * 12)
    assert go("train.max_epochs=99")[1] == "train resume=false"


def test_a_root_that_was_moved_is_up_to_date(root: Path, go: Go, monkeypatch: pytest.MonkeyPatch) -> None:
    go()
    monkeypatch.setenv("SEQREC_ROOT", str(root.rename(root.parent / "moved")))
    assert go() == []


def test_a_root_on_s3_works_as_a_local_one(root: Path, go: Go, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if (binary := s3.build()) is None:
        pytest.skip("no S3 server: there is no Go to build versitygw, or it can't be built")
    for name in ("s3/bucket", "notes"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.setattr(hadoop, "runs", lambda: False)
    with s3.serve(binary, tmp_path / "s3", tmp_path / "notes") as address:
        for name, value in {**s3.KEYS, "AWS_ENDPOINT_URL": address, "SEQREC_ROOT": "s3a://bucket/root"}.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SystemExit, match=r"reads input\.path=s3a://bucket/root/ratings\.csv, which isn't there"):
            run.main(["demo"])
        files.put(root / "ratings.csv", "s3a://bucket/root/ratings.csv")
        assert go(fails_at="train") == ["build_sequences", "train resume=same"]
        assert go() == ["train resume=same", *STEPS[2:]]
        assert go() == []
        files.write_text("s3a://bucket/root/ratings.csv", "user,item\n1,3\n2,3\n")
        assert go()[0] == "build_sequences"
        pattern = "build_sequences.input.path=s3a://bucket/root/r*.csv"
        files.write_text("s3a://bucket/root/ratings2.csv", "user,item\n4,3\n")
        assert go(pattern)[0] == "build_sequences"
        assert go(pattern) == []  # what the steps made beside the files is none of them


def test_a_version_that_says_nothing_of_its_making_is_stale(root: Path, go: Go) -> None:
    go()
    version = versions.resolve(f"{root}/evaluation")
    versions.write_meta(version, {"run_id": version.rpartition("/")[2]})
    assert shown()["evaluate"] == f"stale: {version.rpartition('/')[2]} doesn't say what it was made from"


def test_lists_that_a_store_lacks_are_stale(root: Path, go: Go, monkeypatch: pytest.MonkeyPatch) -> None:
    go()
    current, output = versions.read_current(f"{root}/output"), f"{root}/output"
    monkeypatch.setenv("MONGODB_URI", "embedded")
    monkeypatch.setenv("MILVUS_URI", "http://anna:secret@milvus:19530")
    documents, vectors = f"MongoDB embedded in {root}/stores, collection seqrec.recommendations", "Milvus http://***@milvus:19530"

    def lists(*overrides: str) -> str:
        return shown(*overrides)["batch_recommend"]

    def publish(*stores: str, run_id: str = current or "", whole: bool = True, ends: bool = True) -> None:
        (root / "stores").mkdir(exist_ok=True)
        begun = journal.begin(output, run_id=run_id, stores=list(stores), whole=whole, standing=[])
        if ends:
            journal.finish(begun, users=1)

    assert lists() == f"stale: {current} isn't published in {documents}"
    assert lists("batch_recommend.publish=false").startswith("stale: settings publish changed")
    assert "isn't published" not in lists("batch_recommend.publish=false")
    both = (f"{documents}, with title of movies.csv", f"{vectors}, alias item_embeddings")
    publish(*both)
    assert lists() == f"up to date: {current}"
    root.rename(root.with_name("moved"))
    monkeypatch.setenv("SEQREC_ROOT", str(root.with_name("moved")))
    assert lists() == f"up to date: {current}"  # the embedded stores have moved with it
    root.with_name("moved").rename(root)
    monkeypatch.setenv("SEQREC_ROOT", str(root))
    other = lists("batch_recommend.mongo.collection=other")
    assert other.endswith(f"isn't published in MongoDB embedded in {root}/stores, collection seqrec.other")
    (root / "stores").rmdir()
    assert lists() == f"stale: {current} isn't published in {documents}"
    publish(both[0])
    assert lists() == f"stale: {current} isn't published in {both[1]}"
    publish(both[0], whole=False)
    assert lists() == f"up to date: {current}"  # the vectors of some users' lists go nowhere
    publish(*both, run_id="20260101T000000Z-0000")
    assert lists() == f"stale: {current} isn't published in {documents}"
    publish(*both, ends=False)
    assert lists() == f"stale: {current} isn't published in {documents}"
    publish(*both)
    monkeypatch.setenv("MONGODB_URI", "mongodb://host:27017")
    assert lists() == f"stale: {current} isn't published in MongoDB mongodb://host:27017, collection seqrec.recommendations"


def test_a_step_without_a_version_is_recorded(root: Path, go: Go, tmp_path: Path) -> None:
    (tmp_path / "chain.yaml").write_text(
        "steps:\n  publish:\n  batch_recommend:\n    publish: false\n  export_onnx:\n  train:\n  build_sequences:\n"
    )
    chain = str(tmp_path / "chain.yaml")
    assert [one.partition(" ")[0] for one in go(chain=chain)] == [
        "build_sequences",
        "train",
        "export_onnx",
        "batch_recommend",
        "publish",
    ]
    assert go(chain=chain) == []
    assert go("publish.mongo.collection=others", chain=chain) == ["publish"]
    (root / "chain_steps" / "publish.json").write_text('{"job": "publish"}')
    with pytest.raises(SystemExit, match=r"publish\.json lacks \w+: remove this file, and its step runs again"):
        run.main([chain])


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ("  trian:\n", "the step trian has the unknown job trian: did you mean train\\?"),
        ("  train:\n    max_epoch: 3\n", "the step train of .*: unknown key max_epoch; did you mean max_epochs\\?"),
        ("  train:\n    max_epochs: many\n", "the step train of .*: max_epochs='many': "),
        (
            "  build_sequences:\n    after: [train]\n  train:\n",
            "steps need each other: build_sequences → train → build_sequences",
        ),
        ("  build_sequences:\n    after: [trian]\n  train:\n", "unknown step trian: did you mean train\\?"),
        ("  build_sequences:\n    after: train\n", "after: 'train', expected a list of steps"),
        ("  export_onnx:\n", "the step export_onnx reads data=.*/dataset, which isn't there: write a step that makes it"),
        (
            "  build_sequences:\n  train:\n  evaluate:\n    onnx: true\n",
            "evaluate reads model=.*/exports, which isn't there: write",
        ),
        (
            "  evaluate:\n  valid:\n    job: evaluate\n",
            "evaluate and valid both write .*/evaluation: .* as in valid.output=FOLDER",
        ),
        ("  train: 3\n", "the step train holds 3, expected"),
        ("", "`steps:` with a step for each job is missing"),
        ("  train:\n  train:\n", "the key train is there twice"),
    ],
)
def test_what_is_wrong_with_a_chain_is_said_before_anything_runs(root: Path, tmp_path: Path, steps: str, said: str) -> None:
    (tmp_path / "chain.yaml").write_text(f"steps:\n{steps}")
    with pytest.raises(SystemExit, match=rf"^error: .*{said}"):
        run.main([str(tmp_path / "chain.yaml")])
    assert [one.name for one in root.iterdir() if one.name != run.LOCK] == ["ratings.csv"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["demmo"], "there is no chain demmo: did you mean demo\\?"),
        (["/none.yaml"], "/none.yaml: no such configuration file"),
        (["demo", "trian.seed=1"], "unknown step trian: did you mean train\\?"),
        (["demo", "max_epochs=1"], "`max_epochs=1` names no step: write STEP.key=value"),
        (["demo", "train.max_epoch=1"], "unknown key max_epoch; did you mean max_epochs\\?"),
        (["demo", "--only", "trian"], "--only trian is no step"),
        (["demo", "--dvc", "--only", "train", "-f"], "DVC says which of them run: leave out --only, --force"),
        (["demo", "build_sequences.input.path=/none.csv"], "reads input.path=/none.csv, which isn't there: .* mend the path"),
    ],
)
def test_what_is_wrong_with_the_command_is_said(root: Path, words: list[str], said: str) -> None:
    with pytest.raises(SystemExit, match=rf"^error: .*{said}"):
        run.main(words)


def test_every_chain_of_conf_is_in_order(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATINGS", str(root / "ratings.csv"))
    for file in (ROOT / "conf" / "chains").glob("*.yaml"):
        assert set(shown(chain=file.stem).values()) == {"stale: never ran"}


@pytest.mark.parametrize("job", job_names())
def test_every_job_says_what_it_reads_and_writes_by_keys_that_it_has(job: str, root: Path) -> None:
    settings = settings_of(job)
    config = load_config(settings, str(ROOT / "conf" / f"{job}.yaml"), REQUIRED.get(job, []))
    patterns = [*config.reads(), *([config.writes()] if config.writes() else [])]
    assert config.reads()
    assert {
        str(pattern).partition("/")[0].partition(".")[0].removesuffix("?") for pattern in patterns
    } <= settings.model_fields.keys()
    assert paths_read(config)


def test_what_a_step_trains_beside_its_version_is_made_by_it(root: Path, tmp_path: Path) -> None:
    lists = "  lists:\n    job: batch_recommend\n    model: ${SEQREC_ROOT}/two_tower\n    publish: false\n"
    (tmp_path / "chain.yaml").write_text(f"steps:\n{lists}  train_two_tower:\n  build_sequences:\n")
    chain = read_chain(str(tmp_path / "chain.yaml"))
    assert [step.name for step in ordered(chain)] == ["build_sequences", "train_two_tower", "lists"]
    assert steps_before(chain)["lists"] == {"train_two_tower": "model", "build_sequences": "data"}


def test_a_step_whose_page_or_study_is_gone_runs_again(root: Path, go: Go) -> None:
    go()
    (root / "report.html").unlink()
    assert shown()["report"] == f"stale: {root}/report.html isn't there"
    assert go() == ["report"]


def test_a_checkpoint_that_is_not_the_best_is_an_input(root: Path, go: Go) -> None:
    last = f"{root}/model/checkpoints/last.pt"
    files.write_text(last, "1")
    files.write_text(f"{root}/model/checkpoints/best_step1.pt", "1")
    files.write_text(f"{root}/other.pt", "1")
    choice = ["export_onnx.checkpoint=last", f"evaluate.checkpoint={root}/other.pt"]
    go(*choice)
    assert go(*choice) == []
    files.write_text(last, "2")
    assert shown(*choice)["export_onnx"].startswith("stale: model/checkpoints/last.pt ")
    assert go(*choice) == ["export_onnx", "batch_recommend", "report"]
    files.write_text(f"{root}/other.pt", "2")
    assert shown(*choice)["evaluate"].startswith("stale: checkpoint 1 file, 1 bytes, ")


def test_a_study_is_made_from_its_space_its_template_and_what_its_settings_name(root: Path, tmp_path: Path) -> None:
    steps = (
        "  tune:\n    model_name: candidates\n    common_param: {sources: {two_tower: null, sequence: null}, sources.swing.path: "
        "'${SEQREC_ROOT}/mine'}\n  item_similarity:\n    output: ${SEQREC_ROOT}/item_cf\n  swing:\n    job: item_similarity\n"
        "    output: ${SEQREC_ROOT}/mine\n  build_sequences:\n"
    )
    (tmp_path / "chain.yaml").write_text(f"steps:\n{steps}")
    chain = read_chain(str(tmp_path / "chain.yaml"))
    assert [step.name for step in ordered(chain)] == ["build_sequences", "item_similarity", "swing", "tune"]
    (tune,) = (step for step in chain.steps if step.name == "tune")
    assert tune.reads == {
        "data": f"{root}/dataset",
        "conf/build_candidates.yaml": f"{ROOT}/conf/build_candidates.yaml",
        "conf/spaces/candidates.yaml": f"{ROOT}/conf/spaces/candidates.yaml",
        "common_param.sources.item_cf.path": f"{root}/item_cf",
        "common_param.sources.swing.path": f"{root}/mine",
    }
    assert None not in [made_from(tune.config, job="tune", script=tune.script).inputs[key] for key in tune.reads if "conf" in key]


@pytest.mark.parametrize(
    ("overrides", "read"),
    [
        ([], {"conf/train.yaml", "conf/spaces/sasrec.yaml"}),
        (["model_name=bert4rec"], {"conf/train.yaml", "conf/presets/bert4rec", "conf/spaces/bert4rec.yaml"}),
        (["model_name=simplex"], {"conf/train_two_tower.yaml", "conf/spaces/simplex.yaml"}),
        (
            ["common_param.preset=gsasrec", "hyper_param.init=[/a, null, /b]"],
            {"conf/train.yaml", "conf/presets/gsasrec", "hyper_param.init/0", "hyper_param.init/2"},
        ),
    ],
)
def test_what_a_study_reads(overrides: list[str], read: set[str], root: Path) -> None:
    config = load_config(settings_of("tune"), str(ROOT / "conf" / "tune.yaml"), overrides)
    assert paths_read(config).keys() - {"data"} == read
