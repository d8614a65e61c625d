"""`sockd completion`."""

from __future__ import annotations

import click

from sockd.client.commands.completion import SHELLS, script
from sockd.ops.cli.printing import tell


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what makes a shell complete commands and options.

    In bash: source <(sockd completion bash). In fish: sockd completion fish | source.
    """
    tell(f"{script(ctx.find_root().command, 'sockd', shell)}\n")


COMMANDS = (completion,)
