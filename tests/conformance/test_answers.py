"""The response check itself: it detects what is not described."""

from typing import Any

import pytest

from evalserver.web.schemas.responses import HealthSchema
from tests.conformance.answers import faults_of

HEALTH = dict(HealthSchema.EXAMPLE)


@pytest.mark.parametrize(
    ("status", "media_type", "body"),
    [
        (200, "application/json", {**HEALTH, "more": 1}),
        (200, "application/json", {**HEALTH, "status": "fine"}),
        (200, "application/json", {**HEALTH, "timestamp": "noon"}),
        (200, "application/json", {"status": "healthy"}),
        (200, "text/plain", HEALTH),
        (409, "application/problem+json", {}),
    ],
)
def test_an_undescribed_response_is_detected(status: int, media_type: str, body: Any) -> None:
    assert faults_of("GET", "/health", status, media_type, body)


def test_a_described_response_passes() -> None:
    assert faults_of("GET", "/health?x=1", 200, "application/json", HEALTH) == []
