"""New functions, tokens and whole devices; a user's text is never interpreted."""

import io
import keyword
import zipfile
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridtalk.devicetalk.render import device_render, device_version, device_zip
from gridtalk.devicetalk.render_env import cstr, pystr
from gridtalk.devicetalk.render_function import function_import_name, function_new
from gridtalk.devicetalk.render_tokens import tokens_replace
from gridtalk.devicetalk.testing_engine import (
    FUNCTIONS,
    IDF,
    ODF,
    basic_file_with,
    device_with,
)
from gridtalk.devicetalk.tree import (
    SECTIONS,
    Device,
    DfType,
    Feature,
    GlobalVariables,
    InvalidTree,
    Library,
    LibraryFunction,
    SaFunction,
)

OUT = "library/Dev_library/functions.py"
HOSTILE = [
    "{{ 7 * 7 }}",
    "{% for x in range(9) %}{% endfor %}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{# gone? #}",
    "{*x*}",
    "{*new_line*}",
    "{device_name} {sa[device_name]} {0.__class__}",
    "%(name)s $name ${name} \\1 \\g<0>",
    "`id`; $(reboot) && rm -rf / | tee 'x' \"y\"",
    "'''\"\"\" \\",
    "<script>alert('&amp;')</script>",
    "風速 ≥ 10\tend\x0b\x0c\x85\u2028.",
    "ends in CR\r",
    "# -*- coding: latin-1 -*-",
]


def function_text(device: Device, **changes: str) -> str:
    rendered = device_render(basic_file=basic_file_with(**changes), device=device, libraries=[])
    return rendered.files[OUT].decode()


@pytest.mark.parametrize("text", HOSTILE)
def test_a_users_text_is_never_interpreted(text: str) -> None:
    device = device_with(code=(text, "{*variable_setup*}", text), var_setup=text)
    assert function_text(device) == f"{text}\n{text}\n{text}\n--\n"
    device = replace(device, global_variables=GlobalVariables(text))
    assert function_text(device, safuncs="{{ sa.global_variable_setup }}") == text


# A line of code as the page sends it: anything but a line feed and half a surrogate pair.
LINES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), max_size=40)
PIECES = st.sampled_from([*HOSTILE, "{{", "}}", "{%", "*}", "{*", "\\", "\r", '"', "'", "風", ""])
USER_LINES = st.lists(st.one_of(LINES, st.lists(PIECES, max_size=5).map("".join)), min_size=1)


@given(USER_LINES, USER_LINES)
def test_any_text_survives(code: list[str], setup: list[str]) -> None:
    tokens = ("{*df_name*}", "{*variable_setup*}")
    code = [line for line in code if not any(token in line for token in tokens)]
    text = "\n".join(setup)
    made = tokens_replace(code=[*code, "{*variable_setup*}"], df_name="A-B", var_setup=text)
    # A line break at the very end ends the last line.
    wanted = text.removesuffix("\n").split("\n") if text else []
    assert list(made.lines) == [*code, *wanted]
    device = device_with(code=tuple(code), var_setup=text)
    assert function_text(device) == "\n".join(code) + "\n--\n"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_string_literals_mean_what_was_given(text: str) -> None:
    assert eval(pystr(text)) == text
    literal = cstr(text)
    assert "\n" not in literal
    assert "??" not in literal
    assert literal.isprintable()
    decoded = literal[1:-1].replace("\\?", "?").encode().decode("latin-1")
    assert decoded.encode("latin-1").decode("unicode_escape").encode("latin-1") == text.encode()


