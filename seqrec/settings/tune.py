"""The settings of tune."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from seqrec.command.config import Strict
from seqrec.settings import ListLength, Path, Positive, Seed
from seqrec.settings.tuned import TunedModel, files_read
from seqrec.storage import files


class Pruning(Strict):
    """When a trial that lags behind the others is stopped."""

    name: Literal["median", "hyperband", "none"] = Field(
        "median",
        description="median: a trial ends where its best metric so far is below the median of the others at that validation; "
        "hyperband: by successive halving (Li et al. 2018); none: every trial runs to its end",
    )
    startup_trials: Annotated[int, Field(ge=0)] = Field(5, description="of median: trials that run to their end first")
    warmup_validations: Annotated[int, Field(ge=0)] = Field(3, description="of median: a trial's validations before it may end")


class TrialLists(Strict):
    """The lists by which item_cf, swing and candidates are measured."""

    top_n: ListLength = Field(100, description="of item_cf and swing: items of a list")
    max_seeds: Positive = Field(5, description="of item_cf and swing: a user's newest items whose similar items are summed")
    valid_users: Positive | None = Field(10000, description="users who are measured, a seeded sample; null: all")


class Tune(Strict):
    """A space of settings into the best of them, by trials that are measured on the users of valid."""

    app_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = Field(
        "study", description="name of the study, whose folder is RESULT_PATH/APP_NAME"
    )
    model_name: TunedModel = Field(
        "sasrec",
        description="what is tuned: sasrec and bert4rec (train), simplex (train_two_tower), lightgbm and wide_deep "
        "(train_ranker), item_cf and swing (item_similarity), or candidates, the merge of build_candidates",
    )
    num_experiment: Positive = Field(20, description="trials of the study; raise it, and the same command goes on")
    data: Path | None = Field(None, description="folder of the dataset; lightgbm and wide_deep read samples alone")
    samples: Path | None = Field(None, description="folder of the samples, of lightgbm and wide_deep")
    common_param: dict[str, Any] = Field({}, description="keys of the model's job that all trials share, over its template's")
    hyper_param: dict[str, Any] = Field(
        {},
        description="keys of the model's job that are searched: a list of values, which may be lists themselves, or a range "
        "{low: 0.0005, high: 0.02, log: true} or {low: 16, high: 64, step: 16}; null leaves a key out; {}: all of "
        "conf/spaces/MODEL.yaml",
    )
    result_path: Path = Field(description="folder of the studies")
    search: Literal["tpe", "random", "grid"] = Field(
        "tpe", description="tpe: by what earlier trials reached (Bergstra et al. 2011); random; grid: all combinations"
    )
    metric: str | None = Field(
        None,
        description="of valid, what the best trial is chosen by; null: ndcg@10, of rankers auc, of candidates' lists ndcg@10",
    )
    pruning: Pruning = Pruning()
    parallel: Positive | None = Field(
        None,
        description="trials at a time; null: one for each 4 cores, one on a GPU; of item_cf, swing and candidates always one",
    )
    lists: TrialLists = TrialLists()
    max_minutes: Annotated[float, Field(gt=0)] | None = Field(
        None,
        description="minutes of this run: then no trial begins, and trainings stop where they are; the same command goes on",
    )
    keep: Literal["best", "all"] = Field("best", description="whose trained models stay: the best trial's, or all trials'")
    resume: bool = Field(True, description="go on with the study of the folder; false: remove it and start over")
    seed: Seed = Field(42, description="of the search and of the sample of users")

    def reads(self) -> tuple[str, ...]:
        return ("samples",) if self.model_name in ("lightgbm", "wide_deep") else ("data",)

    def reads_besides(self) -> dict[str, str]:
        return files_read(self.model_name, self.common_param, self.hyper_param)

    def writes(self) -> str | None:
        return None

    def leaves(self) -> str | None:
        return files.join(self.result_path, self.app_name)

    @model_validator(mode="after")
    def _trials_read_something(self) -> "Tune":
        """Rankers read samples, all others a dataset."""
        (key,) = self.reads()
        if getattr(self, key) is None:
            raise ValueError(f"model_name={self.model_name} needs {key}=FOLDER")
        return self

    @model_validator(mode="after")
    def _parallel_is_of_processes(self) -> "Tune":
        """Trials on Spark run one after the other: each has all cores."""
        if self.model_name in ("item_cf", "swing", "candidates") and (self.parallel or 1) > 1:
            raise ValueError(f"parallel={self.parallel}: trials of model_name={self.model_name} run on Spark, one at a time")
        return self
