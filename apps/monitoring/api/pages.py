"""Lists in pages, each with a link to the next: a page is not shifted by what is added meanwhile."""

from __future__ import annotations

from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from rest_framework.exceptions import NotFound
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request

_NUL: Final = "\x00"
PAGING: Final = ("cursor", "page_size")


class Pages(CursorPagination):
    """In the order of a field in which no two rows are the same; the view names it in ``ordering``."""

    page_size = 50
    cursor_query_param, page_size_query_param = PAGING
    max_page_size = 500

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any] | None:
        """One page. Raises NotFound for a cursor that came from nowhere."""
        self._field = queryset.model._meta.get_field(view.ordering.lstrip("-"))  # noqa: SLF001 - Django's public name
        return super().paginate_queryset(queryset, request, view)

    def get_ordering(self, request: Request, queryset: QuerySet[Any], view: Any) -> tuple[str, ...]:  # noqa: ARG002
        """That of the view."""
        return (view.ordering,)

    def decode_cursor(self, request: Request) -> Cursor | None:
        """The framework's, whose position the database can compare with."""
        cursor = super().decode_cursor(request)
        if cursor is not None and cursor.position is not None:
            try:
                self._field.to_python(cursor.position)
            except ValidationError:
                raise NotFound(self.invalid_cursor_message) from None
            if _NUL in str(cursor.position):
                raise NotFound(self.invalid_cursor_message)
        return cursor
