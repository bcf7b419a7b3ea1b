"""Chains of jobs, by a file that names them: which are stale, and why; run in their order; and the same for DVC."""
