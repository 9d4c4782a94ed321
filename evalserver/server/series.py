"""The rules for series of the settings, checked at the start."""

from evalserver.server.cannot_start import CannotStart
from evalserver.settings.server_args import ServerArgs
from evalserver.submission.series_policies import SeriesPolicy, read_series


def configured_series(args: ServerArgs) -> tuple[SeriesPolicy, ...]:
    """Return the policies, in the order of their tables. Raises CannotStart."""
    try:
        return read_series(args.series)
    except ValueError as error:
        raise CannotStart(str(error)) from error
