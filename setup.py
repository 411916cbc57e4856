"""Puts the catalogue, which lies beside the sources, into the package. All else: pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

CATALOGUE = Path(__file__).parent / "catalogue"
#: What editors, tools and runs leave in it.
LEFT_BEHIND = ("__pycache__", ".*", "*.pyc")


class BuildWithCatalogue(build_py):
    """An installed Gridtalk has its catalogue as ``gridtalk/catalogue``; an editable one does not
    need it there (``devicetalk/device_file.py`` looks in both places)."""

    def run(self) -> None:
        """Copy the catalogue after the modules."""
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib) / "gridtalk" / "catalogue"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(CATALOGUE, target, ignore=shutil.ignore_patterns(*LEFT_BEHIND))


setup(cmdclass={"build_py": BuildWithCatalogue})
