"""Where the jobs and their templates lie: beside the package in a checkout, inside it where it was installed from a wheel."""

import os
import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
HOME_VARIABLE = "SEQREC_HOME"


def home() -> Path:
    """The folder with jobs/, dump/ and conf/. SEQREC_HOME says which it is where the package is in a zip, as on executors."""
    if named := os.environ.get(HOME_VARIABLE):
        return Path(named)
    return PACKAGE if (PACKAGE / "conf").is_dir() else PACKAGE.parent


def in_checkout() -> bool:
    """Whether the jobs are those of a checkout, with its Makefile and spark-submit.sh."""
    return (home() / "spark-submit.sh").exists()


def program() -> str:
    """What runs a job on this machine, as the first words of a command line."""
    return "./spark-submit.sh" if in_checkout() else "python -m seqrec"


def run_command() -> list[str]:
    """What runs a job from any folder, as words."""
    return [str(home() / "spark-submit.sh")] if in_checkout() else [sys.executable, "-P", "-m", "seqrec"]


def set_up(*, extras: str, checkout: str = "`make setup`") -> str:
    """The remedy for what isn't installed: a make target in a checkout, else pip with the package's extras."""
    return checkout if in_checkout() else f"`pip install 'seqrec[{extras}]'`"


def where_templates_lie() -> str:
    """Where templates are, and outside of a checkout, where nobody should edit them, how to get copies."""
    if in_checkout():
        return "the templates lie in conf/"
    return f"the templates lie in {home() / 'conf'}, and `{program()} templates DIR` copies them to edit"


def shown_template(path: str) -> str:
    """A template's name in a message: conf/JOB.yaml in a checkout, else the whole path.

    >>> shown_template("/work/seqrec/conf/train.yaml") if in_checkout() else "conf/train.yaml"
    'conf/train.yaml'
    """
    return "/".join(Path(path).parts[-2:]) if in_checkout() else path


def kept_folder() -> Path:
    """Where what is kept for the user lies: .seqrec of the checkout, else that of the current folder."""
    return (home() if in_checkout() else Path.cwd()) / ".seqrec"
