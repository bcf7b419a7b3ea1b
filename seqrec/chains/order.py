"""The order of a chain's steps: each after those whose folders it reads, and after those that it names."""

from collections.abc import Mapping, Sequence

from seqrec.chains.chain_file import Chain, Step
from seqrec.command.lineage import MAYBE, TABLE
from seqrec.errors import UserError
from seqrec.storage.made_from import state_of

Before = dict[str, dict[str, str]]  # for each step, the steps before it, and the key or the `after` that says so


def ordered(chain: Chain) -> list[Step]:
    """The steps, each after those that it needs, and else as in the file; UserError for a cycle, which it shows."""
    before, waiting = steps_before(chain), list(chain.steps)
    done: list[Step] = []
    while waiting:
        step = next((step for step in waiting if before[step.name].keys() <= {one.name for one in done}), None)
        if step is None:
            raise UserError(f"{chain.path}: steps need each other: {_cycle(before, [one.name for one in waiting])}")
        waiting.remove(step)
        done.append(step)
    return done


def steps_before(chain: Chain) -> Before:
    """The steps that come before each step; UserError if two steps write one folder."""
    written: dict[str, str] = {}
    for step in chain.steps:
        if step.writes is not None and (other := written.setdefault(_place(step.writes), step.name)) != step.name:
            raise UserError(
                f"{chain.path}: the steps {other} and {step.name} both write {step.writes}: give one of them another folder, "
                f"as in {step.name}.{(step.config.writes() or '').partition('/')[0]}=FOLDER"
            )
    return {step.name: _before(step, chain) for step in chain.steps}


def require_inputs(steps: Sequence[Step], made: Mapping[str, Mapping[str, str]], *, path: str) -> None:
    """Raise UserError for the first file or folder that a step reads, that isn't there, and that none of the steps makes."""
    names = {step.name for step in steps}
    for step in steps:
        for key, place in step.reads.items():
            makers = {name for name, by in made[step.name].items() if by == key}
            if key.endswith(TABLE) or f"{key}{MAYBE}" in step.config.reads() or makers & names or state_of(place) is not None:
                continue
            remedy = f"run the step {min(makers)} first" if makers else "write a step that makes it, or mend the path"
            raise UserError(f"{path}: the step {step.name} reads {key}={place}, which isn't there: {remedy}")


def _before(step: Step, chain: Chain) -> dict[str, str]:
    """The steps before one, by name, and the key of what it reads from each; `after` for those that it names alone."""
    found = dict.fromkeys(step.after, "after")
    for key, path in step.reads.items():
        made = {
            other.name: len(folder) for other in chain.steps if other.name != step.name and (folder := other.made_folder(path))
        }
        if made:
            found[max(made, key=lambda name: made[name])] = key
    return found


def _place(path: str) -> str:
    """A folder as it is compared with others."""
    return path.rstrip("/")


def _cycle(before: Before, names: list[str]) -> str:
    """A cycle among steps that wait for each other, such as `a (data) → b (after) → a`."""
    trail = [names[0]]
    while trail[-1] not in trail[:-1]:
        trail.append(next(name for name in before[trail[-1]] if name in names))
    trail = trail[trail.index(trail[-1]) :][::-1]
    return " → ".join(trail)
