"""Does the written account fit the evidence? Gathers, asks `server.reconcile`, records."""

from datetime import datetime

from server.jobs import task


@task("reconcile_visit")
def reconcile_visit(*, now: datetime, visit_id: str) -> None:
    """Judge one visit again."""
