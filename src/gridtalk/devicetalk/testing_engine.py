"""Small trees and devices for the engine's tests."""

from gridtalk.devicetalk.config import BasicFile, basic_file_read
from gridtalk.devicetalk.tree import Device, DfType, Feature, SaFunction

CONFIG_INI = """\
[templates]
sa = sa.py                ; a comment
safuncs = library/{device_name}_library/functions.py
[new-function]
IDF = templates/idf.py.j2
ODF = templates/odf.py.j2
[manual]
url = https://example.org/manual
[lib]
root = library/
example-dir = examples
"""
FUNCTIONS = "{% for f in functions %}{{ f.content }}\n--\n{% endfor %}"
IDF = DfType("idf", ("float",))
ODF = DfType("odf", ("int", "int", "float"))


def tree_with(**changes: str | None) -> dict[str, bytes]:
    """A good basic file's tree, with some files changed (None takes one away).

    ``config``, ``sa``, ``safuncs``, ``idf`` and ``odf`` are short for their paths.
    """
    texts: dict[str, str | None] = {
        "config": CONFIG_INI,
        "sa": "name = {{ sa.device_name | pystr }}\n",
        "safuncs": FUNCTIONS,
        "idf": "def {*df_name*}():\n    {*variable_setup*}\n\n    {*new_line*}\n    return 0\n",
        "odf": "def {*df_name*}(data):\n{{ lib.runs_content | indent(4, first=true) }}\n",
        "README.md": "{{ kept }}\n",
    }
    texts.update(changes)
    short = {
        "config": "config.ini",
        "sa": "sa.py",
        "safuncs": "library/{device_name}_library/functions.py",
        "idf": "templates/idf.py.j2",
        "odf": "templates/odf.py.j2",
    }
    return {short.get(k, k): text.encode() for k, text in texts.items() if text is not None}


def basic_file_with(**changes: str | None) -> BasicFile:
    """A basic file made from :func:`tree_with`."""
    return basic_file_read(name="test", language="Python", tree=tree_with(**changes))


def device_with(
    *, code: tuple[str, ...] = ("pass",), var_setup: str = "", name: str = "Dev", df: str = "A-B-I"
) -> Device:
    """A device with one DF in use and one function."""
    function = SaFunction(name="f", df_type=IDF, code=code, readonly_lines=(0,))
    feature = Feature(name=df, df_type=IDF, function="f", var_setup=var_setup)
    return Device(name=name, device_model="M", features=(feature,), functions=(function,))
