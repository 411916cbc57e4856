"""Sign-in, sign-out, and a user's own profile."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import check_for_language, gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST

from gridtalk.users.audit import audit
from gridtalk.users.permissions import signed_in
from gridtalk.web.forms import ProfileForm

_YEAR_S = 365 * 24 * 3600


class SignInForm(AuthenticationForm):
    """Name and password; which of them was wrong is not said."""

    error_messages = {
        "invalid_login": _("The name or the password is wrong. Both are told apart by capitals."),
        "inactive": _("This user is not active any more."),
    }


class OwnPasswordForm(PasswordChangeForm):
    """Django's form, without its grasp at the focus: it is not alone on the page."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["old_password"].widget.attrs.pop("autofocus", None)


class SignIn(LoginView):
    """The sign-in page; ``next`` is followed only to this server."""

    template_name = "web/sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """The form, with where to go afterwards."""
        return {**super().get_context_data(**kwargs), "next": self.get_redirect_url()}


@require_http_methods(["GET", "POST"])
def profile(request: HttpRequest) -> HttpResponse:
    """The signed-in user's own settings."""
    user = signed_in(request)
    form = ProfileForm(request.POST or None, instance=user)
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, gettext("Saved."))
        return redirect("web:profile")
    return _profile_page(request, form=form)


@require_POST
def password(request: HttpRequest) -> HttpResponse:
    """Set the own password; other sessions of the user end."""
    user = signed_in(request)
    form = OwnPasswordForm(user, request.POST)
    if not form.is_valid():
        return _profile_page(request, password_form=form)
    form.save()
    update_session_auth_hash(request, user)
    audit(user=user, action="password_change", target=f"user {user.name}")
    messages.success(request, gettext("Your password is changed. Other browsers are signed out."))
    return redirect("web:profile")


@require_POST
def language(request: HttpRequest) -> HttpResponse:
    """Set the language of the pages, in this browser; then back to the page it was set on."""
    back = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(back, allowed_hosts=None):
        back = "/profile"
    response = HttpResponseRedirect(request.build_absolute_uri(back))
    wanted = request.POST.get("language", "")
    if wanted in dict(settings.LANGUAGES) and check_for_language(wanted):
        response.set_cookie(
            settings.LANGUAGE_COOKIE_NAME,
            wanted,
            max_age=_YEAR_S,
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=True,
            samesite="Lax",
        )
    return response


def _profile_page(
    request: HttpRequest,
    *,
    form: ProfileForm | None = None,
    password_form: OwnPasswordForm | None = None,
) -> HttpResponse:
    user = signed_in(request)
    failed = any(shown is not None and shown.errors for shown in (form, password_form))
    return render(
        request,
        "web/profile.html",
        {
            "form": form or ProfileForm(instance=user),
            "password_form": password_form or OwnPasswordForm(user),
            "languages": settings.LANGUAGES,
        },
        status=400 if failed else 200,
    )
