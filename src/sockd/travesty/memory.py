"""Giving memory back."""

from __future__ import annotations

from typing import Any

from cffi import FFI

_ffi = FFI()
_ffi.cdef("int malloc_trim(size_t pad);")
try:
    _trim: Any = getattr(_ffi.dlopen(None), "malloc_trim")  # noqa: B009 - the stub knows no names
except (AttributeError, OSError):  # another C library
    _trim = None


def give_back() -> None:
    """Give the system what was freed. The C library of Linux keeps large blocks once it has seen
    some of them freed: here most of what a text took while it was sorted."""
    if _trim is not None:
        _trim(0)
