"""How often one may ask: on average, at once, and after a pause."""

from evalserver.web.security.rate_limit import MAX_KEYS, RateLimit


class Clock:
    """Time that the test makes pass."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_ten_seconds_worth_may_come_at_once_and_then_one_after_another() -> None:
    clock = Clock()
    limit = RateLimit(2, clock)

    at_once = [limit.acquire("a") for _ in range(21)]
    clock.now = 0.5

    assert at_once == [0.0] * 20 + [0.5]
    assert limit.acquire("a") == 0.0
    assert limit.acquire("a") > 0


def test_one_has_nothing_to_do_with_the_other() -> None:
    limit = RateLimit(1, Clock())
    while not limit.acquire("a"):
        pass

    assert limit.acquire("b") == 0.0


def test_who_is_refused_is_not_set_back_further() -> None:
    clock = Clock()
    limit = RateLimit(1, clock)
    while not limit.acquire("a"):
        pass

    assert [limit.acquire("a") for _ in range(3)] == [1.0, 1.0, 1.0]


def test_however_many_ask_no_more_than_some_are_remembered() -> None:
    limit = RateLimit(1, Clock())
    for number in range(MAX_KEYS + 10):
        limit.acquire(str(number))

    assert len(limit._until) == MAX_KEYS
