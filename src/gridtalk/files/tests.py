"""Files: paths refused by name, uploads, limits, bytes that go after the commit."""

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from django.apps import apps
from django.db import IntegrityError, transaction

from gridtalk.core import clock
from gridtalk.core.errors import NotFound, TooLarge, UserError
from gridtalk.files import services
from gridtalk.files.models import File, UploadBatch
from gridtalk.files.paths import path_problem, paths_problems
from gridtalk.files.storage import uploads
from gridtalk.testing_together import at_once, failures
from gridtalk.users.models import Group, User

# Owners stand above this app: by name, as the models do.
BasicFile: Any = apps.get_model("devicetalk.BasicFile")
Language: Any = apps.get_model("devicetalk.Language")
Library: Any = apps.get_model("devicetalk.Library")

HOSTILE = {
    "parent": ("../sa.py", "leads out"),
    "parent inside": ("a/../../sa.py", "leads out"),
    "absolute": ("/etc/passwd", "absolute"),
    "drive": ("C:/x.py", "absolute"),
    "drive without slash": ("c:x.py", "absolute"),
    "backslash": ("a\\b.py", "backslash"),
    "UNC": ("\\\\host\\share", "backslash"),
    "empty": ("", "no name"),
    "empty part": ("a//b", "empty folder"),
    "folder": ("a/", "empty folder"),
    "dot": ("./a", "empty folder"),
    "NUL": ("a\x00.py", "cannot be printed"),
    "newline": ("a\nb", "cannot be printed"),
    "lone surrogate": ("a\ud800", "cannot be printed"),
    "device": ("lib/NUL.txt", "Windows keeps"),
    "trailing dot": ("a./b", "ends with a dot"),
    "trailing space": ("a /b", "space"),
    "wildcard": ("a*.py", "not every system"),
    "pipe": ("a|rm.py", "not every system"),
    "too long": ("a" * 101, "longer than 100"),
}