@pytest.mark.parametrize(
    ("label", "code", "setup", "wanted"),
    [
        ("every hyphen", ["{*df_name*}()"], "", ["A_B_I()"]),
        ("indented", ["    {*variable_setup*}"], "a\n  b\n\nc", ["    a", "      b", "", "    c"]),
        ("blanks", ["  {*variable_setup*}"], " \n\n\t\nc ", ["   ", "", "  \t", "  c "]),
        ("blanks, inline", ["f({*variable_setup*})"], "'\n \n'", ["f('", "   ", "  ')"]),
        ("an empty first line", ["  {*variable_setup*}"], "\nb", ["", "  b"]),
        ("tabs", ["\t{*variable_setup*}"], "a\nb", ["\ta", "\tb"]),
        ("no setup, no line", ["x", "  {*variable_setup*}", "y"], "", ["x", "y"]),
        ("one last line break", ["{*variable_setup*}"], "a\n", ["a"]),
        ("inline", ["f({*variable_setup*})"], "1,\n2", ["f(1,", "  2)"]),
        ("inline, empty", ["f({*variable_setup*})"], "", ["f()"]),
        ("not again", ["{*variable_setup*}"], "{*df_name*}{*variable_setup*}", None),
        ("twice", ["{*df_name*}{*df_name*}"], "", ["A_B_IA_B_I"]),
        ("other tokens", ["{*other*} {* df_name *} {df_name}"], "", None),
    ],
)
def test_tokens(label: str, code: list[str], setup: str, wanted: list[str] | None) -> None:
    made = tokens_replace(code=code, df_name="A-B-I", var_setup=setup)
    assert list(made.lines) == (wanted or ([setup] if setup else code)), label
    assert len(made.origins) == len(made.lines)


def test_a_new_function_without_a_library() -> None:
    made = function_new(basic_file=basic_file_with(), df_type=IDF, name="n")
    assert made.code == ("def {*df_name*}():", "    {*variable_setup*}", "", "    return 0")
    assert made.readonly_lines == (0, 1, 3)
    assert made.var_setup == ()
    assert made.library_ref is None


def test_a_new_function_from_a_librarys() -> None:
    fields = dict.fromkeys(SECTIONS, "") | {
        "var_define": "pin = 4\nhot = '{{ x }}'",
        "runs_content": "{{ 7*7 }}\n\nuse(pin)",
    }
    source = LibraryFunction(library="dht", name="read", fields=fields)
    made = function_new(
        basic_file=basic_file_with(), df_type=ODF, name="read_dht", library_function=source
    )
    assert made.code == ("def {*df_name*}(data):", "    {{ 7*7 }}", "    use(pin)")
    assert made.var_setup == ("pin = 4", "hot = '{{ x }}'")
    assert made.library_ref == ("dht", "read")
    assert function_import_name(source) == "read_dht"


def test_params_reach_the_template() -> None:
    basic = basic_file_with(
        odf="{{ params.list | join(',') }} {{ params.set | join(',') }} {{ params.len }} "
        "{{ params.set_len }} {{ lib_ref.is_ref }}[{{ lib.var_define }}]"
    )
    made = function_new(basic_file=basic, df_type=ODF, name="n")
    assert made.code == ("int,int,float int,float 3 2 False[]",)


def test_the_context_of_sa_files() -> None:
    f = "{% for f in functions %}{{ f.name }} {{ f.type }} {{ f.var_setup_start_line }} "
    f += "{{ f.var_setup_indent_num }} {{ f.ro_lines }} {{ f.lines | length }};{% endfor %}"
    sa = "{{ idf.name_list }}{{ odf.name_list }}{{ idf.info[0].func_name }}{{ da.push_interval }}"
    device = device_with(code=("a", "  {*variable_setup*}", "b"), var_setup="x\ny")
    unused = Feature("Z", IDF, in_use=False)
    device = replace(device, features=(unused, *device.features))
    rendered = device_render(basic_file=basic_file_with(sa=f + sa), device=device, libraries=[])
    assert rendered.files["sa.py"].decode() == "f idf 1 2 [0] 4;['A-B-I'][]A_B_I1.0"


