"""Helpers of the tests: a small basic file, libraries, functions."""

from gridtalk.devicetalk import tree
from gridtalk.devicetalk.models import (
    BasicFile,
    Device,
    DeviceLibrary,
    DfType,
    Language,
    Library,
    SaFunction,
)
from gridtalk.devicetalk.services.catalogue import basic_file_put, df_type_get
from gridtalk.devicetalk.services.device_spec import DeviceSpec, Df, Use
from gridtalk.devicetalk.services.devices import device_save
from gridtalk.devicetalk.services.functions import function_create
from gridtalk.devicetalk.services.functions_draft import Draft
from gridtalk.devicetalk.services.libraries import library_put
from gridtalk.files.services import files_stage
from gridtalk.users.models import Group, User

CONFIG = b"""[templates]
sa = sa.py
safuncs = library/{device_name}_library/functions.py
[new-function]
IDF = idf.j2
ODF = odf.j2
[manual]
url = https://example.org/manual
[lib]
root = library/
example-dir = examples
"""
BASIC_FILE = {
    "config.ini": CONFIG,
    "sa.py": b"name = {{ sa.device_name | pystr }}\n{% for f in functions %}{{ f.content }}\n"
    b"{% endfor %}",
    "library/{device_name}_library/functions.py": b"# functions\n",
    "idf.j2": b"def {*df_name*}():\n    {*variable_setup*}\n    {*new_line*}\n    return 0\n",
    "odf.j2": b"def {*df_name*}(data):\n    {*variable_setup*}\n    {*new_line*}\n",
    "Makefile": b"all:\n",
}
IDF_INT = tree.DfType("idf", ("int",))
ODF_FLOAT = tree.DfType("odf", ("float",))
IDF_CODE = ("def {*df_name*}():", "    {*variable_setup*}", "    return 0")


def user_make(name: str = "amina", *, group: str = "view") -> User:
    """A user; ``group`` is ``view``, ``makers`` (who may build devices) or ``admin``."""
    permissions = {"admin": ["view", "devices", "workshop"], "makers": ["view", "devices"]}
    found, _ = Group.objects.get_or_create(
        name=group, defaults={"permissions": permissions.get(group, ["view"])}
    )
    return User.objects.create_user(name, "x", group=found)


def basic_file_make(name: str = "base", language: str = "Python", **files: bytes) -> BasicFile:
    """The small basic file, with some files replaced or added."""
    found, _ = Language.objects.get_or_create(name=language)
    batch = files_stage(user=None, tree={**BASIC_FILE, **files})
    return basic_file_put(user=None, language=found, name=name, batch_id=batch.pk)


def library_make(
    basic_file: BasicFile, name: str = "dht", user: User | None = None, **functions: str
) -> Library:
    """A library with one file of code and these example functions (name: the text of its runs)."""
    files = {f"{name}/{name}/{name}.py": b"x = 1\n"}
    for function, text in (functions or {"read": "x = dht.read()"}).items():
        content = text if text.startswith("#") else f"# ***[runs_content]***\n{text}\n"
        files[f"{name}/examples/{function}.py"] = content.encode()
    batch = files_stage(user=user, tree=files)
    return library_put(user=user, basic_file=basic_file, batch_id=batch.pk).library


def df_type_make(plain: tree.DfType = IDF_INT) -> DfType:
    """The stored type."""
    return df_type_get(direction=plain.direction, params=plain.params)


def draft(name: str, *lines: str, first: tuple[str, ...] = IDF_CODE) -> Draft:
    """A draft with the template's read-only lines, and those of the user's in between."""
    return Draft(name=name, code=(*first[:2], *lines, *first[2:]))


def function_make(
    basic_file: BasicFile, name: str = "read", *lines: str, user: User | None = None,
    device: Device | None = None,
) -> SaFunction:  # fmt: skip
    """A function for :data:`IDF_INT`."""
    return function_create(
        user=user, basic_file=basic_file, df_type=df_type_make(), draft=draft(name, *lines),
        device=device,
    )  # fmt: skip


def spec_make(basic_file: BasicFile, *dfs: Df, name: str = "Plant", **fields: object) -> DeviceSpec:
    """A device with these features."""
    given: dict[str, object] = {
        "name": name, "dm_name": "Plantbox", "basic_file": basic_file, "dfs": dfs,
        "server_url": "http://127.0.0.1:9992", **fields,
    }  # fmt: skip
    return DeviceSpec(**given)  # type: ignore[arg-type]


def df_make(name: str, function: SaFunction | None = None, var_setup: str = "") -> Df:
    """A feature of :data:`IDF_INT`, in use where it has a function, which then is selected."""
    uses = (Use(function.pk, var_setup, True),) if function else ()
    return Df(name=name, df_type=IDF_INT, in_use=function is not None, uses=uses)


def device_make(basic_file: BasicFile, user: User | None = None, name: str = "Plant") -> Device:
    """A device with the feature ``Light`` and the function ``read``."""
    function = function_make(basic_file, user=user)
    spec = spec_make(basic_file, df_make("Light", function, "pin = 1"), name=name)
    return device_save(user=user, spec=spec).device


def library_of(device: Device) -> DeviceLibrary:
    """The device library of a device."""
    return DeviceLibrary.objects.get(
        name=device.library_name, user=device.user, basic_file=device.basic_file
    )
