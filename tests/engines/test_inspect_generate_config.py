"""The arguments of generation that the launcher hands to a version of Inspect."""

import pytest

from evalserver.engines.in_harness.inspect_eval_args import generate_config

CONFIG = {"generate": {"temperature": 0}, "seed": 7, "max_connections": None, "cache_dir": "/data"}
OLDER = ("temperature", "seed", "max_connections")
NEWER = (*OLDER, "cache")


def test_a_version_with_a_cache_uses_it() -> None:
    assert generate_config(CONFIG, NEWER) == {"temperature": 0, "seed": 7, "cache": True}


def test_a_version_without_a_cache_goes_on_without_and_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert generate_config(CONFIG, OLDER) == {"temperature": 0, "seed": 7}
    assert "going on without a cache" in capsys.readouterr().out


def test_an_argument_that_the_version_does_not_have_is_refused() -> None:
    with pytest.raises(SystemExit, match="gen_kwargs has no temperature"):
        generate_config(CONFIG, ("seed",))