def test_the_files_of_a_device() -> None:
    library = Library(name="dht", files={"dht/dht.py": b"\xff{{ x }}"})
    rendered = device_render(
        basic_file=basic_file_with(), device=device_with(name="Dév 1"), libraries=[library]
    )
    assert dict(rendered.files) == {
        "README.md": b"{{ kept }}\n",
        "library/Dév_1_library/functions.py": b"pass\n--\n",
        "library/dht/dht.py": b"\xff{{ x }}",
        "sa.py": "name = 'Dév 1'\n".encode(),
    }
    packed = device_zip(device_name="Dév 1", rendered=rendered)
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert {name.partition("/")[0] for name in archive.namelist()} == {"Dév_1"}


@given(st.permutations(["a", "b", "c", "d"]), USER_LINES)
def test_same_input_same_bytes(order: list[str], code: list[str]) -> None:
    libraries = {n: Library(name=n, files={f"{n}/{n}": n.encode()}) for n in "abcd"}
    basic = basic_file_with()
    device = device_with(code=tuple(code))

    def packed(names: list[str]) -> bytes:
        chosen = [libraries[name] for name in names]
        rendered = device_render(basic_file=basic, device=device, libraries=chosen)
        return device_zip(device_name=device.name, rendered=rendered)

    assert packed(order) == packed(["a", "b", "c", "d"])


def test_the_version_tells_what_changed() -> None:
    basic, device = basic_file_with(), device_with()
    version = device_version(basic, device, [])
    assert version == device_version(basic, device, [])
    others = [
        device_version(basic_file_with(sa="x"), device, []),
        device_version(basic, device_with(code=("y",)), []),
        device_version(basic, replace(device, server_url="http://x"), []),
        device_version(basic, device, [Library(name="l", files={"l/x": b""})]),
    ]
    assert len({version, *others}) == 5
    functions = tuple(replace(device.functions[0], name=name) for name in ("f", "g"))
    saved = [replace(device, functions=order) for order in (functions, functions[::-1])]
    assert len({device_version(basic, device, []) for device in saved}) == 1, "order of saving"


def test_where_functions_stand() -> None:
    function = SaFunction("f", IDF, ("def {*df_name*}():", "  {*variable_setup*}", "  same"))
    same = SaFunction("g", IDF, ("x",))
    device = Device(
        name="Dev",
        device_model="M",
        functions=(function, same),
        features=(
            Feature("A", IDF, "f", "one\ntwo"),
            Feature("B", IDF, "g"),
            Feature("C", IDF, "g"),
        ),
    )
    rendered = device_render(
        basic_file=basic_file_with(safuncs="# head\n" + FUNCTIONS), device=device, libraries=[]
    )
    places = [(p.df_name, p.function, p.first_line) for p in rendered.places if p.path == OUT]
    assert places == [("A", "f", 2), ("B", "g", 7), ("C", "g", 9)]
    lines = rendered.files[OUT].decode().split("\n")
    assert lines[6] == lines[8] == "x"
    assert rendered.places[0].origins == (
        ("code", 0),
        ("var_setup", 0),
        ("var_setup", 1),
        ("code", 2),
    )


@pytest.mark.parametrize(
    ("label", "device", "awaited"),
    [
        ("no function", replace(device_with(), features=(Feature("A", IDF),)), "A: no function is"),
        ("unknown", replace(device_with(), features=(Feature("A", IDF, "z"),)), "no function 'z'"),
        (
            "type",
            replace(device_with(), features=(Feature("A", ODF, "f"),)),
            "odf(int, int, float)",
        ),
        ("no DF", replace(device_with(), features=()), "none is in use"),
        ("DF's name", device_with(df="a b"), "device feature a b: its name must be"),
        ("DF's code", device_with(df="a();b"), "device feature a();b: its name must be"),
        ("name", device_with(name=" "), "the device has no name"),
        ("long", device_with(name="x" * 93), "longer than 92"),
        ("name of lines", device_with(name="a\nimport os"), "unprintable"),
        ("URL", replace(device_with(), server_url="file:///x"), "server URL"),
        ("interval", replace(device_with(), push_interval_s=float("nan")), "push interval"),
        (
            "function's name",
            replace(device_with(), functions=(SaFunction("f\nimport os", IDF, ()),)),
            "is no name",
        ),
        ("surrogate", device_with(code=("\ud800",)), "half a surrogate"),
        (
            "twin",
            replace(device_with(), features=(Feature("A-B", IDF, "f"), Feature("A_B", IDF, "f"))),
            "in code its name would be A_B, as that of A-B",
        ),
    ],
)
def test_a_device_that_is_not_ready(label: str, device: Device, awaited: str) -> None:
    with pytest.raises(InvalidTree) as caught:
        device_render(basic_file=basic_file_with(), device=device, libraries=[])
    assert awaited in str(caught.value), label


