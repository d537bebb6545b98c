"""`fieldvisit demo` starts the product, tells the story of a day on it, and keeps serving."""

import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

import click

from server.demo import story
from server.demo.processes import Processes, ProcessFailed, free_port
from server.readiness import NotReady, load_config, var_folder

CHECKOUT = Path(__file__).parents[2]


@click.command()
@click.option("--exit", "exit_after", is_flag=True, help="End after the story instead of serving on.")
@click.option("--port", default=8000, show_default=True, help="Port to serve on; another one if taken.")
def demo(exit_after: bool, port: int) -> None:
    """Run the product on its embedded parts and let a sample agency work a day."""
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGHUP, _stop)
    try:
        status = _tell(exit_after=exit_after, port=free_port(port))
    except (ProcessFailed, NotReady) as fault:
        raise click.ClickException(str(fault)) from None
    except KeyboardInterrupt:
        status = 130
    sys.exit(status)


def _tell(*, exit_after: bool, port: int) -> int:
    environ = {**os.environ, **story.environment(datetime.now(UTC))}
    var = var_folder(environ).absolute()
    with Processes(
        checkout=CHECKOUT, environ=environ, logs=var / "log", port=port, say=click.echo
    ) as processes:
        click.echo(f"The logs of all processes are in {var / 'log'}.")
        processes.start_all()
        environ["DATABASE_URL"] = load_config(environ, timeout_seconds=10).database_url
        status = story.run(processes.base_url, environ=environ, say=click.echo)
        if not exit_after:
            click.echo(
                f"Serving on {processes.base_url} until Ctrl-C; API docs: {processes.base_url}/api/v1/docs/"
            )
            processes.serve()
        click.echo("Stopping.")
    return status


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
