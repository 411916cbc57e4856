"""Settings of the tests: fixed secrets, no bells, a fast hasher."""

import os

os.environ.setdefault("GRIDTALK_SECRET_KEY", "only-for-tests")
os.environ.setdefault("GRIDTALK_ENCRYPTION_KEY", "only-for-tests-too")
os.environ.setdefault("GRIDTALK_BELLS", "0")

from gridtalk.settings import *  # noqa: F403

ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
AXES_ENABLED = False
# As in the demo, so that the sweeps over all pages see its phone.
GRIDTALK_DEMO_PHONES = "http://127.0.0.1:1/phones/key"
# Every test process has uploads of its own, gone with it.
STORAGES = {**STORAGES, "uploads": {"BACKEND": "django.core.files.storage.InMemoryStorage"}}  # noqa: F405
