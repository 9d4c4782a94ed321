"""What the application, and each request, holds for the handlers."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from evalserver.catalog import Catalog
from evalserver.engines import Engine
from evalserver.event_bus import EventBus
from evalserver.forecast import Forecaster
from evalserver.progress import ProgressBoard
from evalserver.scheduler import Scheduler
from evalserver.server_args import ServerArgs
from evalserver.store import Store
from evalserver.web.schemas import Bounds

ARGS = web.AppKey("args", ServerArgs)
STORE = web.AppKey("store", Store)
SCHEDULER = web.AppKey("scheduler", Scheduler)
CATALOG = web.AppKey("catalog", Catalog)
ENGINES: web.AppKey[Mapping[str, Engine]] = web.AppKey("engines")
BUS = web.AppKey("bus", EventBus)
PROGRESS = web.AppKey("progress", ProgressBoard)
FORECASTS = web.AppKey("forecasts", Forecaster)
BOUNDS = web.AppKey("bounds", Bounds)

QUERY: web.RequestKey[Mapping[str, Any]] = web.RequestKey("query")
"""What the route's schema loaded from the query string."""
BODY: web.RequestKey[Any] = web.RequestKey("body")
"""What the route's schema loaded from the body."""
