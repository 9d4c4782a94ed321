"""The policies of gates of the settings, checked at the start."""

from collections.abc import Mapping, Sequence

from evalserver.analysis.gate_policy import Policy
from evalserver.core.suggestions import did_you_mean
from evalserver.gates.policies import read_policies
from evalserver.server.cannot_start import CannotStart
from evalserver.settings.server_args import ServerArgs
from evalserver.submission.series_policies import SeriesPolicy


def configured_gates(args: ServerArgs, series: Sequence[SeriesPolicy]) -> Mapping[str, Policy]:
    """Return the policies by name. Raises CannotStart, also if a series names another one."""
    try:
        policies = read_policies(args.gates)
    except ValueError as error:
        raise CannotStart(str(error)) from error
    for each in series:
        if each.gate is not None and each.gate not in policies:
            raise CannotStart(
                f"series.{each.pattern}.gate: there is no table [gates.{each.gate}]."
                f"{did_you_mean(each.gate, policies)} Known policies:"
                f" {', '.join(policies) or 'none'}"
            )
    return policies
