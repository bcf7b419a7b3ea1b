"""config.yaml beside what a job made: its settings in full, which `JOB --conf config.yaml` takes again."""

from typing import Any

import yaml

from seqrec.storage import files

CONFIG = "config.yaml"
LEFT_OUT = ("stores", "preset")  # what the environment alone sets; a preset's keys are there themselves
HEADER = "# The settings of the job that made this, in full: the same job takes them again by `--conf config.yaml`.\n"


def write_config(folder: str, settings: dict[str, Any]) -> None:
    """Write FOLDER/config.yaml."""
    shown = {key: value for key, value in settings.items() if key not in LEFT_OUT}
    text = yaml.safe_dump(shown, sort_keys=False, allow_unicode=True, width=1000)
    files.write_text(files.join(folder, CONFIG), HEADER + text)
