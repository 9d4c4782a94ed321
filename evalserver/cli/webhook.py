"""``evalserver webhook``: whom the server tells of events, and what was not delivered."""

from collections.abc import Iterator, Mapping
from typing import Any

import click

from evalserver.cli import cells
from evalserver.cli.connection import Server, with_server
from evalserver.cli.groups import CommandGroup
from evalserver.cli.screens import Column, as_json, print_hint, print_json, print_table
from evalserver.cli.settings import HELP_OPTIONS

ID_LENGTH = 8
URL_LENGTH = 60

COLUMNS = (
    Column("WEBHOOK"),
    Column("URL"),
    Column("EVENTS", optional=True),
    Column("FOR", optional=True),
    Column("STATE"),
    Column("DELIVERED", right=True),
    Column("WAITING", right=True),
    Column("PARKED", right=True),
    Column("LAST ERROR", optional=True),
)
MESSAGE_COLUMNS = (
    Column("MESSAGE"),
    Column("EVENT"),
    Column("JOB", optional=True),
    Column("TRIES", right=True),
    Column("NEXT TRY"),
    Column("LAST ERROR"),
)


@click.group(cls=CommandGroup, context_settings=HELP_OPTIONS)
def webhook() -> None:
    """Send messages to other programs at events of jobs; for administrators."""


@webhook.command(name="list")
@as_json
@with_server
def list_webhooks(server: Server, as_json: bool) -> None:
    """List all webhooks, with how many messages were delivered, wait, or are parked."""
    with server.client() as client:
        found = client.webhooks()
    if as_json:
        print_json(found)
    elif found:
        print_table(COLUMNS, [_row(each) for each in found])
    else:
        print_hint(lambda: "There is no webhook; 'evalserver webhook create URL' creates one")


@webhook.command()
@click.argument("receiver", metavar="URL")
@click.option(
    "--event", "events", multiple=True, metavar="TYPE", help="Such as job.failed; repeatable."
)
@click.option("--series", metavar="PATTERN", help="Only jobs of such series, such as 'vlm-*'.")
@click.option(
    "--label", "labels", multiple=True, metavar="NAME=TEXT", help="Only such jobs; repeatable."
)
@as_json
@with_server
def create(
    server: Server,
    receiver: str,
    events: tuple[str, ...],
    series: str | None,
    labels: tuple[str, ...],
    as_json: bool,
) -> None:
    """Send a message to a URL at each event from now on, and show its secret once."""
    wanted = dict(_label(each) for each in labels)
    with server.client() as client:
        made = client.create_webhook(receiver, events or None, series=series, labels=wanted)
    _print_secret(made, "Webhook", as_json=as_json)


@webhook.command()
@click.argument("webhook_id", metavar="WEBHOOK")
@as_json
@with_server
def show(server: Server, webhook_id: str, as_json: bool) -> None:
    """Show the messages of a webhook that are not delivered, parked ones first."""
    with server.client() as client:
        found = client.get_webhook(_full_id(client.webhooks(), webhook_id))
    if as_json:
        print_json(found)
        return
    print_table(COLUMNS, [_row(found)])
    if found["messages"]:
        click.echo()
        print_table(MESSAGE_COLUMNS, list(_message_rows(found)))


@webhook.command()
@click.argument("webhook_id", metavar="WEBHOOK")
@as_json
@with_server
def delete(server: Server, webhook_id: str, as_json: bool) -> None:
    """Delete a webhook, and what it was not told yet."""
    with server.client() as client:
        answer = client.delete_webhook(_full_id(client.webhooks(), webhook_id))
    _print(answer, as_json=as_json)


@webhook.command()
@click.argument("webhook_id", metavar="WEBHOOK")
@as_json
@with_server
def enable(server: Server, webhook_id: str, as_json: bool) -> None:
    """Tell a webhook of events again whose receiver had answered with 410."""
    with server.client() as client:
        answer = client.enable_webhook(_full_id(client.webhooks(), webhook_id))
    _print(answer, as_json=as_json)


@webhook.command()
@click.argument("webhook_id", metavar="WEBHOOK")
@as_json
@with_server
def rotate(server: Server, webhook_id: str, as_json: bool) -> None:
    """Give a webhook a new secret, and show it once; the old one signs as well for a day."""
    with server.client() as client:
        made = client.rotate_webhook_secret(_full_id(client.webhooks(), webhook_id))
    _print_secret(made, "The new secret of webhook", as_json=as_json)


