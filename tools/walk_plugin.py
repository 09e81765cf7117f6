"""pytest plugin of ``walk_photograph.py``: records which functions of a folder are called after the first item starts.

Load it with ``-p walk_plugin``. ``WALK_FOLDER`` is the folder, ``WALK_REPORT`` the JSON file that is written at the end
of the run. It uses ``sys.setprofile`` instead of ``sys.monitoring``, because the package runs on Python 3.11.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from types import CodeType, FrameType

FOLDER: Final = str(Path(os.environ["WALK_FOLDER"]).resolve()) + os.sep
_called: Final[set[CodeType]] = set()


def _note(frame: FrameType, event: str, _argument: Any) -> None:
    if event == "call":
        _called.add(frame.f_code)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logstart() -> None:
    """Watch this thread, and all that it starts, from the first item on."""
    threading.setprofile(_note)
    sys.setprofile(_note)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """Write the called functions and the loaded modules."""
    sys.setprofile(None)
    threading.setprofile(None)
    files = {name: getattr(module, "__file__", None) or "" for name, module in sys.modules.items()}
    report = {
        "functions": sorted({_named(code) for code in _called if _is_function(code)}),
        "files": sorted({_file(code.co_filename) for code in _called if _is_function(code)}),
        "modules": sorted(name for name, file in files.items() if file.startswith(FOLDER)),
    }
    Path(os.environ["WALK_REPORT"]).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def _is_function(code: CodeType) -> bool:
    """Whether it is a named function of the folder: not a module, class body, lambda or comprehension."""
    optimised = bool(code.co_flags & inspect.CO_OPTIMIZED)
    return code.co_filename.startswith(FOLDER) and optimised and not code.co_name.startswith("<")


def _file(name: str) -> str:
    return Path(name.removeprefix(FOLDER)).as_posix()


def _named(code: CodeType) -> str:
    return f"{_file(code.co_filename)}: {code.co_qualname}"
