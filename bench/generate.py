"""How long does a device's zip take, and what would Jinja2 and zipfile alone need?

A device of 20 DFs with 5 libraries, 200 files in all. Measured: the engine, from trees to the zip's
bytes, with its checks, token replacement, sandbox, version and map of lines. Beside it, in turns in
the same run: plain Jinja2 on the same templates with a finished context, and zipfile on the same
tree. Then the whole call of the API, ``GET device/<id>/zip`` with a key: the same device in the
database (embedded PostgreSQL, files on the disk), through all of Django.

    python bench/generate.py [--rounds 30] [--calls 100]
"""

import argparse
import io
import secrets
import statistics
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2

from gridtalk.devicetalk import render
from gridtalk.devicetalk.config import BasicFile
from gridtalk.devicetalk.device_file import basic_file_load, catalogue_folder
from gridtalk.devicetalk.render_env import cstr, pystr, template_compile
from gridtalk.devicetalk.tree import Device, DfType, Feature, Library, SaFunction
from pages import prepare

RATIO = 0.7
FEATURES = 20
LIBRARIES = 5
FILES = 200
FILE_BYTES = 4000
Inputs = tuple[BasicFile, Device, list[Library]]


def inputs() -> Inputs:
    """The shipped Python basic file, libraries that fill up to 200 files, a device of 20 DFs."""
    folder = catalogue_folder() / "basic-files/Python/iottalk-py"
    basic_file = basic_file_load(folder, "Python")
    made = len(basic_file.tree) - len(basic_file.config.hidden) + 1
    count = FILES - made
    libraries = []
    for number in range(LIBRARIES):
        files = {
            f"lib{number}/m{i}.py": (f"# {number} {i}\n" + "x = 1\n" * (FILE_BYTES // 6)).encode()
            for i in range(number, count, LIBRARIES)
        }
        libraries.append(Library(name=f"lib{number}", files=files))
    features, functions = [], []
    for number in range(FEATURES):
        df_type = DfType("idf" if number % 2 else "odf", ("float",) * (number % 3 + 1))
        body = [f"    value = value * {n}" for n in range(30)]
        code = ("def {*df_name*}(value=1):", "    {*variable_setup*}", *body, "    return value")
        functions.append(SaFunction(f"f{number}", df_type, code, tuple(range(5))))
        features.append(Feature(f"Df-{number}-X", df_type, f"f{number}", "a = 1\nb = 2\nc = 3"))
    device = Device("Bench 1", "Model", tuple(features), tuple(functions))
    return basic_file, device, libraries


def ours(basic_file: BasicFile, device: Device, libraries: list[Library]) -> bytes:
    """From trees to bytes."""
    rendered = render.device_render(basic_file=basic_file, device=device, libraries=libraries)
    return render.device_zip(device_name=device.name, rendered=rendered)


def environment(texts: dict[str, str]) -> jinja2.Environment:
    """Plain Jinja2 on those templates."""
    made = jinja2.Environment(
        loader=jinja2.DictLoader(texts), keep_trailing_newline=True, autoescape=False
    )
    made.filters.update(pystr=pystr, cstr=cstr)
    return made


def raw(
    jinja: jinja2.Environment, names: dict[str, str], context: Any, others: dict[str, bytes]
) -> bytes:
    """Jinja2 and zipfile, and nothing else."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path, name in names.items():
            archive.writestr(name, jinja.get_template(path).render(context))
        for name, content in others.items():
            archive.writestr(name, content)
    return out.getvalue()


def contents(packed: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def timed(function: Callable[..., bytes], *arguments: Any) -> float:
    began = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - began


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--calls", type=int, default=100)
    arguments = parser.parse_args()
    rounds = arguments.rounds
    given = inputs()
    basic_file, device, libraries = given
    packed = ours(*given)
    config = basic_file.config
    texts = {p: basic_file.tree[p].decode() for p in (*config.sa, config.safuncs)}
    names = {p: "Bench_1/" + config.out_path(p, device.name) for p in texts}
    others = {n: c for n, c in contents(packed).items() if n not in names.values()}
    # The context that the engine makes is given to Jinja2 for nothing.
    version = render.device_version(basic_file, device, libraries)
    context = render.device_context(device, version)
    warm = environment(texts)
    assert contents(packed) == contents(raw(warm, names, context, others)), "the zips differ"

    def first() -> tuple[float, float]:
        template_compile.cache_clear()
        return timed(ours, *given), timed(lambda: raw(environment(texts), names, context, others))

    def again() -> tuple[float, float]:
        return timed(ours, *given), timed(raw, warm, names, context, others)

    print(f"{len(others) + len(names)} files, {len(packed)} bytes, {FEATURES} DFs")
    ratio = report("from trees alone", [first() for _ in range(rounds)])
    # For information: with few files to render and nothing to compile, zipfile is nearly all of it.
    report("templates compiled before", [again() for _ in range(rounds)])
    whole_call(given, arguments.calls)
    if ratio < RATIO:
        print(f"too slow: from trees alone, the ratio must reach {RATIO}")
        return 1
    return 0


def whole_call(given: Inputs, calls: int) -> None:
    """Print how long the API takes for the same device, from the request to the last byte."""
    with tempfile.TemporaryDirectory(prefix="gridtalk-generate-") as place:
        prepare(Path(place))
        from django.db import connection
        from django.test import Client

        address, key, files = store(given)
        client = Client(headers={"authorization": f"Bearer {key}"})
        took, worked = [], []
        for turn in range(calls + 3):
            began, cpu = time.perf_counter(), time.process_time()
            answer = client.get(address)
            if turn >= 3:  # the first ones import modules and compile templates
                took.append((time.perf_counter() - began) * 1000)
                worked.append((time.process_time() - cpu) * 1000)
            assert answer.status_code == 200, answer.content
        assert len(contents(answer.content)) == files, "another device than above"
        cuts = statistics.quantiles(took, n=20)
        print(
            f"GET device/<id>/zip, {calls} calls: p50 {cuts[9]:.1f} ms, p95 {cuts[18]:.1f} ms, "
            f"of it our CPU time {statistics.median(worked):.1f} ms; {len(answer.content)} bytes"
        )
        connection.close()


def store(given: Inputs) -> tuple[str, str, int]:
    """Save the device through the services: the address of its zip, a key, its number of files."""
    from gridtalk.devicetalk.device_file_schema import DaPart, DeviceDocument, FeaturePart
    from gridtalk.devicetalk.device_file_schema import FunctionPart as Part
    from gridtalk.devicetalk.services import catalogue, functions
    from gridtalk.devicetalk.services.documents import device_document_save
    from gridtalk.devicetalk.services.libraries import library_put
    from gridtalk.files.services import files_stage
    from gridtalk.users.services import api_key_create, user_create

    basic_file, device, libraries = given
    user = user_create(name="bench", group="admin", password=secrets.token_urlsafe(12))
    language = catalogue.language_create(user=user, name=basic_file.language)
    batch = files_stage(user=user, tree=basic_file.tree)
    stored = catalogue.basic_file_put(
        user=user, language=language, name=basic_file.name, batch_id=batch.pk
    )
    for library in libraries:
        tree = {f"{library.name}/{path}": data for path, data in library.files.items()}
        batch = files_stage(user=user, tree=tree)
        library_put(user=user, basic_file=stored, batch_id=batch.pk)
    parts = []
    for function in device.functions:
        df_type = catalogue.df_type_get(
            direction=function.df_type.direction, params=function.df_type.params
        )
        begun = functions.function_new(basic_file=stored, df_type=df_type, name=function.name)
        free = next(n for n in range(len(begun.code)) if n not in begun.readonly_lines)
        code = [*begun.code[:free], *function.code[2:-1], *begun.code[free + 1 :]]
        parts.append(
            Part(name=function.name, type=function.df_type.direction,
                 params=list(function.df_type.params), code=code)
        )  # fmt: skip
    document = DeviceDocument(
        name=device.name,
        device_model=device.device_model,
        language=basic_file.language,
        basic_file=basic_file.name,
        libraries=[library.name for library in libraries],
        functions=parts,
        features=[
            FeaturePart(name=df.name, type=df.df_type.direction, params=list(df.df_type.params),
                        function=df.function, var_setup=df.var_setup)
            for df in device.features
        ],
        da=DaPart(server_url="http://127.0.0.1:9992"),
    )  # fmt: skip
    saved = device_document_save(user=user, document=document).device
    key = api_key_create(name="bench", user=user)[1]
    made = len(basic_file.tree) - len(basic_file.config.hidden) + 1
    return f"/api/device/{saved.pk}/zip", key, made + sum(len(x.files) for x in libraries)


def report(what: str, pairs: list[tuple[float, float]]) -> float:
    """Print one comparison; the ratio of times, the median of all rounds."""
    mine, base = (statistics.median(times) * 1000 for times in zip(*pairs, strict=True))
    ratio = statistics.median(b / m for m, b in pairs)
    print(f"{what}: engine {mine:.1f} ms, Jinja2 and zipfile {base:.1f} ms, ratio {ratio:.2f}")
    return ratio


if __name__ == "__main__":
    sys.exit(main())
