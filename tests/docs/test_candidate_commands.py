"""Pages that build candidates make each of their sources before, with a history that fits: as printed, they run to their end."""

from pathlib import Path

import pytest

from seqrec.command.config import Strict, load_config
from seqrec.settings.build_candidates import BuildCandidates
from tests.docs.commands import ENVIRONMENT, PAGES, ROOT, before_dashes, blocks_of, record
from tests.docs.generate import settings_of

MAKERS = ("item_similarity", "batch_recommend", "train_two_tower")  # jobs whose outputs are sources
BUILDERS = [page for page in PAGES if "build_candidates history" in page.read_text(encoding="utf-8")]


def unfit_sources(script: str, folder: Path) -> list[str]:
    """The sources that a script's build_candidates reads, and that no earlier command writes with a history that fits."""
    made: dict[str, str] = {}
    unfit = []
    for command in record(script, folder):
        job, words = command[1], before_dashes(command[2:])
        if command[0] != "./spark-submit.sh" or job not in (*MAKERS, "build_candidates"):
            continue
        settings = settings_of(job)
        assert issubclass(settings, Strict)
        cfg = load_config(settings, str(ROOT / "conf" / f"{job}.yaml"), words)
        if not isinstance(cfg, BuildCandidates):
            made[cfg.model_dump()["output"]] = cfg.model_dump()["history"]
            continue
        for name, source in cfg.sources.items():
            if source is not None:
                wanted = cfg.history if source.kind == "user_lists" else "train"
                unfit += [] if made.get(source.path) == wanted else [f"{name}: {source.path} with history={wanted}"]
    return unfit


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("page", BUILDERS, ids=lambda page: page.name)
def test_a_page_makes_the_sources_that_it_merges(page: Path, tmp_path: Path) -> None:
    blocks = [block.text for block in blocks_of(page) if block.language == "bash"]
    assert unfit_sources("\n".join(blocks), tmp_path) == []


def test_a_source_of_another_history_is_found(tmp_path: Path) -> None:
    script = (
        "./spark-submit.sh item_similarity\n./spark-submit.sh train_two_tower\n./spark-submit.sh build_candidates history=valid"
    )
    said = unfit_sources(script + " sources.swing=null sources.sequence=null", tmp_path)
    assert said == ["two_tower: /data/seqrec/two_tower_output with history=valid"]
