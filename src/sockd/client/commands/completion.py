"""`completion`: what makes a shell complete the commands and options of `sock`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

VARIABLE = "_SOCK_COMPLETE"
"""By it the shell asks `sock` itself."""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> int:
    """Print what makes a shell complete sock's commands and options.

    In bash: source <(sock completion bash). In fish: sock completion fish | source.
    """
    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(ctx.find_root().command, {}, "sock", VARIABLE).source())
    return 0
