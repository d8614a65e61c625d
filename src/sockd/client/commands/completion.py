"""`completion`: what makes a shell complete the commands and options of `sock`."""

from __future__ import annotations

import click
from click.shell_completion import ShellComplete, get_completion_class

SHELLS = ("bash", "zsh", "fish")


def script(program: click.Command, name: str, shell: str) -> str:
    """What has a shell ask a program itself, by a variable: `_SOCK_COMPLETE` of `sock`."""
    found = get_completion_class(shell)
    assert found is not None
    # not bash's own `source`, which runs bash to ask for its version
    return ShellComplete.source(found(program, {}, name, f"_{name.upper()}_COMPLETE"))


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> int:
    """Print what makes a shell complete sock's commands and options.

    In bash: source <(sock completion bash). In fish: sock completion fish | source.
    """
    click.echo(script(ctx.find_root().command, "sock", shell))
    return 0
