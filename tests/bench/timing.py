"""Two ways to do the same, timed in turns."""

import os
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Seconds of both ways, round by round, and the ratio that is aimed at (plain / ours)."""

    what: str
    ours: list[float]
    plain: list[float]
    aim: float

    @property
    def ratios(self) -> list[float]:
        """Of each round."""
        return [plain / ours for ours, plain in zip(self.ours, self.plain, strict=True)]


def seconds(act: Callable[[], object]) -> float:
    """The wall time of one call."""
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def cpu_seconds() -> float:
    """CPU time of this process and those below it, such as the JVM and its Python workers, by Linux's /proc."""
    parents, spent = {}, {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # a process that has ended meanwhile
            fields = file.read_text().rpartition(")")[2].split()
            pid = int(file.parent.name)
            parents[pid], spent[pid] = int(fields[1]), sum(map(int, fields[11:15]))  # of its ended children, too
    ours = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in ours} - ours:
        ours |= more
    return sum(spent[pid] for pid in ours) / os.sysconf("SC_CLK_TCK")


def compare(
    what: str, *, ours: Callable[[int], float], plain: Callable[[int], float], rounds: int, aim: float, warm_up: bool = True
) -> Comparison:
    """Call both with the number of the round, ours first where it is even; they return seconds.

    Round 0 warms up, and isn't counted.
    """
    taken: dict[str, list[float]] = {"ours": [], "plain": []}
    ways = [("ours", ours), ("plain", plain)]
    for number in range(0 if warm_up else 1, rounds + 1):
        for name, way in reversed(ways) if number % 2 else ways:
            spent = way(number)
            sys.stderr.write(f"{what}, {'warm-up' if number == 0 else f'round {number}'}, {name}: {spent:.2f} s\n")
            if number:
                taken[name].append(spent)
    return Comparison(what=what, ours=taken["ours"], plain=taken["plain"], aim=aim)


def show(comparisons: list[Comparison]) -> str:
    """One line a comparison: medians, and the smallest and largest value in brackets.

    >>> print(show([Comparison(what="x", ours=[1.0, 2.0, 4.0], plain=[3.0, 4.0, 8.0], aim=1.5)]))
    part  seqrec, s          plain, s           ratio              aim
    x     2.00 (1.00–4.00)   4.00 (3.00–8.00)   2.00 (2.00–3.00)   1.5
    """
    rows = [("part", "seqrec, s", "plain, s", "ratio", "aim")]
    for one in comparisons:
        rows.append((one.what, _spread(one.ours), _spread(one.plain), _spread(one.ratios), f"{one.aim:.1f}"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}–{max(values):.2f})"
