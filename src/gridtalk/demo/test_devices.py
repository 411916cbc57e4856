"""What the demo changes of the shipped meters is there to be changed."""

import pytest

from gridtalk.demo.devices import CPP, PYTHON, Wanted
from gridtalk.devicetalk.device_file import catalogue_folder


@pytest.mark.parametrize(("wanted", "suffix"), [(PYTHON, "py"), (CPP, "hpp")])
def test_the_changed_variables_are_the_librarys(wanted: Wanted, suffix: str) -> None:
    folder = catalogue_folder() / "libraries" / wanted.language / "sharedsolar"
    text = (folder / "examples" / f"gvs.{suffix}").read_text()
    for old, new in wanted.variables:
        assert text.count(old) == 1, wanted.name
        assert new not in text
