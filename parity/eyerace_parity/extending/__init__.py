"""What an extension imports: its declaration, and the mark of what it hands in.

Provisional: the names here may change until version 1.0; :data:`API_VERSION` says when they did.
"""

from __future__ import annotations

from eyerace_parity.extending.declaration import API_VERSION, Extension
from eyerace_parity.extending.hooks import hookimpl

__all__ = ["API_VERSION", "Extension", "hookimpl"]
