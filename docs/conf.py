"""Sphinx: the documentation, with its data-model pages made from the models themselves."""

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent / "src")]

# Autodoc imports the models. No database is asked for anything; the address only has to be one.
os.environ.setdefault("GRIDTALK_DATABASE_URL", "postgresql:///docs")
os.environ["DJANGO_SETTINGS_MODULE"] = "gridtalk.settings_test"

import django  # noqa: E402

import gridtalk  # noqa: E402

django.setup()

project = "Gridtalk"
author = "The Gridtalk developers"
project_copyright = author
release = version = gridtalk.__version__

extensions = ["sphinx.ext.autodoc", "myst_parser", "modeldoc", "erd", "checks"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
suppress_warnings: list[str] = []

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"Gridtalk {release}"
html_static_path = ["_static"]
html_css_files = ["gridtalk.css"]
html_show_sphinx = False
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}
pygments_style = "sphinx"
pygments_dark_style = "monokai"
