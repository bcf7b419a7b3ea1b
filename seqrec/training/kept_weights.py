"""The weights of one encoder into another: which of them fit, which begin anew, and which are left behind.

    kept = match_weights(old, new)          # by name: which rows of a weight come from which rows of the old one
    kept.copy()                             # weights that are no rows of items
    grow_items(kept, likeness)              # rows of items: the old ones, then those of new items

Weights of the same name and shape are taken as they are. Rows of positions count from the newest position, rows of users belong
to a user's hash, and rows of items are those of the same item; so these may be more or fewer than in the old encoder.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seqrec.errors import UserError
from seqrec.indices import FIRST_ITEM
from seqrec.models.encoder import Encoder
from seqrec.models.item_rows import ProjectedRows, plain_rows, set_rows
from seqrec.training.new_rows import Likeness, NewRows, mean_rows
from seqrec.user_hashes import user_rows

ITEMS, USERS = "items.", "users.weight"
OUTPUT = "head.items.weight"  # of a separate output matrix; without one, the embedding is the output

UserHashes = tuple[NDArray[np.int64], NDArray[np.int64]]  # the sorted hashes of the old encoder's users, and of the new one's


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a weight comes from: the old weight of that name, as it is, or its rows `of` as the rows `into`."""

    name: str
    into: Tensor | None = None
    of: Tensor | None = None

    def copy(self, old: Tensor, new: Tensor) -> None:
        """Copy the rows of the old weight, or of what an optimiser keeps of it, into the new one."""
        with torch.no_grad():
            if self.into is None:
                new.copy_(old)
            else:
                new[self.into.to(new.device)] = old[self.of].to(new)


@dataclass(frozen=True, kw_only=True)
class KeptWeights:
    """How two encoders match: the sources of weights by name; the names of the others, and why; what the old one has besides."""

    old: Encoder
    new: Encoder
    sources: dict[str, Source]
    anew: tuple[str, ...]  # the name, and the reason
    left: tuple[str, ...]

    def copy(self) -> None:
        """Copy all weights that are no rows of items."""
        before, now = dict(self.old.named_parameters()), dict(self.new.named_parameters())
        for name, source in self.sources.items():
            if not name.startswith(ITEMS) and name not in self.new.item_weights:
                source.copy(before[source.name], now[name])


def match_weights(old: Encoder, new: Encoder, users: UserHashes | None) -> KeptWeights:
    """Which weights come from where; the users are None unless both encoders have embeddings of users.

    The new encoder may be on torch's meta device, if only shapes are asked for.

    Raises UserError if the rows of items are of another width: then nothing of the items could be kept.
    """
    before, now = dict(old.named_parameters()), dict(new.named_parameters())
    sources, anew = {}, []
    for name, weight in now.items():
        former = _former_name(name, before)
        source = None if former is None else _source(former, before[former], weight, new, users)
        if source is not None:
            sources[name] = source
        elif former is None and name != OUTPUT:  # which `grow_items` fills
            anew.append(f"{name} (not there)")
        elif former is not None:
            anew.append(f"{name} ({_sizes(before[former])} there, {_sizes(weight)} here)")
    same_vectors = _vectors_agree(old.get_submodule("items"), new.get_submodule("items"))
    if not same_vectors:
        sources.pop("items.projection", None)  # it is fitted anew
    taken = {source.name for source in sources.values()}
    left = tuple(name for name in before if name not in {*taken, *now} and not name.startswith(ITEMS))
    return KeptWeights(
        old=old, new=new, sources=sources, anew=tuple(name for name in anew if not name.startswith(ITEMS)), left=left
    )


def grow_items(kept: KeptWeights, likeness: Likeness) -> NewRows:
    """Put the old items' rows into the new encoder, and those of new items below them; what is known of the new ones.

    An output matrix that the old encoder has not of its own begins as its embedding, which was the output. Rows of new items that
    nothing is known of stay as they were drawn.
    """
    before, names = dict(kept.old.named_parameters()), kept.new.item_weights
    present = [name for name in names if name in dict(kept.new.named_parameters())]
    now = {name: dict(kept.new.named_parameters())[name] for name in present}
    rows = {"": plain_rows(kept.old.get_submodule("items")).weight}
    rows |= {name: before[name] for name in present if name in before}
    if OUTPUT in present:
        rows.setdefault(OUTPUT, rows[""])
    old = torch.cat([matrix.detach().double().reshape(len(matrix), -1) for matrix in rows.values()], dim=1).numpy()
    size = len(kept.new.item_matrix()) - len(old)
    found = mean_rows(old[FIRST_ITEM:], size, likeness)
    known = torch.from_numpy(np.flatnonzero(found.by_vector | found.by_windows))
    filled = torch.from_numpy(found.rows)[known]
    first = 0
    for name, matrix in rows.items():
        width = matrix[0].numel()
        target = plain_rows(kept.new.get_submodule("items")).weight.detach().clone() if name == "" else now[name].detach()
        target[: len(matrix)] = matrix.detach().to(target)
        target[known.to(target.device) + len(matrix)] = filled[:, first : first + width].reshape(-1, *matrix.shape[1:]).to(target)
        first += width
        if name == "":
            _set_items(kept, target)
    return found


def _set_items(kept: KeptWeights, matrix: Tensor) -> None:
    """Make the items' rows of the new encoder those (V+2, D); with the same vectors, their parts are kept."""
    items = kept.new.get_submodule("items")
    if "items.projection" not in kept.sources:
        set_rows(items, matrix)
        return
    before, now = dict(kept.old.named_parameters()), dict(kept.new.named_parameters())
    for name in ("items.projection", "items.free.weight"):
        kept.sources[name].copy(before[name], now[name])


def _former_name(name: str, before: dict[str, nn.Parameter]) -> str | None:
    """The name of a weight in the old encoder, None if it has no such weight; free rows of items have two names."""
    free = ("items.weight", "items.free.weight")
    return next((former for former in (free if name in free else (name,)) if former in before), None)


def _source(former: str, old: Tensor, weight: Tensor, new: Encoder, users: UserHashes | None) -> Source | None:
    """The source of a weight; None if its shape is another, and it has no rows to take over."""
    of_items = former.startswith(ITEMS) and former != "items.projection"
    if of_items and old.shape[1:] != weight.shape[1:]:
        raise UserError(
            f"the items of init are {old.shape[1]} wide, and encoder.dim={weight.shape[1]}: set encoder.dim={old.shape[1]}, or "
            "leave init out"
        )
    if old.shape[1:] != weight.shape[1:]:
        return None
    if former == USERS:
        if users is None:
            return None
        places = user_rows(users[1], users[0])  # (U,) of the new users among the old ones
        known = np.flatnonzero(places)
        return Source(name=former, into=torch.from_numpy(known + 1), of=torch.from_numpy(places[known]))
    if former in new.newest_first or of_items or former in new.item_weights:
        rows = torch.arange(min(len(old), len(weight)))
        return Source(name=former, into=rows, of=rows)
    return Source(name=former) if old.shape == weight.shape else None


def _vectors_agree(old: nn.Module, new: nn.Module) -> bool:
    """Whether rows of items are projected from the same vectors, so that their parts mean the same."""
    if not isinstance(old, ProjectedRows) or not isinstance(new, ProjectedRows) or new.vectors.is_meta:
        return False
    return torch.equal(old.vectors, new.vectors.cpu()) and torch.equal(old.trained, new.trained.cpu())


def _sizes(weight: Tensor) -> str:
    """The shape of a weight, as it is read."""
    return " by ".join(map(str, weight.shape)) or "one number"
