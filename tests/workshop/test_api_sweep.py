"""Every call of the workshop, with requests made from its own description: none is a bug of ours.

Parameters and bodies follow the OpenAPI document, with words that mean something here, ids that are
there, hostile texts and plain nonsense in between. ``GRIDTALK_SWEEP=2000`` makes so many requests.
"""

import json
import os
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from gridtalk.api.root import api
from gridtalk.api.tests.workshop import BASIC_FILE, DOCUMENT, Workshop
from gridtalk.devicetalk.testing import library_of
from gridtalk.devicetalk.testing_hostile import PATHS, TEXTS

pytestmark = pytest.mark.django_db

EXAMPLES = int(os.environ.get("GRIDTALK_SWEEP", "120"))
DESCRIPTION = api.get_openapi_schema(path_prefix="/api/")
CALLS = [
    (method.upper(), path, operation)
    for path, methods in DESCRIPTION["paths"].items()
    for method, operation in methods.items()
    if operation["tags"][0].startswith(("workshop", "files")) and not path.endswith("/import")
]
WORDS = ["Python", "base", "dht", "read", "light", "Light", "idf", "odf", "int", "Plantbox",
         "Plant", "sa.py", "Plant_library", "http://127.0.0.1:9992", "{*variable_setup*}", "",
         *DOCUMENT["functions"][1]["code"], *TEXTS.values(), *PATHS.values()]  # fmt: skip
TEXT = st.one_of(st.sampled_from(WORDS), st.text(max_size=20))
NUMBER = st.one_of(
    st.integers(-1, 5), st.sampled_from([2**31 - 1, 2**31, 2**63 - 1, 2**63, 10**30])
)
JUNK = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBER, st.floats(), TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=5,
)


def values(schema: dict[str, Any], depth: int = 0) -> st.SearchStrategy[Any]:
    """What that part of the description takes, and now and then something else."""
    kinds = st.integers(0, 29)
    return kinds.flatmap(lambda n: JUNK if n == 7 and depth else _values(schema, depth))


def _values(schema: dict[str, Any], depth: int) -> st.SearchStrategy[Any]:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return _values(DESCRIPTION["components"]["schemas"][name], depth)
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return st.one_of(*(values(part, depth + 1) for part in schema[key]))
    if "enum" in schema or "const" in schema:
        return st.sampled_from(schema.get("enum", [schema.get("const")]))
    kind = schema.get("type")
    if kind == "object":
        parts = schema.get("properties", {})
        needed = {name: values(part, depth + 1) for name, part in parts.items()}
        optional = {name: needed.pop(name) for name in [*needed]
                    if name not in schema.get("required", ())}  # fmt: skip
        return st.fixed_dictionaries(needed, optional=optional)
    if kind == "array":
        return st.lists(values(schema["items"], depth + 1), max_size=3)
    plain = {"integer": NUMBER, "number": st.floats(), "boolean": st.booleans(), "null": st.none()}
    return plain.get(kind or "", TEXT)


@pytest.fixture
def workshop() -> Workshop:
    return Workshop()


@pytest.fixture
def known(workshop: Workshop) -> dict[str, list[Any]]:
    """Parts of addresses that lead somewhere."""
    device = workshop.device(workshop.maker)
    opened = workshop.maker.send("PUT", "file", {"paths": ["a/a/a.py"]}).json()
    file = workshop.basic_file.file_set.first()
    assert file is not None
    return {
        "device_id": [device.pk, workshop.device().pk],
        "function_id": [device.functions.get().pk, workshop.library.functions.get().pk],
        "key": [f"L{workshop.library.pk}", f"D{library_of(device).pk}"],
        "uuid": [opened["files"][0]["uuid"], str(file.uuid)],
        "number": [1],
        "language": ["Python"],
        "basic_file": ["base"],
        "upload_batch": [opened["upload_batch"], workshop.admin.upload(BASIC_FILE)],
    }


def drawn(data: st.DataObject, schema: dict[str, Any], known: list[Any] | None) -> Any:
    """A value for a parameter; most of the time one that leads somewhere."""
    if known and data.draw(st.integers(0, 4)):
        return data.draw(st.sampled_from(known))
    return data.draw(values(schema))


def encoded(value: Any) -> str:
    """As a client could write it into an address."""
    return (value if isinstance(value, str) else json.dumps(value)).encode(
        "utf-8", "replace"
    ).decode()  # fmt: skip


def filled(body: Any, known: dict[str, list[Any]], data: st.DataObject) -> Any:
    """The body with an upload that is there."""
    if isinstance(body, dict) and "upload_batch" in body and data.draw(st.booleans()):
        return {**body, "upload_batch": data.draw(st.sampled_from(known["upload_batch"]))}
    return body


@settings(
    max_examples=EXAMPLES,
    derandomize=EXAMPLES == 120,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_no_call_is_a_bug(
    workshop: Workshop, known: dict[str, list[Any]], data: st.DataObject
) -> None:
    method, path, operation = data.draw(st.sampled_from(CALLS))
    query: list[tuple[str, str]] = []
    for parameter in operation.get("parameters", []):
        name = parameter["name"]
        if parameter["in"] == "path":
            value = encoded(drawn(data, parameter["schema"], known.get(name)))
            path = path.replace(f"{{{name}}}", quote(value, safe="") or "-")
        elif parameter.get("required") or data.draw(st.booleans()):
            value = drawn(data, parameter["schema"], known.get(name))
            each = value if isinstance(value, list) else [value]
            query += [(name, encoded(one)) for one in each]
    body = ""
    content = operation.get("requestBody", {}).get("content", {})
    if "application/json" in content:
        made = data.draw(values(content["application/json"]["schema"]))
        body = json.dumps(filled(made, known, data))
    caller = data.draw(st.sampled_from([workshop.admin, workshop.maker, workshop.other]))
    address = f"{path}?{urlencode(query)}" if query else path
    answer = caller.client.generic(method, address, body, content_type="application/json")
    event(f"answered {answer.status_code}")
    assert answer.status_code < 500, (method, address, body, answer.content)
    if answer.status_code >= 400 and "json" in answer["Content-Type"]:
        assert answer.json()["error"]
