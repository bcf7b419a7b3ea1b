"""The settings that every training has."""

import warnings
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from seqrec.command.config import Strict, merge_settings
from seqrec.settings import Path, Positive, Seed, Share
from seqrec.storage import files

STAGES = "stages"  # folder of a model with the models of all stages but the last
STAGED = (  # settings that a stage may have of its own
    *("encoder", "windows", "objective", "masking", "dpo", "loss", "item_vectors", "freeze", "init_optimizer", "optimizer"),
    *(
        "seed",
        "batch_size",
        "accumulate_steps",
        "pool_batches",
        "precision",
        "max_epochs",
        "max_steps",
        "patience",
        "checkpoint_every",
    ),
    *("validate", "validate_every", "valid_users", "metric", "log_every"),
)


class Optimizer(Strict):
    """How it is minimised."""

    name: Literal["adamw", "adam", "sgd"] = Field("adamw", description="adamw, adam or sgd")
    lr: Annotated[float, Field(gt=0, le=100)] = Field(3e-3, description="peak learning rate")
    weight_decay: Annotated[float, Field(ge=0)] = Field(0.01, description="decoupled for adamw, L2 else")
    beta1: Annotated[float, Field(ge=0, lt=1)] = Field(0.9, description="of adamw and adam")
    beta2: Annotated[float, Field(ge=0, lt=1)] = Field(0.98, description="of adamw and adam")
    momentum: Share = Field(0.9, description="of sgd")
    nesterov: bool = Field(False, description="of sgd")
    clip_norm: Annotated[float, Field(gt=0)] | None = Field(1.0, description="largest gradient norm; null is off")
    warmup_steps: Annotated[int, Field(ge=0)] | None = Field(
        300, description="linear warm-up; null: a twentieth of the training's steps, at most 200"
    )
    schedule: Literal["constant", "cosine", "linear", "inverse_sqrt"] = Field(
        "inverse_sqrt", description="learning rate after the warm-up; cosine and linear end at 0 with the training"
    )
    ema_decay: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None, description="of the weights' moving average, which is validated, saved and exported; null: the weights themselves"
    )

    @model_validator(mode="after")
    def _nesterov_has_momentum(self) -> "Optimizer":
        """Nesterov momentum is of sgd, and needs a momentum."""
        if self.nesterov and (self.name != "sgd" or not self.momentum):
            raise ValueError("nesterov=true needs a momentum above 0, and name=sgd")
        return self


class Stage(BaseModel):
    """One of several trainings that follow each other: its name, and the settings of STAGED that differ from those of all."""

    model_config = ConfigDict(frozen=True, extra="allow", protected_namespaces=())

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]


warnings.filterwarnings("ignore", message='Field name "validate" in "Training"')  # pydantic's own `validate` is deprecated


