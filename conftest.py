"""The project's own tests and benchmarks keep ONNX Runtime from reporting to its makers, as the gate does.

The gate itself is the installed plugin (``eyerace_parity.plugin``); no user needs a conftest for it.
"""

from eyerace_parity.core.machine import disable_telemetry

disable_telemetry()
