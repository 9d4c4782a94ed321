"""The engines and profiles of the settings, checked at the start."""

from collections.abc import Mapping
from pathlib import Path

from evalserver.core.suggestions import did_you_mean
from evalserver.engines import Engine, find_program, make_engines, merge
from evalserver.engines.env_profiles import EnvProfile, check_profiles
from evalserver.server.cannot_start import CannotStart
from evalserver.settings.server_args import ServerArgs
from evalserver.web.schemas.evaluate_request import check_engine_defaults


def configured_engines(args: ServerArgs) -> Mapping[str, Engine]:
    """Return the engines by name. Raises CannotStart."""
    if args.include_path is not None and not Path(args.include_path).is_dir():
        raise CannotStart(f"include_path: {args.include_path} is not a directory")
    try:
        python = find_program(args.engine_python, "engine_python")
        engines = make_engines(python, args.include_path, args.engines)
        for engine in engines.values():
            check_engine_defaults(engine)
    except ValueError as error:
        raise CannotStart(str(error)) from error
    evaluating = [name for name in engines if name != merge.NAME]
    if args.default_engine not in evaluating:
        raise CannotStart(
            f"default_engine: there is no engine {args.default_engine!r}."
            f"{did_you_mean(args.default_engine, evaluating)} "
            f"Known engines: {', '.join(evaluating)}"
        )
    return engines


def checked_profiles(args: ServerArgs, engines: Mapping[str, Engine]) -> Mapping[str, EnvProfile]:
    """Return the profiles of variables by name. Raises CannotStart."""
    try:
        return check_profiles(args.env_profiles, engines.values())
    except ValueError as error:
        raise CannotStart(str(error)) from error
