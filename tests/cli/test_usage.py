"""``evalserver usage``: what evaluations used."""

from tests.cli.shell import Shell
from tests.support import ServerProcess


async def test_usage_is_listed_with_a_total(server: ServerProcess) -> None:
    async with server:
        shell = Shell(server.url)
        for _ in range(2):
            shell.submit_and_wait("-l", "series=run")

        table = shell.run("usage", "--by", "series").stdout.splitlines()
        by_month = shell.json("usage")
        earlier = shell.json("usage", "--by", "token", "--until", "1d")
        limited = shell.json("usage", "--by", "job", "--since", "1h", "--limit", "1")

    cells = [line.split() for line in table]
    assert cells[0] == ["SERIES", "ATTEMPTS", "TIME", "GPU-HOURS"]
    assert [row[:2] for row in cells[1:]] == [["run", "2"], ["total", "2"]]
    assert (by_month["by"], by_month["total"]["attempts"]) == ("month", 2)
    assert (earlier["rows"], earlier["total"]["attempts"]) == ([], 0)
    assert (len(limited["rows"]), limited["groups"]) == (1, 2)
