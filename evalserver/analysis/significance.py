"""The p-value of a difference: how probable one of at least its size is without a real one."""

import math
from collections.abc import Mapping
from enum import StrEnum


class SignificanceTest(StrEnum):
    """How a p-value was computed."""

    MCNEMAR = "mcnemar"
    """From the documents that changed between right and wrong."""
    NORMAL = "normal"
    """From the difference and its standard error."""
    SIGN = "sign"
    """From differences of documents that are all alike, so without variance."""


TESTS: Mapping[SignificanceTest, tuple[str, str]] = {
    SignificanceTest.MCNEMAR: (
        "p = twice the probability of at most min(b, c) heads in b + c throws of a coin, at most 1,"
        " where b documents went from right to wrong, and c from wrong to right",
        "McNemar's exact test, https://doi.org/10.1007/BF02295996",
    ),
    SignificanceTest.NORMAL: (
        "p = the probability that a normally distributed number is further from 0 than difference /"
        " stderr",
        "z-test",
    ),
    SignificanceTest.SIGN: (
        "p = 2^(1 - n), where all n documents, or clusters of them, differ by the same number",
        "sign test",
    ),
}
"""The formula and the source of each test."""


def normal_p_value(value: float, stderr: float) -> float:
    """Return the two-sided p-value of a difference with a standard error above 0."""
    return math.erfc(abs(value) / stderr / math.sqrt(2))


def sign_p_value(n: int) -> float:
    """Return the two-sided p-value of ``n`` differences that are all alike, and not 0."""
    return math.ldexp(1.0, 1 - n)
