"""Views of rows: whose they are, page by page, one edit of a row after the other."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Generic, TypeVar

from django.db import models, transaction
from rest_framework import mixins, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from apps.monitoring.api import parameters, tenancy
from apps.monitoring.api.pages import PAGING, Pages

Row = TypeVar("Row", bound=models.Model)


class Rows(viewsets.GenericViewSet[Row], Generic[Row]):
    """What every list has in common. A row that is somebody else's is one that does not exist."""

    permission_classes = [tenancy.MayUse]
    pagination_class = Pages
    lookup_value_regex = "[0-9]+"
    ordering = "-id"
    needed: Mapping[str, str] = {}
    """What an action that the framework does not know needs: view, add, change or delete."""

    asked: Collection[str] = ()
    """What a list can be asked for, beside its pages."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse what cannot be asked for, once it is known that the request may ask."""
        super().initial(request, *args, **kwargs)
        parameters.check(request, (*self.asked, *PAGING) if self.action == "list" else ())

    def get_queryset(self) -> models.QuerySet[Row]:
        """The rows that there are for the request."""
        rows = super().get_queryset()
        return rows if getattr(self, "swagger_fake_view", False) else tenancy.own(self.request, rows)


class EditedRows(
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.CreateModelMixin,
    mixins.UpdateModelMixin,
    mixins.DestroyModelMixin,
    Rows[Row],
):
    """Rows that are made, changed and deleted. Two edits of one row wait for each other, and the second sees the first."""

    def get_queryset(self) -> models.QuerySet[Row]:
        """Locked while it is edited, weakly enough that the machinery can refer to it."""
        rows = super().get_queryset()
        editing = self.action in {"update", "partial_update"}
        return rows.select_for_update(no_key=True, of=("self",)) if editing else rows

    @transaction.atomic
    def update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """In one transaction with the look at what is stored."""
        return super().update(request, *args, **kwargs)

    @transaction.atomic
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """In one transaction with what follows from it."""
        return super().create(request, *args, **kwargs)
