"""What pyproject.toml can't say: jobs/, dump/ and conf/ of a checkout become folders of the package seqrec in a wheel."""

from setuptools import find_packages, setup

INSIDE = {f"seqrec.{folder}": folder for folder in ("jobs", "dump", "conf")}

setup(
    packages=[*find_packages(include=["seqrec", "seqrec.*"]), *INSIDE],
    package_dir=INSIDE,
    package_data={"seqrec": ["**/*"], "seqrec.conf": ["**/*.yaml", "*.properties"]},
    exclude_package_data={"": ["*.pyc"]},
)
