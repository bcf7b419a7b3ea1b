"""Speed of each part against what one would write instead; `python -m tests.bench`."""
