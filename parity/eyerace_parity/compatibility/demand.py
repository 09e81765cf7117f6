"""The oldest runtime that an app has on board, as a contract states it: by version, by Flutter package, or by both."""

from __future__ import annotations

from eyerace_parity.compatibility.flutter import resolve
from eyerace_parity.compatibility.versions import Version


def minimum_runtime(min_onnxruntime: str | None, flutter: str | None) -> Version | None:
    """The oldest runtime that a file must load on, ``None`` where nothing is demanded.

    Args:
        min_onnxruntime: A version, as ``1.21``.
        flutter: A package with its release, as ``flutter_onnxruntime 1.5.1``.

    Raises:
        ValueError: One of them is not known.
    """
    demanded = []
    if min_onnxruntime is not None:
        demanded.append(Version.parse(min_onnxruntime))
    if flutter is not None:
        demanded.append(resolve(flutter).oldest)
    return min(demanded, default=None)
