"""``evalserver completion``: what a shell needs to complete commands, jobs and tasks."""

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
    """Print what SHELL needs for TAB to work; it is guessed if it is not named.

    \b
    bash   echo 'eval "$(evalserver completion bash)"' >> ~/.bashrc
    zsh    echo 'eval "$(evalserver completion zsh)"' >> ~/.zshrc
    fish   evalserver completion fish > ~/.config/fish/completions/evalserver.fish
    """
    name = shell or Path(os.environ.get("SHELL", "")).name
    kind = get_completion_class(name) if name in SHELLS else None
    if kind is None:
        raise click.UsageError(f"name a shell: {', '.join(SHELLS)}")
    maker = kind(ctx.find_root().command, {}, "evalserver", VARIABLE)
    # Bash's own way starts a bash first, to look at its version.
    click.echo(ShellComplete.source(maker))
