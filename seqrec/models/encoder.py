"""What every model is: an encoder of histories, and a matrix of items that its queries are multiplied with."""

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor, nn


class Encoder(nn.Module, ABC):
    """Turns histories into queries, and items into rows; a score is always the dot product of a query and an item's row.

    Histories are item indices, int64 (B, L), left-padded with 0. The names of what a model takes stand in `inputs`, in the order
    of its arguments: items, and for some models user_idx (B,), the rows of users among those with embeddings.
    """

    inputs: tuple[str, ...] = ("items",)
    embedded_users: int = 0  # how many rows of users there are, that of unknown users included
    looks_back: bool = False  # whether query_before has an answer
    item_weights: tuple[str, ...] = ()  # names that weights with a row for each item have, besides those of `items`
    newest_first: tuple[str, ...] = ()  # names that weights with a row for each position have, counted from the newest one

    def parts(self) -> "list[Encoder]":
        """The encoders of which it is made, each with a loss of its own; their queries and rows stand side by side in its own."""
        return [self]

    @abstractmethod
    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        """The query of every position (B, L, D), which training learns from."""

    @abstractmethod
    def query(self, *args: Any, **kwargs: Any) -> Tensor:
        """The query for the item that follows a history (B, D), which is what an export computes; L is at most max_len."""

    def query_before(self, *args: Any, **kwargs: Any) -> Tensor:
        """The query for the item before a history's first (B, D), for encoders that `looks_back` says it of; L as of a query."""
        raise NotImplementedError(f"{type(self).__name__} predicts what follows alone: its attention is not bidirectional")

    def settle(self) -> None:
        """Fix what is computed of the weights, before the model is exported."""

    @abstractmethod
    def item_matrix(self) -> Tensor:
        """(V+2, D): row i is what a query is multiplied with for item_idx i."""
