"""Small devices in three languages, for the tests of the check."""

from collections.abc import Mapping

from gridtalk.devicetalk.check.sandbox import Limits
from gridtalk.devicetalk.check.tools import Outcome, Policy, rendered_check
from gridtalk.devicetalk.config import BasicFile, basic_file_read
from gridtalk.devicetalk.render import device_render
from gridtalk.devicetalk.testing_engine import CONFIG_INI, device_with, tree_with
from gridtalk.devicetalk.tree import Device

#: Tight, so that what blows up does so soon.
TIGHT = Limits(seconds=20, cpu_s=1, memory_bytes=400 * 2**20, output_bytes=2**18)
FUNCTIONS = "library/Dev_library/functions"
_FUNCTIONS = b"{% for f in functions %}{{ f.content }}\n{% endfor %}\n"


def basic_file_of(
    ending: str, sa: bytes, check: str = "", more: Mapping[str, bytes] | None = None
) -> BasicFile:
    """A basic file whose SA file ``sa.<ending>`` has the functions in a file beside it."""
    functions = {"py": "py", "cpp": "hpp", "ino": "hpp"}.get(ending, "txt")
    config = CONFIG_INI.replace("sa.py", f"sa.{ending}")
    config = config.replace("functions.py", f"functions.{functions}") + check
    tree = {**tree_with(config=config, sa=None, safuncs=None), **(more or {})}
    tree[f"sa.{ending}"] = sa
    tree[f"library/{{device_name}}_library/functions.{functions}"] = _FUNCTIONS
    return basic_file_read(name="t", language="Any", tree=tree)


def code_check(basic_file: BasicFile, code: str, policy: Policy | None = None) -> Outcome:
    """Check a device with one function of that code, which stands alone in its file."""
    device: Device = device_with(code=tuple(code.split("\n")))
    return rendered_check(
        basic_file=basic_file,
        device=device,
        rendered=device_render(basic_file=basic_file, device=device, libraries=()),
        policy=policy or Policy(TIGHT),
    )


def python_check(code: str, policy: Policy | None = None) -> Outcome:
    """Check Python code."""
    return code_check(basic_file_of("py", b"import os\n"), code, policy)


def cxx_check(
    code: str, policy: Policy | None = None, more: Mapping[str, bytes] | None = None
) -> Outcome:
    """Check C++ code."""
    sa = f'#include "{FUNCTIONS}.hpp"\nint main() {{}}\n'.encode()
    return code_check(basic_file_of("cpp", sa, more=more), code, policy)


def avr_check(code: str, policy: Policy | None = None) -> Outcome:
    """Check a sketch for Arduino."""
    sa = f'#include "{FUNCTIONS}.hpp"\nvoid setup() {{}}\nvoid loop() {{}}\n'.encode()
    return code_check(basic_file_of("ino", sa), code, policy)
