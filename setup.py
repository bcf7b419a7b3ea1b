"""What pyproject.toml can't say: jobs/, dump/ and conf/ of a checkout become folders of the package seqrec in a wheel."""

import shutil
from pathlib import Path

from setuptools import find_packages, setup

INSIDE = {f"seqrec.{folder}": folder for folder in ("jobs", "dump", "conf")}
# What an earlier build left would get into the wheel, modules that are gone since among it.
shutil.rmtree(Path(__file__).parent / "build" / "lib", ignore_errors=True)
setup(
    packages=[*find_packages(include=["seqrec", "seqrec.*"]), *INSIDE],
    package_dir=INSIDE,
    package_data={"seqrec": ["**/*"], "seqrec.conf": ["**/*.yaml", "*.properties"]},
    exclude_package_data={"": ["*.pyc"]},
)