class Training(Strict):
    """The settings of every training: where it reads and writes, how it learns, and when it ends."""

    data: Path = Field(description="folder of the dataset")
    model: Path = Field(description="folder of the model; a training whose checkpoints it holds goes on")
    name: str | None = Field(None, description="name of the model; null: made from its settings")
    init: Path | None = Field(
        None,
        description="what to begin from: a checkpoint, or a model's folder (its best one), of this vocabulary or of one that it "
        "extends; null: drawn weights",
    )
    init_optimizer: Literal["fresh", "carried"] = Field(
        "fresh",
        description="of init: carried takes over the optimiser's moments too, from a last.pt with the same optimizer.name",
    )
    freeze: tuple[str, ...] = Field(
        (), description="parts of the model that stay as they begin, such as [items, blocks.0]; an unknown one is told the names"
    )
    stages: tuple[Stage, ...] = Field(
        (),
        description="trainings that follow each other, each from the best model of the one before: a name, and what differs, as "
        "in [{name: head, max_epochs: 2, freeze: [items]}, {name: all}]; []: there is one",
    )
    optimizer: Optimizer = Optimizer()
    batch_size: Positive = Field(64, description="windows that a process sends through the model at once")
    accumulate_steps: Positive = Field(
        1, description="batches whose gradients make one step: memory for batch_size, steps as of accumulate_steps · batch_size"
    )
    pool_batches: Positive = Field(32, description="batches in a pool; within one, windows are batched by length")
    precision: Literal["auto", "fp32", "bf16"] = Field("auto", description="auto: bf16 autocast where the hardware gains from it")
    max_epochs: Positive = Field(200, description="most epochs")
    max_steps: Positive | None = Field(
        None,
        description="most steps; a model that ends between two validations is shown and saved as last, and never as the best",
    )
    max_minutes: Annotated[float, Field(gt=0)] | None = Field(
        None, description="most wall time of this run, in minutes; the same command goes on from there"
    )
    validate: bool = Field(  # type: ignore[assignment]
        True, description="false: train to max_epochs (or _steps, _minutes) without validation; the last checkpoint is the best"
    )
    validate_every: Positive | None = Field(None, description="steps between validations; null: the end of each epoch")
    valid_users: Positive | None = Field(10000, description="users of a validation, a seeded sample; null: all")
    metric: Literal["ndcg@10", "ndcg@20", "recall@10", "recall@20", "recall@1", "loss"] = Field(
        "ndcg@10", description="what best and early stopping go by"
    )
    patience: Positive | None = Field(10, description="validations without improvement before the end; null: never")
    checkpoint_every: Positive | None = Field(None, description="steps between checkpoints; null: with each validation")
    resume: bool | Literal["same"] = Field(
        True, description="go on from the folder's last checkpoint; false: start over; same: start over if its settings differ"
    )
    reader_workers: Positive = Field(1, description="Petastorm threads; with 1 the order of rows repeats exactly")
    processes: Positive = Field(1, description="training processes started by distributor=spark")
    distributor: Literal["none", "spark"] = Field("none", description="spark: TorchDistributor; torchrun is recognised by itself")
    memory_gb: Annotated[float, Field(gt=0)] | None = Field(None, description="memory to fit in; null: the device's free memory")
    deterministic: bool = Field(
        False,
        description="the same bits in each run on a GPU too, by slower algorithms of torch; on CPUs they are the same anyway",
    )
    tensorboard: bool = Field(True, description="write scalars to MODEL/tensorboard")
    plots: bool = Field(True, description="draw MODEL/train_loss.png, val_ndcg10.png and val_recall10.png, by matplotlib")
    log_every: Positive | None = Field(
        100, description="steps between scalars of loss and learning rate in TensorBoard; null: with each validation alone"
    )
    seed: Seed = Field(42, description="of every random choice")

    @model_validator(mode="after")
    def _processes_are_started(self) -> "Training":
        """Spark starts the processes; those of torchrun are no setting."""
        if self.processes > 1 and self.distributor == "none":
            raise ValueError(
                f"processes={self.processes} are started by Spark alone: set distributor=spark, or leave processes out and run "
                f"torchrun --nproc-per-node {self.processes}"
            )
        return self

    @model_validator(mode="after")
    def _carried_from_somewhere(self) -> "Training":
        """Moments are carried from the checkpoint of init."""
        if self.init is None and self.init_optimizer == "carried":
            raise ValueError("init_optimizer=carried takes the optimiser's moments from a checkpoint: set init=MODEL too")
        return self

    @model_validator(mode="after")
    def _stages_fit(self) -> "Training":
        """Each stage has a name of its own, settings that a stage may have, and is a training that is allowed."""
        names = [stage.name for stage in self.stages]
        if names and self.init is not None and f"{files.absolute(self.init)}/".startswith(f"{files.absolute(self.model)}/"):
            raise ValueError(
                f"init={self.init} lies in model={self.model}, which the last stage replaces: give another model=FOLDER"
            )
        for number, name in enumerate(names):
            others = [key for key in self.stages[number].model_extra or {} if key not in STAGED]
            if others:
                raise ValueError(f"stages: {name} sets {others[0]}, which a stage can't: it has {', '.join(STAGED)}")
            if name in names[:number]:
                raise ValueError(f"stages: two are called {name}: each has a name of its own")
            self.of_stage(number)
        return self

    def of_stage(self, number: int) -> Self:
        """The settings of a stage, counted from 0: a training from the stage before, and into `model` if it is the last one.

        Raises ValueError, which names the stage, for settings that no training can have.
        """
        stage, last = self.stages[number], number == len(self.stages) - 1
        extra = stage.model_extra or {}
        folders = [files.join(self.model, STAGES, name) for name in (earlier.name for earlier in self.stages)]
        place = {
            "model": self.model if last else folders[number],
            "name": self.name if last else None,
            "init": self.init if number == 0 else folders[number - 1],
            "init_optimizer": extra.get("init_optimizer", self.init_optimizer if number == 0 else "fresh"),
            "stages": (),
        }
        try:
            return type(self).model_validate(merge_settings(self.model_dump(), extra) | place)
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            key = ".".join(map(str, problem["loc"]))
            said = problem["msg"].removeprefix("Value error, ")
            raise ValueError(": ".join(filter(None, ["stages", stage.name, key, said]))) from None
