"""Fixtures: the village, and people at their browsers."""

import copy
from collections.abc import Iterator

import pytest
from django.db import transaction
from django.test import Client
from django.utils import translation
from pytest_django import DjangoDbBlocker

from gridtalk.testing_village import Village, village_make


@pytest.fixture(scope="module")
def village_rows(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Village]:
    """The village's rows, made once for a file of tests; each test rolls back to them."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield village_make()
        transaction.set_rollback(True)


@pytest.fixture(autouse=True)
def _own_language() -> Iterator[None]:
    """The language of a test's last request is not that of the next test."""
    yield
    translation.deactivate()


@pytest.fixture
def village(village_rows: Village, db: None) -> Village:
    """The village, in objects of the test's own."""
    return copy.deepcopy(village_rows)


@pytest.fixture
def admin(village: Village) -> Client:
    client = Client()
    client.force_login(village.admin, backend="gridtalk.users.backends.NameBackend")
    return client


@pytest.fixture
def viewer(village: Village) -> Client:
    client = Client()
    client.force_login(village.viewer, backend="gridtalk.users.backends.NameBackend")
    return client
