"""What each job can be told: one frozen model per job. The YAML templates in conf/ have these keys."""

from typing import Annotated, Literal

from pydantic import Field

Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Path = Annotated[str, Field(min_length=1)]
History = Literal["full", "valid", "test"]
