"""How many connections the open-file limit allows."""

import resource
from collections.abc import Iterator

import pytest

from evalserver.system.file_descriptors import (
    RESERVED_DESCRIPTORS,
    TooFewDescriptors,
    descriptors_needed,
    raise_limit,
)


@pytest.fixture
def hard() -> Iterator[int]:
    """The hard open-file limit; the soft limit is restored afterwards."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield limits[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_the_soft_limit_is_raised_as_far_as_connections_need(hard: int) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))

    assert raise_limit(100).soft == descriptors_needed(100) == RESERVED_DESCRIPTORS + 200


def test_a_sufficient_soft_limit_is_unchanged(hard: int) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (1000, hard))

    assert raise_limit(100).soft == 1000


def test_too_low_a_limit_is_rejected_with_advice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, 64))

    with pytest.raises(TooFewDescriptors, match=r"allows this process 64 open files.*LimitNOFILE"):
        raise_limit(800)
