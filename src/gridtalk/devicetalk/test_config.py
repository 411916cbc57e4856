"""Basic files: what is refused, all of it in one message."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridtalk.devicetalk.config import basic_file_read
from gridtalk.devicetalk.testing_engine import CONFIG_INI, basic_file_with, tree_with
from gridtalk.devicetalk.tree import InvalidTree, Limits


def test_a_good_one() -> None:
    config = basic_file_with().config
    assert config.sa == ("sa.py",)
    assert config.lib_root == "library/"
    assert config.example_dir == "examples"
    assert config.out_path(config.safuncs, "My dev") == "library/My_dev_library/functions.py"


def test_the_old_placeholder() -> None:
    tree = tree_with(config=CONFIG_INI.replace("{device_name}", "{sa[device_name]}"))
    path = "library/{sa[device_name]}_library/functions.py"
    tree[path] = tree.pop("library/{device_name}_library/functions.py")
    config = basic_file_read(name="x", language="Python", tree=tree).config
    assert config.out_path(config.safuncs, "d") == "library/d_library/functions.py"


def test_everything_missing_is_in_one_message() -> None:
    config = "[templates]\nsa = a.py, b.py\n[new-function]\nIDF =\n"
    with pytest.raises(InvalidTree) as caught:
        basic_file_with(config=config)
    text = str(caught.value)
    for part in (
        "'safuncs' of section [templates] is missing",
        "'IDF' of section [new-function] is empty",
        "'ODF' of section [new-function] is missing",
        "'url' of section [manual] is missing",
        "'root' of section [lib] is missing",
        "'example-dir' of section [lib] is missing",
    ):
        assert part in text


@pytest.mark.parametrize("missing", ["url = https://example.org/manual", "root = library/"])
def test_a_missing_option_hides_nothing_else(missing: str) -> None:
    config = CONFIG_INI.replace(missing, "").replace("sa = sa.py", "sa = nowhere.py, ../up.py")
    config = config.replace("example-dir = examples", "example-dir = a/b\n[check]\nboard = due")
    with pytest.raises(InvalidTree) as caught:
        basic_file_with(config=config, idf="{% if %}")
    text = str(caught.value)
    for part in (
        f"{missing.partition(' ')[0]!r} of section [",
        "sa = nowhere.py: there is no such file",
        "sa = ../up.py: it leads out of its folder",
        "example-dir = a/b: it must be the name of one folder",
        "board = due: ",
        "templates/idf.py.j2, line 1: ",
    ):
        assert part in text


def test_lines_that_cannot_be_read_hide_nothing_else() -> None:
    config = CONFIG_INI.replace("[manual]", "[manual]\nwhat\nis this").replace("https:", "")
    with pytest.raises(InvalidTree) as caught:
        basic_file_with(config=config, sa=None)
    text = str(caught.value)
    for part in (
        "config.ini, line 8: this line is neither",
        "config.ini, line 9: this line is neither",
        "sa = sa.py: there is no such file",
        "url = //example.org/manual: it must be a whole address",
    ):
        assert part in text


def test_names_that_are_the_templates_own() -> None:
    config = basic_file_with(
        config=f"{CONFIG_INI}[names]\nreserved = run, on_data\n  my_main\n"
    ).config
    assert config.reserved == {"run", "on_data", "my_main"}
    with pytest.raises(InvalidTree) as caught:
        basic_file_with(config=f"{CONFIG_INI}[names]\nreserved = a-b\nx = 1\n")
    assert "reserved: a-b is no name" in str(caught.value)
    assert "the option 'x' of section [names] is not known" in str(caught.value)


def test_missing_files_and_template_mistakes_together() -> None:
    with pytest.raises(InvalidTree) as caught:
        basic_file_with(
            sa=None, idf="a\n{% if %}\n", odf="{{ x | nofilter }}", safuncs="\n\n{% endfor %}"
        )
    text = str(caught.value)
    assert "sa = sa.py: there is no such file" in text
    assert "templates/idf.py.j2, line 2: " in text
    assert "templates/odf.py.j2, line 1: " in text
    assert "functions.py, line 3: " in text


@pytest.mark.parametrize(
    ("label", "old", "new", "awaited"),
    [
        ("traversal", "sa = sa.py", "sa = ../sa.py", "leads out of its folder"),
        ("absolute", "sa = sa.py", "sa = /etc/passwd", "absolute"),
        ("placeholder", "sa = sa.py", "sa = {user}.py", "unknown placeholder"),
        ("format trick", "sa = sa.py", "sa = {device_name.__class__}.py", "unknown placeholder"),
        ("root", "root = library/", "root = ../../up", "leads out of its folder"),
        ("root placeholder", "root = library/", "root = {device_name}", "unknown placeholder"),
        ("deep examples", "example-dir = examples", "example-dir = a/b", "one folder"),
        ("address", "https://example.org/manual", "javascript:alert(1)", "whole address"),
        ("template as sa", "sa = sa.py", "sa = templates/idf.py.j2", "named as"),
        ("no section", "[manual]", "manual", "config.ini"),
        ("twice", "[lib]", "[manual]\n[lib]", "the section [manual] stands twice"),
        ("an option twice", "root =", "Root = x\nroot =", "option 'root' of section [lib] stands"),
        ("before all", "[templates]", "x = 1\n[templates]", "line 1: it stands before the first"),
    ],
)
def test_refused(label: str, old: str, new: str, awaited: str) -> None:
    with pytest.raises(InvalidTree, match="refused") as caught:
        basic_file_with(config=CONFIG_INI.replace(old, new))
    assert awaited in str(caught.value), label


def test_not_utf_8_and_limits() -> None:
    tree = tree_with()
    tree["config.ini"] = b"\xff\xfe"
    tree["sa.py"] = b"\n\xff"
    with pytest.raises(InvalidTree) as caught:
        basic_file_read(name="x", language="C++", tree=tree, limits=Limits(files=3, file_bytes=60))
    text = str(caught.value)
    assert "config.ini: it must be UTF-8 text" in text
    assert "6 files; at most 3" in text
    assert "at most 60 are taken" in text


def test_a_fault_of_one_line_hides_no_other() -> None:
    broken = (
        b"before = all\n"
        + CONFIG_INI.replace("[lib]", "[manual]\nurl = x\nurl = y\n[lib]").encode()
        + b"\xff\n"
    ).replace(b"example-dir = examples", b"")
    tree = tree_with()
    tree["config.ini"] = broken
    del tree["templates/idf.py.j2"]
    with pytest.raises(InvalidTree) as caught:
        basic_file_read(name="x", language="Python", tree=tree)
    text = str(caught.value)
    for awaited in (
        "line 1: it stands before the first [section]",
        "it must be UTF-8 text",
        "the section [manual] stands twice",
        "the option 'url' of section [manual] stands twice",
        "the option 'example-dir' of section [lib] is missing",
        "IDF = templates/idf.py.j2: there is no such file",
    ):
        assert awaited in text
    assert text.count("stands twice") == 3


@given(st.text(st.sampled_from("[]ab=: ;#\n\t"), max_size=60))
def test_any_text_is_a_configuration_or_refused_by_name(text: str) -> None:
    tree = tree_with()
    tree["config.ini"] = text.encode()
    with pytest.raises(InvalidTree, match=r"config\.ini"):
        basic_file_read(name="x", language="Python", tree=tree)


def test_no_config_at_all() -> None:
    with pytest.raises(InvalidTree, match=r"config.ini: the file is missing"):
        basic_file_with(config=None)
