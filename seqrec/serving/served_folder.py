"""A folder from which an exported model is served: all that its lists need, and nothing of this machine.

    FOLDER/model/                                                   an export's files, as far as scoring opens them
    FOLDER/candidates/RUN_ID/  features/RUN_ID/  ranker/RUN_ID/     a second stage, if there is one
    FOLDER/items.parquet                                            the columns that rules name, if there are rules
    FOLDER/serving.json                                             which of these there are, the rules, and top_k

`registry.fill_folder` writes one; `mlflow_model` opens it in MLflow's server.
"""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqrec.reranking.rules import Boost, Cap, Quota, Rules
from seqrec.serving.extended_sequence import Id
from seqrec.serving.list_requests import read_requests
from seqrec.serving.model_ids import ModelIds
from seqrec.serving.recommender import Recommender

ARTIFACT = "served"  # the name of the folder in MLflow
CONTENT, MODEL, ITEMS = "serving.json", "model", "items.parquet"
SECOND_STAGE = ("candidates", "features", "ranker")


@dataclass(frozen=True, kw_only=True)
class ServedContent:
    """What serving.json says: the versions of a second stage by its parts, or none; the rules, or None; a list's length."""

    second_stage: dict[str, str]
    rules: Rules | None
    top_k: int

    def write(self, folder: Path) -> None:
        """Write it into a folder."""
        (folder / CONTENT).write_text(json.dumps(dataclasses.asdict(self)) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> "ServedContent":
        """Of a folder; its rules read the items that lie there."""
        content = json.loads((folder / CONTENT).read_text("utf-8"))
        rules = content["rules"] and _rules(content["rules"], folder)
        return cls(second_stage=content["second_stage"], rules=rules, top_k=content["top_k"])


@dataclass(frozen=True, kw_only=True)
class ServedModel:
    """A model of such a folder, ready to answer."""

    recommender: Recommender
    top_k: int

    @classmethod
    def open(cls, folder: Path) -> "ServedModel":
        """Of a folder; UserError if a file of it is missing or is another than the one that was registered."""
        content = ServedContent.read(folder)
        parts = {name: str(folder / name / run_id) for name, run_id in content.second_stage.items()}
        recommender = Recommender.load(
            str(folder / MODEL),
            rerank=content.rules,
            candidates=parts.get("candidates"),
            features=parts.get("features"),
            ranker=parts.get("ranker"),
        )
        recommender.recommend(recommender.model.ids[:1].to_pylist(), 1)  # the first request needn't wait for what is made once
        return cls(recommender=recommender, top_k=content.top_k)

    def answer(self, table: Any) -> list[list[Id]]:
        """The lists of item ids, best first, for the rows of a request (see `list_requests`); UserError says what is wrong."""
        recommender = self.recommender
        ids = ModelIds(items=recommender.model.ids, types=recommender.id_types, model=recommender.name)
        return [
            [
                item_id
                for item_id, _ in recommender.recommend(
                    one.history, one.k, user=one.user, filter_seen=one.filter_seen, allow=one.allow, deny=one.deny
                )
            ]
            for one in read_requests(table, ids, top_k=self.top_k)
        ]


def _rules(content: dict[str, Any], folder: Path) -> Rules:
    """Rules of what `dataclasses.asdict` made of them."""
    parts = {
        "caps": [Cap(**cap) for cap in content["caps"]],
        "quotas": [Quota(**quota) for quota in content["quotas"]],
        "boosts": [Boost(**boost) for boost in content["boosts"]],
    }
    return Rules(**{**content, **parts, "items": content["items"] and str(folder / content["items"])})
