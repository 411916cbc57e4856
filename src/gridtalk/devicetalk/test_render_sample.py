"""A basic file is tried before it is taken: what its templates ask for and are not given."""

from pathlib import Path

import pytest

from gridtalk.devicetalk.device_file import IGNORED, catalogue_folder
from gridtalk.devicetalk.render_sample import basic_file_check
from gridtalk.devicetalk.testing_engine import CONFIG_INI, tree_with
from gridtalk.devicetalk.tree import InvalidTree
from gridtalk.devicetalk.ziptree import folder_read

SAFUNCS = "library/{device_name}_library/functions.py"


def refusal_of(**changes: str | None) -> str:
    """What is said of the small basic file with these files changed; empty where it is taken."""
    try:
        basic_file_check(name="b", language="Python", tree=tree_with(**changes))
    except InvalidTree as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("label", "file", "template", "awaited"),
    [
        ("attribute", "sa", "\n{{ sa.devicename }}", "sa.py, line 2: 'dict object' has no"),
        ("name", "odf", "a\n\n{{ parms.len }}", "odf.py.j2, line 3: 'parms' is undefined"),
        ("section", "idf", "{{ lib.run_content }}", "idf.py.j2, line 1: 'dict object' has no attr"),
        ("in a filter", "sa", "{{ sa.named | pystr }}", "sa.py, line 1: 'dict object' has no attr"),
        ("in a branch", "idf", "{% if lib_ref.is_ref %}{{ x }}{% endif %}", "line 1: 'x' is undef"),
        ("in the other", "idf", "{% if not lib_ref.is_ref %}{{ x }}{% endif %}", "'x' is undef"),
        ("address", "sa", "{% if not da.device_addr %}{{ x }}{% endif %}", "'x' is undefined"),
        ("loop", "safuncs", "{% for f in functions %}\n{{ f.contents }}{% endfor %}",
         f"{SAFUNCS}, line 2: 'dict object' has no attribute 'contents'"),
        ("iterated", "sa", "{% for x in feature %}{% endfor %}", "'feature' is undefined"),
        ("called", "sa", "{{ helper(1).x + 2 }}", "'helper' is undefined"),
        ("condition", "sa", "{% if other %}{% endif %}", "'other' is undefined"),
        ("counted", "sa", "{{ range(amount) | list }}", "'amount' is undefined"),
        ("include", "sa", "\n{% include 'no.j2' %}", "sa.py, line 2: there is no file no.j2 in"),
        ("type", "sa", "{{ 1 | cstr }}", "sa.py, line 1: the filter cstr takes a text, not int"),
        ("sandbox", "sa", "{{ ''.__class__.__mro__ }}", "unsafe"),
    ],
)  # fmt: skip
def test_a_template_that_no_device_could_use(
    label: str, file: str, template: str, awaited: str
) -> None:
    assert awaited in refusal_of(**{file: template}), label


def test_all_of_it_in_one_message() -> None:
    text = refusal_of(
        config=CONFIG_INI.replace("url = https://example.org/manual", ""),
        sa="{{ sa.one | cstr }}\n{{ two }}\n{{ two }}\n{% include 'no.j2' %}\n{{ unreached }}",
        safuncs="{{ three }}",
        idf="{{ four }}",
        odf="{% if %}",
    )
    lines = text.split("\n")[1:]
    for awaited in (
        "'url' of section [manual] is missing",
        "sa.py, line 1: 'dict object' has no attribute 'one'",
        "sa.py, line 2: 'two' is undefined",
        "sa.py, line 3: 'two' is undefined",
        "sa.py, line 4: there is no file no.j2",
        f"{SAFUNCS}, line 1: 'three' is undefined",
        "templates/idf.py.j2, line 1: 'four' is undefined",
        "templates/odf.py.j2, line 1: ",
    ):
        assert sum(awaited in line for line in lines) == 1, text
    assert len(lines) == 8, text


@pytest.mark.parametrize(
    "template",
    [
        "{{ x | default('y') }}{% if x is defined %}{{ x.y }}{% endif %}",
        "{{ idf.info[2].params.list[2] }}{{ odf.name_list[2] }}{{ functions[5].lines[0] }}",
        "{% include 'part.j2' %}{% from 'part.j2' import f %}{{ f(1) }}",
        "{{ sa.version }}{{ sa.safe_name }}{{ da.push_interval * 1000 }}",
    ],
)
def test_a_template_that_a_device_can_use(template: str) -> None:
    part = "{% macro f(x) %}{{ x }}{% endmacro %}"
    assert refusal_of(sa=template, **{"part.j2": part}) == ""


@pytest.mark.parametrize(
    "folder", sorted((catalogue_folder() / "basic-files").glob("*/*")), ids=str
)
def test_what_is_shipped(folder: Path) -> None:
    tree = folder_read(folder, ignore=IGNORED)
    basic_file_check(name=folder.name, language=folder.parent.name, tree=tree)
