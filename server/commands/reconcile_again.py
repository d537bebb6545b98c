"""`fieldvisit reconcile-again`: judge a month's visits again; what would change is shown before it is kept.

    fieldvisit reconcile-again --month 2026-10
    fieldvisit reconcile-again --month 2026-10 --keep

The first writes nothing. The second keeps the difference; killed and started again it goes on.
"""

from datetime import date, datetime
from typing import Final

import click

from server.commands.opening import product
from server.workflows.reconciliation import months

TOLD_EVERY: Final = 100


def _month(context: click.Context, parameter: click.Parameter, value: str) -> date:
    try:
        month = datetime.strptime(value, "%Y-%m").date()
    except ValueError:
        raise click.BadParameter("name a month such as 2026-10") from None
    if not 1900 <= month.year < 2900:
        raise click.BadParameter("name a month of this age, such as 2026-10")
    return month


@click.command("reconcile-again")
@click.option("--month", required=True, callback=_month, help="The month of the visits, such as 2026-10.")
@click.option("--keep", "is_kept", is_flag=True, help="Write what changes. Decided findings stay.")
def reconcile_again(month: date, is_kept: bool) -> None:
    """Judge every visit of a month again by today's checks and rules."""
    with product() as app:
        before = months.unfinished(month) if is_kept else None
        if before is not None:
            click.echo(f"An earlier run was ended after {before.visits} visits; going on.", err=True)
        judge = months.keep if is_kept else months.look
        tally = judge(month, now=app.extensions["clock"].now(), told=_tell)
    for line in lines_of(tally):
        click.echo(line)
    if is_kept:
        click.echo("Kept. Each visit's file says what changed.")
    else:
        click.echo("Nothing was written. To keep this, say it again with --keep.")


def lines_of(tally: months.Tally) -> list[str]:
    """Write a month's difference: by check, then the first visits that change."""
    lines = [f"{tally.visits} visits judged, {tally.changed} of them are otherwise now."]
    if tally.checks:
        lines.append(f"{'check':<32}" + "".join(f"{kind:>10}" for kind in months.KINDS))
    for check, kinds in sorted(tally.checks.items()):
        lines.append(f"{check:<32}" + "".join(f"{kinds[kind]:>10}" for kind in months.KINDS))
    for visit_id, changes in tally.shown:
        told = ", ".join(f"{months.kind_of(one)} {one.check}" for one in changes)
        lines.append(f"visit {visit_id}: {told}")
    if len(tally.shown) == months.MOST_SHOWN:
        lines.append(f"Only the first {months.MOST_SHOWN} visits are named.")
    return lines


def _tell(done: int, total: int) -> None:
    if done % TOLD_EVERY == 0 or done == total:
        click.echo(f"{done} of {total} visits", err=True)
