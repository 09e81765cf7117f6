"""``python -m eyerace_parity`` runs the command ``eyerace-parity``."""

import sys

from eyerace_parity.cli import main

sys.exit(main())
