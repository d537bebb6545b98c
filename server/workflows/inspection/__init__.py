"""What becomes of evidence once its bytes are here? Each step is a job: inspect, render, transcribe.

Importing this package makes the jobs known to the worker.
"""

from server.workflows.inspection import inspecting, rendering, transcribing

__all__ = ["inspecting", "rendering", "transcribing"]