@webhook.command()
@click.argument("webhook_id", metavar="WEBHOOK")
@as_json
@with_server
def test(server: Server, webhook_id: str, as_json: bool) -> None:
    """Send a test message now; fails if it is not delivered."""
    with server.client() as client:
        ended = client.test_webhook(_full_id(client.webhooks(), webhook_id))
    if as_json:
        print_json(ended)
    elif ended["delivered"]:
        click.echo(f"Delivered: status {ended['status']}")
    if not ended["delivered"]:
        raise click.ClickException(f"not delivered: {cells.text(ended['error'])}")


@webhook.command()
@click.argument("webhook_id", metavar="WEBHOOK")
@as_json
@with_server
def resend(server: Server, webhook_id: str, as_json: bool) -> None:
    """Send everything again that is parked, in order."""
    with server.client() as client:
        answer = client.resend_webhook(_full_id(client.webhooks(), webhook_id))
    _print(answer, as_json=as_json)


@webhook.command()
@click.argument("webhook_id", metavar="WEBHOOK")
@as_json
@with_server
def discard(server: Server, webhook_id: str, as_json: bool) -> None:
    """Remove everything that is parked."""
    with server.client() as client:
        answer = client.discard_webhook(_full_id(client.webhooks(), webhook_id))
    _print(answer, as_json=as_json)


def _full_id(webhooks: list[dict[str, Any]], given: str) -> str:
    """Return the id that begins with what was given, or what was given, for the server's answer."""
    found = [each["webhook_id"] for each in webhooks if each["webhook_id"].startswith(given)]
    if len(found) > 1:
        raise click.ClickException(f"{given} is the beginning of {len(found)} ids; give more of it")
    return str(found[0]) if found else given


def _label(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise click.BadParameter(f"{text!r} is not NAME=TEXT", param_hint="--label")
    return name, value


def _row(webhook: Mapping[str, Any]) -> tuple[str, ...]:
    labels = [f"{name}={text}" for name, text in webhook["labels"].items()]
    series = [f"series {webhook['series']}"] if webhook["series"] else []
    return (
        cells.text(webhook["webhook_id"][:ID_LENGTH]),
        cells.shorten(webhook["url"], URL_LENGTH),
        cells.text(", ".join(webhook["events"])),
        cells.optional(", ".join([*series, *labels]) or None),
        _state(webhook),
        str(webhook["delivered"]),
        str(webhook["undelivered"] - webhook["parked"]),
        str(webhook["parked"]),
        cells.shorten(webhook["last_error"], cells.REASON_LENGTH),
    )


def _state(webhook: Mapping[str, Any]) -> str:
    if webhook["disabled_at"]:
        return "disabled"
    return "failing" if webhook["failed_at"] else "enabled"


def _message_rows(webhook: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Yield the rows of the messages. Of their ids, which end with the webhook's, the beginning."""
    first: dict[str | None, str] = {}
    for message in webhook["messages"]:
        name = message["message_id"].removesuffix(webhook["webhook_id"][ID_LENGTH:])
        before = first.setdefault(message["job_id"], name)
        yield (
            cells.text(name),
            cells.text(message["type"]),
            cells.EMPTY if message["job_id"] is None else cells.job_id(message["job_id"]),
            str(message["tries"]),
            _next_try(message, None if before == name else before),
            cells.shorten(message["last_error"], cells.REASON_LENGTH),
        )


def _next_try(message: Mapping[str, Any], before: str | None) -> str:
    """Say when a message is sent again; not before an earlier one of the same job."""
    if message["parked_at"]:
        return "parked"
    return cells.local_time(message["next_try_at"]) if before is None else f"after {before}"


def _print_secret(made: Mapping[str, Any], what: str, *, as_json: bool) -> None:
    if as_json:
        print_json(made)
        return
    click.echo(f"{what} {cells.text(made['webhook_id'])}; its secret is shown only once:", err=True)
    click.echo(made["secret"])


def _print(answer: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(answer)
    else:
        click.echo(cells.text(answer["message"]))
