"""Who may sign in, what they may do, and what they did."""

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.postgres.fields import ArrayField
from django.db import models

from gridtalk.core import clock


class Permission(models.TextChoices):
    """What a group may do."""

    VIEW = "view", "see meters, circuits, messages, jobs and alerts"
    SEND = "send", "send messages, pings and on/off jobs"
    MONEY = "money", "add credit, make tokens, resend and reverse"
    GRID = "grid", "change meters, circuits, accounts and interfaces"
    DEVICES = "devices", "build devices in the workshop"
    WORKSHOP = "workshop", "keep languages, basic files and device models, and share devices"
    USERS = "users", "manage users, groups and API keys"


class Group(models.Model):
    """A group of users with its permissions; ``admin`` and ``view`` to begin with."""

    id = models.AutoField(primary_key=True)
    name = models.CharField(max_length=64, unique=True)
    permissions = ArrayField(models.CharField(max_length=16, choices=Permission), default=list)

    class Meta:
        db_table = "groups"

    def __str__(self) -> str:
        return self.name


class UserManager(BaseUserManager["User"]):
    """Makes users with a hashed password."""

    def create_user(self, name: str, password: str | None, **fields: Any) -> "User":
        """A new user; without a password they cannot sign in until one is set."""
        user = self.model(name=self.model.normalize_username(name), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user


class User(AbstractBaseUser):
    """Somebody of the operator's staff. ``notify`` asks for mail about alerts."""

    id = models.AutoField(primary_key=True)
    name = models.CharField(max_length=64, unique=True)
    email = models.EmailField(blank=True)
    notify = models.BooleanField(default=False, help_text="send mail about alerts")
    group = models.ForeignKey(Group, on_delete=models.PROTECT, related_name="users")
    is_active = models.BooleanField(default=True)
    added_at = models.DateTimeField(default=clock.now, editable=False)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "name"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        db_table = "users"

    def __str__(self) -> str:
        return self.name

    def may(self, permission: str) -> bool:
        """Whether the user's group has the permission, and the user is active."""
        return self.is_active and permission in self.group.permissions


class ApiKey(models.Model):
    """A program's way in: acts as its user; only the key's hash is kept."""

    id = models.AutoField(primary_key=True)
    name = models.CharField(max_length=64)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_keys")
    key_hash = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    last_used_at = models.DateTimeField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        db_table = "api_keys"

    def __str__(self) -> str:
        return f"{self.name} ({self.user})"


class AuditEntry(models.Model):
    """What a person did, and why. Rows are only ever added: the database refuses to change them."""

    id = models.BigAutoField(primary_key=True)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    user = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    action = models.CharField(max_length=64)
    target = models.CharField(max_length=128, help_text="what it was done to, for example job 17")
    reason = models.TextField(blank=True)
    data = models.JSONField(default=dict)

    class Meta:
        db_table = "audit_entries"
        indexes = [
            models.Index(fields=["-created_at"], name="audit_entries_created"),
            models.Index(fields=["target"], name="audit_entries_target"),
        ]

    def __str__(self) -> str:
        return f"{self.created_at:%Y-%m-%d %H:%M} {self.action} {self.target}"