@pytest.mark.parametrize(("path", "words"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_paths_are_refused_by_name(path: str, words: str) -> None:
    assert words in path_problem(path, longest=100)


@pytest.mark.parametrize(
    "path",
    ["config.ini", "library/{device_name}_library/functions.py", "…/..a", "程式/a b.c", "$(rm).py",
     "a;b", "'q'", ".hidden", "a" * 100],
)  # fmt: skip
def test_other_paths_are_taken(path: str) -> None:
    assert path_problem(path, longest=100) == ""


def test_paths_which_cannot_live_together() -> None:
    found = paths_problems(["A.py", "a.py", "x", "x/y"], longest=100)
    assert len(found) == 2
    assert "same file" in found[0]
    assert "itself a file" in found[1]


def user_make(name: str = "amina") -> User:
    group, _ = Group.objects.get_or_create(name="view", defaults={"permissions": ["view"]})
    return User.objects.create_user(name, "x", group=group)


@pytest.fixture
def user(db: None) -> User:
    return user_make()


@pytest.fixture
def basic_file(db: None) -> Any:
    language, _ = Language.objects.get_or_create(name="Python")
    return BasicFile.objects.create(name="one", language=language)


def put(owner: Any, tree: dict[str, bytes], user: User | None = None) -> None:
    batch = services.files_stage(user=user, tree=tree)
    files = services.upload_batch_take(user=user, batch_id=batch.pk)
    services.files_attach(files=files.values(), owner=owner)


def test_the_seeds_two_config_ini(basic_file: Any) -> None:
    """Files 100 and 104 of the seed's table: one path, two basic files, two contents."""
    cpp = BasicFile.objects.create(name="two", language=Language.objects.create(name="C++"))
    put(basic_file, {"config.ini": b"py", "sa.py": b"s", "Makefile": b"m", "library/lib.py": b"l"})
    put(cpp, {"config.ini": b"cpp", "sa.cpp": b"s", "Makefile": b"m"})
    assert basic_file.file_set.get(file_path="config.ini").open("r").read() == "py"
    assert cpp.file_set.get(file_path="config.ini").open().read() == "cpp"
    assert basic_file.open("config.ini", "rb").read() == b"py"
    rows = File.objects.filter(file_path="config.ini")
    assert len({row.real_path for row in rows}) == 2
    assert all(row.real_path == row.uuid.hex and row.is_upload for row in rows)
    assert not UploadBatch.objects.exists()
    with pytest.raises(NotFound, match=r"one has no file nothing\.py"):
        basic_file.open("nothing.py")


def test_real_files_on_disk(basic_file: Any, tmp_path: Path, settings: Any) -> None:
    settings.STORAGES = {
        **settings.STORAGES,
        "uploads": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": tmp_path, "file_permissions_mode": 0o600},
        },
    }
    put(basic_file, {"a/b.txt": "行\r\n".encode()})
    (stored,) = tmp_path.iterdir()
    assert stored.name == basic_file.file_set.get().uuid.hex
    assert stored.stat().st_mode & 0o777 == 0o600
    assert basic_file.open("a/b.txt").read() == "行\n"  # text, as Python's open reads it
    assert services.files_read(basic_file.file_set.all()) == {"a/b.txt": "行\r\n".encode()}
    stored.unlink()
    with pytest.raises(NotFound, match=r"bytes of a/b\.txt are gone"):
        basic_file.open("a/b.txt")


def test_writing(basic_file: Any, django_capture_on_commit_callbacks: Any) -> None:
    put(basic_file, {"a.txt": b"old"})
    file = basic_file.file_set.get()
    old = file.real_path
    with django_capture_on_commit_callbacks(execute=True):
        with file.open("w") as stream:
            stream.write("neu ü")
        assert uploads().exists(old)
    assert not uploads().exists(old)
    file.refresh_from_db()
    assert (file.open().read(), file.size) == ("neu ü", 6)
    with pytest.raises(ValueError, match="r, rb, w, wb"):
        file.open("a")


def test_replacing_drops_the_old_bytes_after_the_commit(
    basic_file: Any, django_capture_on_commit_callbacks: Any
) -> None:
    put(basic_file, {"config.ini": b"1", "gone.py": b"1"})
    old = list(basic_file.file_set.values_list("real_path", flat=True))
    with django_capture_on_commit_callbacks(execute=True):
        put(basic_file, {"config.ini": b"2"})
        assert all(uploads().exists(path) for path in old)
    assert not any(uploads().exists(path) for path in old)
    assert services.files_read(basic_file.file_set.all()) == {"config.ini": b"2"}
    assert File.objects.count() == 1
    assert not UploadBatch.objects.exists()


def test_a_rollback_keeps_the_old_bytes(basic_file: Any) -> None:
    put(basic_file, {"config.ini": b"1"})
    batch = services.files_stage(user=None, tree={"config.ini": b"2"})
    with transaction.atomic():
        files = services.upload_batch_take(user=None, batch_id=batch.pk)
        services.files_attach(files=files.values(), owner=basic_file)
        assert basic_file.open("config.ini").read() == "2"
        transaction.set_rollback(True)
    assert basic_file.open("config.ini").read() == "1"


def test_nobody_reaches_anothers_upload(user: User) -> None:
    other = user_make("salif")
    batch, (file,) = services.upload_batch_create(user=user, paths=["a.py"])
    for stranger in (other, None):
        with pytest.raises(NotFound):
            services.file_upload(user=stranger, uuid=file.uuid, data=b"x")
        with pytest.raises(NotFound):
            services.upload_batch_take(user=stranger, batch_id=batch.pk)
        with pytest.raises(NotFound):
            services.upload_batch_discard(user=stranger, batch_id=batch.pk)
    services.file_upload(user=user, uuid=file.uuid, data=b"x")
    services.file_upload(user=user, uuid=file.uuid, data=b"again")  # a repeat
    files = services.upload_batch_take(user=user, batch_id=batch.pk)
    assert files["a.py"].open().read() == "again"


def test_an_owned_file_takes_no_upload(user: User, basic_file: Any) -> None:
    put(basic_file, {"a.py": b"1"}, user)
    with pytest.raises(NotFound, match="start the upload again"):
        services.file_upload(user=user, uuid=basic_file.file_set.get().uuid, data=b"2")
    with pytest.raises(NotFound):
        services.file_upload(user=user, uuid=uuid4(), data=b"2")


def test_a_batch_with_a_gap_is_not_taken(user: User) -> None:
    batch, files = services.upload_batch_create(user=user, paths=["a.py", "b.py"])
    services.file_upload(user=user, uuid=files[0].uuid, data=b"1")
    with pytest.raises(UserError, match=r"not uploaded: b\.py"):
        services.upload_batch_take(user=user, batch_id=batch.pk)


def test_all_that_is_wrong_is_named_at_once(user: User, settings: Any) -> None:
    settings.FILES_MOST = 2
    with pytest.raises(UserError) as caught:
        services.upload_batch_create(user=user, paths=["../a", "/b", "c"])
    for words in ("3 files are more than 2", "leads out", "absolute"):
        assert words in str(caught.value)
    with pytest.raises(UserError, match="no file"):
        services.upload_batch_create(user=user, paths=[])
    assert not UploadBatch.objects.exists()


def test_sizes_have_limits(user: User, settings: Any) -> None:
    settings.FILES_LARGEST_BYTES, settings.FILES_TOTAL_BYTES = 4, 6
    _batch, (one, two) = services.upload_batch_create(user=user, paths=["one", "two"])
    with pytest.raises(TooLarge, match="one has 5 bytes"):
        services.file_upload(user=user, uuid=one.uuid, data=b"12345")
    services.file_upload(user=user, uuid=one.uuid, data=b"1234")
    with pytest.raises(TooLarge, match="upload has 7 bytes"):
        services.file_upload(user=user, uuid=two.uuid, data=b"123")
    services.file_upload(user=user, uuid=one.uuid, data=b"123")
    services.file_upload(user=user, uuid=two.uuid, data=b"123")


def test_a_failed_upload_leaves_nothing(
    user: User, django_capture_on_commit_callbacks: Any
) -> None:
    batch, (file, _) = services.upload_batch_create(user=user, paths=["a.py", "b.py"])
    services.file_upload(user=user, uuid=file.uuid, data=b"1")
    with django_capture_on_commit_callbacks(execute=True):
        services.upload_batch_discard(user=user, batch_id=batch.pk)
    assert not File.objects.exists()
    assert not UploadBatch.objects.exists()
    assert not uploads().exists(file.real_path)


@pytest.mark.parametrize(
    "columns",
    [
        {},
        {"library": True, "basic_file": True},
        {"library": True, "basic_file": True, "upload_batch": True},
    ],
    ids=["nobody's", "two owners", "two owners in a batch"],
)
def test_the_database_holds_one_owner(basic_file: Any, columns: dict[str, bool]) -> None:
    owners = {
        "basic_file": basic_file,
        "library": Library.objects.create(name="l", basic_file=basic_file),
        "upload_batch": UploadBatch.objects.create(),
    }
    with pytest.raises(IntegrityError, match="files_one_owner"), transaction.atomic():
        File.objects.create(
            file_path="a", real_path="r", **{name: owners[name] for name in columns}
        )


def test_cleanup(user: User, basic_file: Any) -> None:
    with time_machine.travel(clock.now() - timedelta(days=2)):
        put(basic_file, {"kept.py": b"1"})
        _, (never, taken) = services.upload_batch_create(user=user, paths=["never", "here"])
        services.file_upload(user=user, uuid=taken.uuid, data=b"1")
        UploadBatch.objects.create(user=user)
    fresh, _ = services.upload_batch_create(user=user, paths=["young"])
    uploads().delete(taken.real_path)  # gone already: no error
    assert services.files_cleanup() == 2
    assert set(File.objects.values_list("file_path", flat=True)) == {"kept.py", "young"}
    assert list(UploadBatch.objects.all()) == [fresh]
    assert basic_file.open("kept.py").read() == "1"
    assert services.files_cleanup() == 0
    assert never.uuid != taken.uuid


def test_bytes_that_cannot_be_deleted_are_tried_again(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    with time_machine.travel(clock.now() - timedelta(days=2)):
        services.files_stage(user=user, tree={"a": b"1"})

    def fail(_self: object, _name: str) -> None:
        raise PermissionError("read-only")

    with monkeypatch.context() as patch:
        patch.setattr(type(uploads()), "delete", fail)
        assert services.files_cleanup() == 0
    assert File.objects.count() == 1
    assert services.files_cleanup() == 1


@pytest.mark.django_db(transaction=True)
def test_two_files_at_once_count_each_other(settings: Any) -> None:
    settings.FILES_TOTAL_BYTES = 5
    user = user_make()
    _batch, files = services.upload_batch_create(user=user, paths=["one", "two"])
    upload = partial(services.file_upload, user=user, data=b"123")
    results = at_once(*[partial(upload, uuid=file.uuid) for file in files])
    assert [type(failure) for failure in failures(results)] == [TooLarge]