@pytest.mark.parametrize(
    ("label", "sa", "where", "cause"),
    [
        ("undefined", "\n\n{{ sa.nothing }}", "sa.py, line 3", "nothing"),
        ("loop", "{% for x in nothing %}{% endfor %}", "sa.py, line 1", "undefined"),
        ("filter's type", "a\n{{ 1 | pystr }}", "sa.py, line 2", "takes a text, not int"),
        ("division", "{{ 1 / 0 }}", "sa.py, line 1", "zero"),
        ("sandbox", "{{ sa.__class__.__mro__ }}", "sa.py, line 1", "unsafe"),
        ("globals", "{{ cycler.__init__.__globals__ }}", "sa.py, line 1", "unsafe"),
        ("format", "{{ '{0.__class__.__mro__}'.format(1) }}", "sa.py, line 1", "unsafe"),
        ("change", "{{ functions.append(1) }}", "sa.py, line 1", "unsafe"),
        ("memory", "{{ 'x' * 999999999 }}", "sa.py, line 1", "product"),
        ("power", "{{ 9 ** 99999999 }}", "sa.py, line 1", "exponent"),
        ("range", "{% for x in range(9999999) %}{% endfor %}", "sa.py, line 1", "Range"),
        ("chance", "{{ lipsum() }}", "sa.py, line 1", "lipsum"),
        ("include", "{% include 'a' %}", "sa.py, line 1", "no file a in the basic file"),
        ("outside", "{% include '../../x' %}", "sa.py, line 1", "no file ../../x"),
    ],
)
def test_a_templates_fault_names_file_line_and_cause(
    label: str, sa: str, where: str, cause: str
) -> None:
    with pytest.raises(InvalidTree) as caught:
        device_render(basic_file=basic_file_with(sa=sa), device=device_with(), libraries=[])
    assert f"{where}: " in str(caught.value), label
    assert cause in str(caught.value), label


def test_files_of_a_library_never_replace_the_basic_files() -> None:
    library = Library(name="Dev_library", files={"Dev_library/functions.py": b"evil"})
    with pytest.raises(InvalidTree, match=r"functions.py: the basic file and a library both"):
        device_render(basic_file=basic_file_with(), device=device_with(), libraries=[library])


def test_a_device_that_chose_its_own_device_library() -> None:
    own = Library(
        name="Dev_library", is_device_library=True, files={"Dev_library/functions.py": b"old"}
    )
    rendered = device_render(basic_file=basic_file_with(), device=device_with(), libraries=[own])
    assert rendered.files[OUT] == b"pass\n--\n"


def test_df_types_are_told_apart_by_their_parameters() -> None:
    one, two = DfType("idf", ("int",)), DfType("idf", ("float",))
    device = Device(
        name="Dev",
        device_model="M",
        functions=(SaFunction("f", one, ("1",)), SaFunction("f", two, ("2",))),
        features=(Feature("A", two, "f"), Feature("B", one, "f")),
    )
    assert function_text(device) == "2\n--\n1\n--\n"
    assert not keyword.iskeyword("A")
