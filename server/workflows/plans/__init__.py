"""Who visits whom on a day? Proposed by `server.planning`, accepted stop by stop.

`asking` takes an order and shows how far it is; `gathering` loads what must be known; `computing` is the job;
`accepting` assigns what the dispatcher chose, judged again under lock.
"""

from server.workflows.plans import computing

__all__ = ["computing"]  # imported with the package, so that every process knows its job
