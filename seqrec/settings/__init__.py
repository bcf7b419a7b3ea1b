"""The settings of each job: one frozen model per job. The YAML templates in conf/ have these keys."""

from typing import Annotated, Literal

from pydantic import Field

Positive = Annotated[int, Field(ge=1)]
ListLength = Annotated[int, Field(ge=1, le=10_000)]  # of items for a user or an item: lists are held in memory
Seed = Annotated[int, Field(ge=0, lt=2**31)]  # seed + epoch seeds NumPy's old generator in Petastorm: at most 32 bits
DropoutRate = Annotated[float, Field(ge=0, le=0.99)]  # rates are rounded to 1/256: one that rounds to 1 would drop all
Share = Annotated[float, Field(ge=0, le=1)]
Path = Annotated[str, Field(min_length=1)]
History = Literal["full", "valid", "test"]


def checkpoint_read(checkpoint: str) -> tuple[str, ...]:
    """The key of what is read for `checkpoint`, beside the model's folder, whose state is of its best one.

    >>> checkpoint_read("best"), checkpoint_read("last"), checkpoint_read("/seq/model/checkpoints/last.pt")
    ((), ('model/checkpoints/last.pt',), ('checkpoint',))
    """
    return {"best": (), "last": ("model/checkpoints/last.pt",)}.get(checkpoint, ("checkpoint",))
