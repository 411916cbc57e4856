"""Users, groups and API keys, for who may manage them."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from gridtalk.core.errors import UserError
from gridtalk.users import administration
from gridtalk.users.models import ApiKey, Group, Permission, User
from gridtalk.users.permissions import DEEDS, requires, signed_in
from gridtalk.web.forms import ApiKeyForm, GroupForm, NewGroupForm, UserForm, UserGroupForm
from gridtalk.web.words import error_text


@require_safe
@requires(Permission.USERS)
def users(request: HttpRequest) -> HttpResponse:
    """All users and groups."""
    groups = [
        (group, [DEEDS[Permission(permission)] for permission in group.permissions])
        for group in Group.objects.order_by("name")
    ]
    context = {
        "section": "users",
        "users": User.objects.select_related("group").order_by("name"),
        "groups": groups,
    }
    return render(request, "web/users.html", context)


@require_http_methods(["GET", "POST"])
@requires(Permission.USERS)
def user_add(request: HttpRequest) -> HttpResponse:
    """A new user; the password is shown once, in this answer alone."""
    form = UserForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            user, password = administration.user_add(**form.cleaned_data, by=signed_in(request))
        except UserError as error:
            form.add_error(None, error_text(error))
        else:
            return _secret_page(request, user=user, password=password)
    context = {"section": "users", "form": form, "title": _("Add a user")}
    return render(request, "web/users_form.html", context, status=400 if form.errors else 200)


def _secret_page(
    request: HttpRequest, *, user: User, password: str = "", key: str = ""
) -> HttpResponse:
    context = {"section": "users", "user_shown": user, "password": password, "key": key}
    return render(request, "web/user_secret.html", context)


@require_safe
@requires(Permission.USERS)
def user(request: HttpRequest, user_id: int) -> HttpResponse:
    """One user: group, activity, keys."""
    return _user_page(request, _user(user_id), ApiKeyForm())


def _user(user_id: int) -> User:
    return get_object_or_404(User.objects.select_related("group"), pk=user_id)


def _user_page(request: HttpRequest, found: User, key_form: ApiKeyForm) -> HttpResponse:
    context = {
        "section": "users",
        "user_shown": found,
        "group_form": UserGroupForm(initial={"group": found.group}),
        "key_form": key_form,
        "keys": found.api_keys.order_by("-pk"),
    }
    return render(request, "web/user.html", context, status=400 if key_form.errors else 200)


@require_POST
@requires(Permission.USERS)
def user_group(request: HttpRequest, user_id: int) -> HttpResponse:
    """Put the user into another group."""
    form = UserGroupForm(request.POST)
    if not form.is_valid():
        raise UserError(_("Choose a group."))
    administration.user_group_change(
        user=_user(user_id), group=form.cleaned_data["group"], by=signed_in(request)
    )
    messages.success(request, _("Saved."))
    return redirect("web:user", user_id)


@require_POST
@requires(Permission.USERS)
def user_activity(request: HttpRequest, user_id: int) -> HttpResponse:
    """Let the user sign in no more, or again."""
    found, by = _user(user_id), signed_in(request)
    if request.POST.get("active") == "yes":
        administration.user_activate(user=found, by=by)
        messages.success(request, _("%(name)s can sign in again.") % {"name": found.name})
    else:
        administration.user_deactivate(user=found, by=by)
        messages.success(request, _("%(name)s can no longer sign in.") % {"name": found.name})
    return redirect("web:user", user_id)


@require_POST
@requires(Permission.USERS)
def user_password(request: HttpRequest, user_id: int) -> HttpResponse:
    """Give the user a new password, shown once."""
    found = _user(user_id)
    password = administration.user_password_renew(user=found, by=signed_in(request))
    return _secret_page(request, user=found, password=password)


@require_POST
@requires(Permission.USERS)
def user_key_add(request: HttpRequest, user_id: int) -> HttpResponse:
    """A new API key for the user, shown once."""
    found = _user(user_id)
    form = ApiKeyForm(request.POST)
    if not form.is_valid():
        return _user_page(request, found, form)
    _row, key = administration.api_key_add(
        name=form.cleaned_data["name"], user=found, by=signed_in(request)
    )
    return _secret_page(request, user=found, key=key)


@require_POST
@requires(Permission.USERS)
def api_key_end(request: HttpRequest, key_id: int) -> HttpResponse:
    """The key opens nothing any more."""
    found = get_object_or_404(ApiKey, pk=key_id)
    administration.api_key_end(api_key=found, by=signed_in(request))
    messages.success(request, _("The key opens nothing any more."))
    return redirect("web:user", found.user_id)


@require_http_methods(["GET", "POST"])
@requires(Permission.USERS)
def group_add(request: HttpRequest) -> HttpResponse:
    """A new group."""
    form = NewGroupForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            administration.group_create(**form.cleaned_data, by=signed_in(request))
        except UserError as error:
            form.add_error("name", error_text(error))
        else:
            messages.success(request, _("Saved."))
            return redirect("web:users")
    context = {"section": "users", "form": form, "title": _("Add a group")}
    return render(request, "web/users_form.html", context, status=400 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@requires(Permission.USERS)
def group(request: HttpRequest, group_id: int) -> HttpResponse:
    """What a group may do."""
    found = get_object_or_404(Group, pk=group_id)
    form = GroupForm(request.POST or None, initial={"permissions": found.permissions})
    if request.method == "POST" and form.is_valid():
        administration.group_permissions_set(
            group=found, permissions=form.cleaned_data["permissions"], by=signed_in(request)
        )
        messages.success(request, _("Saved."))
        return redirect("web:users")
    title = _("Group %(name)s") % {"name": found.name}
    context = {"section": "users", "form": form, "title": title}
    return render(request, "web/users_form.html", context, status=400 if form.errors else 200)
