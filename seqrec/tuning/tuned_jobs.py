"""Which job each model_name tunes, and the settings of a trial: the job's template, common_param, the trial's values, its folder.

Settings that are laid over one another, the later ones counting:

    conf/JOB.yaml  <  a preset  <  common_param  <  what model_name means  <  the trial's values  <  where the trial works

best.yaml has the same without the last, so that the job trains where it always does, from the dataset that is current then.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from seqrec.command.config import Strict, fill_settings, flatten, merge_settings, public
from seqrec.command.environment import STORE_CHOICES
from seqrec.command.installation import home
from seqrec.errors import UserError
from seqrec.settings.build_candidates import BuildCandidates
from seqrec.settings.item_similarity import ItemSimilarity
from seqrec.settings.train import Train
from seqrec.settings.train_ranker import TrainRanker
from seqrec.settings.train_two_tower import TrainTwoTower
from seqrec.settings.tune import Tune
from seqrec.settings.tuned import JOBS, nested_keys, wanted_space
from seqrec.storage import files
from seqrec.tuning.read_versions import at_versions
from seqrec.tuning.space import Dimension, read_space

ALONE = {"distributor": "none", "processes": 1}  # a trial trains in one process
ANYWHERE = ("model", "output")  # where the job that takes best.yaml writes


@dataclass(frozen=True, kw_only=True)
class TunedJob:
    """A job that is tuned: its settings, what a model_name means there, and what every trial sets, whatever the user wants.

    `metric` is that of jobs whose settings name none, `records` the folder of epochs.jsonl in a trial's, where there is one.
    `default` may be overridden by common_param, `means` and `trial` may not.
    """

    name: str
    settings: type[Strict]
    default: dict[str, Any] = field(default_factory=dict)
    means: dict[str, Any] = field(default_factory=dict)
    trial: dict[str, Any] = field(default_factory=dict)
    metric: str | None = None
    records: str | None = None
    on_spark: bool = False

    @property
    def template(self) -> str:
        """The file of the job's template."""
        return str(home() / "conf" / f"{self.name}.yaml")

    @property
    def input(self) -> str:
        """The key of the folder that a trial reads."""
        return "samples" if "samples" in self.settings.model_fields else "data"


OF_TRAIN: dict[str, Any] = {"trial": {"history": "train"}, "metric": "ndcg@10", "on_spark": True}
TRAINING = {"validate": True, "stages": [], "resume": True, "tensorboard": False, "plots": False, "name": None, **ALONE}
TUNED: dict[str, TunedJob] = {
    "sasrec": TunedJob(name=JOBS["sasrec"].job, settings=Train, trial=TRAINING, records="model"),
    "bert4rec": TunedJob(
        name=JOBS["bert4rec"].job, settings=Train, default={"preset": JOBS["bert4rec"].preset}, trial=TRAINING, records="model"
    ),
    "simplex": TunedJob(
        name=JOBS["simplex"].job, settings=TrainTwoTower, means={"towers": "histories"}, trial=TRAINING, records="model"
    ),
    "lightgbm": TunedJob(name=JOBS["lightgbm"].job, settings=TrainRanker, means={"method": "lightgbm"}, trial=ALONE),
    "wide_deep": TunedJob(
        name=JOBS["wide_deep"].job, settings=TrainRanker, means={"method": "wide_deep"}, trial=ALONE, records="output/training"
    ),
    "item_cf": TunedJob(name=JOBS["item_cf"].job, settings=ItemSimilarity, means={"method": "item_cf"}, **OF_TRAIN),
    "swing": TunedJob(name=JOBS["swing"].job, settings=ItemSimilarity, means={"method": "swing"}, **OF_TRAIN),
    "candidates": TunedJob(
        name=JOBS["candidates"].job, settings=BuildCandidates, means={"history": "valid"}, metric="ndcg@10", on_spark=True
    ),
}


def search_space(cfg: Tune) -> list[Dimension]:
    """The space of hyper_param or, where nothing is searched by it, of conf/spaces/MODEL.yaml without the keys that are null.

    Raises UserError for a key that the job doesn't have, a value that it doesn't take, and a key that a study sets itself.
    """
    job, (wanted, _) = TUNED[cfg.model_name], wanted_space(cfg.model_name, cfg.hyper_param)
    space = read_space(wanted, job.settings)
    _refuse_fixed(job, [part.key for part in space], group="hyper_param", beside=(*ANYWHERE, "metric", "seed"))
    return space


def base_settings(cfg: Tune) -> Strict:
    """The settings of the model's job that all trials share, valid by themselves; UserError, which names the key, if they aren't.

    So it does for a key of common_param that every trial sets, and for a metric that the job doesn't have.
    """
    job = TUNED[cfg.model_name]
    _refuse_fixed(job, [*nested_keys(cfg.common_param)], group="common_param", beside=())
    return _fill(cfg, {}, {job.input: getattr(cfg, job.input)})


def trial_settings(cfg: Tune, values: dict[str, Any], *, source: str, read: Mapping[str, str], folder: str) -> Strict:
    """The settings of a trial: its values by dotted key, what it reads, its folder; UserError if they don't fit together.

    `read` are the versions of other folders, by the folder (see `read_versions`).
    """
    job = TUNED[cfg.model_name]
    places = {key: files.join(folder, key) for key in ANYWHERE if key in job.settings.model_fields}
    above = {**job.trial, job.input: source, **places}
    pinned = nested_keys(at_versions(_fill(cfg, values, above), read))
    return _fill(cfg, values, merge_settings(above, pinned))


def best_settings(cfg: Tune, values: dict[str, Any]) -> dict[str, Any]:
    """The settings of the job with a trial's values, as best.yaml has them: what it reads and writes is as without a study."""
    return public(_fill(cfg, values, {TUNED[cfg.model_name].input: getattr(cfg, TUNED[cfg.model_name].input)}))


def metric_of(cfg: Tune, base: Strict) -> str:
    """The metric of valid by which trials are compared."""
    return str(cfg.metric or TUNED[cfg.model_name].metric or getattr(base, "metric", ""))


def shared_facts(base: Strict) -> dict[str, Any]:
    """The flat settings that all trials of a study share: two studies with other ones can't be compared."""
    return {key: value for key, value in flatten(public(base)).items() if key not in (*ANYWHERE, "data", "samples", "keep")}


def _fill(cfg: Tune, values: dict[str, Any], above: dict[str, Any]) -> Strict:
    """The job's settings with all layers of the module's docstring."""
    job = TUNED[cfg.model_name]
    if "stores" in job.settings.model_fields:  # a study opens none
        for name in STORE_CHOICES:
            os.environ[name] = os.environ.get(name) or "none"
    metric = {} if cfg.metric is None or job.metric is not None else {"metric": cfg.metric}
    layers = (job.default, nested_keys(cfg.common_param), job.means, nested_keys(values), metric, above)
    merged: dict[str, Any] = {}
    for layer in layers:
        merged = merge_settings(merged, layer)
    return fill_settings(job.settings, job.template, merged, said_by="common_param and hyper_param")


def _refuse_fixed(job: TunedJob, keys: Sequence[str], *, group: str, beside: Sequence[str]) -> None:
    """Raise UserError for a key of a group that trials set themselves."""
    for key in keys:
        first = key.partition(".")[0]
        if first == job.input:
            raise UserError(f"{group}.{first}: all trials read the same, which is the key {first} of tune")
        if first in (*job.means, *job.trial, *beside):
            raise UserError(f"{group}.{first}: a study sets {first} itself: leave it out")
