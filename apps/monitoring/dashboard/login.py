"""A link that signs in once: what `manage.py up` prints."""

from __future__ import annotations

from django.contrib.auth import get_user_model, login
from django.contrib.auth.models import User
from django.contrib.auth.tokens import default_token_generator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlsafe_base64_decode, urlsafe_base64_encode
from django.views.decorators.cache import never_cache


def one_time_login_path(user: User) -> str:
    """The path that signs the user in. It dies with its first use, because the token covers the time of the last login."""
    identity = urlsafe_base64_encode(str(user.pk).encode())
    return reverse("one-time-login", args=[identity, default_token_generator.make_token(user)])


@never_cache
def one_time_login(request: HttpRequest, identity: str, token: str) -> HttpResponse:
    """Sign in and go to the dashboard; 403 when the link was used or is too old."""
    try:
        key = urlsafe_base64_decode(identity).decode()
        user = get_user_model().objects.filter(pk=key, is_active=True).first()
    except ValueError:
        user = None
    if user is None or not default_token_generator.check_token(user, token):
        return render(request, "monitoring/link_used.html", status=403)
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    return redirect("dashboard")
