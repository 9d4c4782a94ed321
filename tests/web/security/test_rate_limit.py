"""The rate limiter: average rate, bursts and recovery."""

from evalserver.web.security.rate_limit import MAX_KEYS, RateLimit


class Clock:
    """A clock that the test advances."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_of_ten_seconds_worth_is_allowed_then_the_average_rate() -> None:
    clock = Clock()
    limit = RateLimit(2, clock)

    burst = [limit.acquire("a") for _ in range(21)]
    clock.now = 0.5

    assert burst == [0.0] * 20 + [0.5]
    assert limit.acquire("a") == 0.0
    assert limit.acquire("a") > 0


def test_clients_are_limited_independently() -> None:
    limit = RateLimit(1, Clock())
    while not limit.acquire("a"):
        pass

    assert limit.acquire("b") == 0.0


def test_a_rejected_request_costs_nothing() -> None:
    clock = Clock()
    limit = RateLimit(1, clock)
    while not limit.acquire("a"):
        pass

    assert [limit.acquire("a") for _ in range(3)] == [1.0, 1.0, 1.0]


def test_the_number_of_remembered_clients_is_bounded() -> None:
    limit = RateLimit(1, Clock())
    for number in range(MAX_KEYS + 10):
        limit.acquire(str(number))

    assert len(limit._until) == MAX_KEYS
