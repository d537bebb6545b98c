"""What can be typed after `fieldvisit` (or `python -m server.cli`)?

A table of sub-commands; each lives in `server/commands/` and is loaded when it is called, so that
`fieldvisit db` does not wait for image libraries. To add one: write a click command there, add a line here.
"""

import importlib
from typing import Final

import click

from server.garbage import collect_seldom, start_uncollected

COMMANDS: Final = {
    "db": "server.commands.database:db",
    "wait": "server.commands.waiting:wait",
    "migrate": "server.commands.schema:migrate",
    "release": "server.commands.schema:release",
    "web": "server.commands.web:web",
    "worker": "server.commands.worker:worker",
    "create-admin": "server.commands.create_admin:create_admin",
    "make-secrets": "server.commands.settings:print_secrets",
    "check-config": "server.commands.settings:check_config",
    "rotate-keys": "server.commands.keys:rotate_keys",
    "retire-keys": "server.commands.keys:retire_keys",
    "verify": "server.commands.proof:verify_bundle",
    "check-log": "server.commands.check_log:check_log",
    "reconcile-again": "server.commands.reconcile_again:reconcile_again",
    "backup": "server.commands.backups:backup",
    "restored": "server.commands.backups:restored",
    "scrub": "server.commands.scrub:scrub",
    "move-store": "server.commands.move_store:move_store",
    "demo": "server.commands.demo:demo",
}


class LazyGroup(click.Group):
    """A group that imports a sub-command's module when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the sub-commands in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one sub-command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        start_uncollected()
        command = getattr(importlib.import_module(module), name)
        collect_seldom()
        assert isinstance(command, click.Command)
        return command


@click.group(cls=LazyGroup, help="Field visits that the rules allow, and evidence that holds.")
def main() -> None:
    """Run one sub-command."""


if __name__ == "__main__":
    main(prog_name="fieldvisit")
