"""Shared with whatever else is called `apps` on the path, such as the folder of a project that uses the product."""

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)
