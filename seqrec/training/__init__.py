"""The trainer: loader, loop, checkpoints, processes."""
