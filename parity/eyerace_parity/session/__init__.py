"""One run of the gate inside pytest: what it is about, the tree of items, what the user sees. Entered by the plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from eyerace_parity.session.session import GateSession

SWITCH: Final = "--eyerace-parity"
"""The option without which nothing happens."""

session_key: Final[pytest.StashKey[GateSession]] = pytest.StashKey()
"""Where the session of the run lies in ``config.stash``; absent while the switch is not given."""
