"""``user add``, ``apikey add``, ``interface add``: what has to exist before anybody can sign in."""

import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from gridtalk.cli import environment
from gridtalk.cli.maintain import schema_check
from gridtalk.cli.options import data_dir, data_dir_option
from gridtalk.core.errors import UserError


@contextmanager
def with_django(role: str) -> Iterator[None]:
    """Django on a database that answers and is up to date, for the length of the block."""
    with environment.database(data_dir(), role=role):
        environment.django_start()
        schema_check()
        yield


@click.group()
def user() -> None:
    """People who may sign in."""


@user.command("add")
@click.argument("name")
@click.option("--group", default="view", show_default=True, help="admin or view.")
@click.option("--email", default="", help="For alerts and password resets.")
@click.option("--notify", is_flag=True, help="Send mail about alerts.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@data_dir_option
def user_add(*, name: str, group: str, email: str, notify: bool, password_stdin: bool) -> None:
    """Add a user; without --password-stdin a password is made and printed once."""
    password = sys.stdin.readline().rstrip("\r\n") if password_stdin else secrets.token_urlsafe(12)
    if not password:
        raise UserError("the password on standard input is empty")
    with with_django("user add"):
        from gridtalk.users.services import user_create

        made = user_create(name=name, group=group, password=password, email=email, notify=notify)
        click.echo(f"user {made.name} added to group {made.group}")
        if not password_stdin:
            click.echo(f"password (shown once): {password}")


@user.command("password")
@click.argument("name")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@data_dir_option
def user_password(*, name: str, password_stdin: bool) -> None:
    """Give a user a new password; without --password-stdin one is made and printed once."""
    password = sys.stdin.readline().rstrip("\r\n") if password_stdin else secrets.token_urlsafe(12)
    if not password:
        raise UserError("the password on standard input is empty")
    with with_django("user password"):
        from gridtalk.users.services import user_get, user_password_set

        user_password_set(user=user_get(name=name), password=password)
        click.echo(f"user {name} has a new password")
        if not password_stdin:
            click.echo(f"password (shown once): {password}")


@click.group()
def apikey() -> None:
    """Keys for programs that use the API."""


@apikey.command("add")
@click.argument("name")
@click.option("--user", "user_name", required=True, help="Whose permissions the key has.")
@data_dir_option
def apikey_add(*, name: str, user_name: str) -> None:
    """Make a key and print it once."""
    with with_django("apikey add"):
        from gridtalk.users.services import api_key_create, user_get

        _made, key = api_key_create(name=name, user=user_get(name=user_name))
        click.echo(f"key {name} of user {user_name} (shown once): {key}")


@click.group()
def interface() -> None:
    """Ways to reach meters and consumers."""


@interface.command("add")
@click.argument("kind")
@click.argument("name")
@click.argument("fields", nargs=-1, metavar="[FIELD=VALUE]…")
@click.option("--password-stdin", is_flag=True, help="Read its password from standard input.")
@data_dir_option
def interface_add(*, kind: str, name: str, fields: tuple[str, ...], password_stdin: bool) -> None:
    """Add an interface and print, once, what to enter at the provider.

    For example: gridtalk interface add kannel Bamako host=127.0.0.1 port=13013 username=gw
    --password-stdin
    """
    given: dict[str, Any] = {}
    for field in fields:
        label, equals, value = field.partition("=")
        if not equals or not label.isidentifier() or label in given:
            raise UserError(f"“{field[:80]}” is not FIELD=VALUE, or twice there")
        given[label] = value
    if password_stdin:
        given["password"] = sys.stdin.readline().rstrip("\r\n")
    with with_django("interface add"):
        from gridtalk.messaging.services import interface_create, interface_set_up

        made, key = interface_create(kind=kind, name=name, **given)
        click.echo(f"interface {made.pk} “{made.name}” added; enter at the provider (shown once):")
        for line in interface_set_up(interface=made, key=key):
            click.echo(f"{line.label}:\n{line.text}")
