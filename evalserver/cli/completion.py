"""``evalserver completion``: the script that makes a shell complete commands, jobs and tasks."""

import os
from pathlib import Path

import click
from click.shell_completion import ShellComplete, get_completion_class

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_EVALSERVER_COMPLETE"


@click.command()
@click.argument("shell", required=False, type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str | None) -> None:
    """Print the completion script for SHELL; by default, for the shell in $SHELL.

    \b
    bash   echo 'eval "$(evalserver completion bash)"' >> ~/.bashrc
    zsh    echo 'eval "$(evalserver completion zsh)"' >> ~/.zshrc
    fish   evalserver completion fish > ~/.config/fish/completions/evalserver.fish
    """
    name = shell or Path(os.environ.get("SHELL", "")).name
    shell_class = get_completion_class(name) if name in SHELLS else None
    if shell_class is None:
        raise click.UsageError(f"give the name of a shell: {', '.join(SHELLS)}")
    generator = shell_class(ctx.find_root().command, {}, "evalserver", VARIABLE)
    # The method of the class for bash first runs bash, to check its version.
    click.echo(ShellComplete.source(generator))
