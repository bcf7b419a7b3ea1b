"""The memory that a process can still take, on a machine or in a container (cgroups of version 2 or 1)."""

from pathlib import Path

import psutil

CGROUPS = Path("/sys/fs/cgroup")
LIMITS = (  # the files of a container's limit, its usage and its statistics, and the file cache in the usage, which gives way
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
)


def free_memory(cgroups: Path = CGROUPS) -> int:
    """Free bytes of the machine, or of this process's container where that has fewer; psutil knows the machine alone."""
    free = int(psutil.virtual_memory().available)
    for limit, usage, statistics, cache in LIMITS:
        if (cgroups / limit).exists() and (most := (cgroups / limit).read_text().strip()) != "max":
            counts = dict(line.split() for line in (cgroups / statistics).read_text().splitlines())
            free = min(free, int(most) - int((cgroups / usage).read_text()) + int(counts.get(cache, 0)))
    return max(0, free)
