"""What the application holds for its handlers."""

from collections.abc import Mapping

from aiohttp import web

from evalserver.catalog import Catalog
from evalserver.engines import Engine
from evalserver.scheduler import Scheduler
from evalserver.server_args import ServerArgs
from evalserver.store import Store

ARGS = web.AppKey("args", ServerArgs)
STORE = web.AppKey("store", Store)
SCHEDULER = web.AppKey("scheduler", Scheduler)
CATALOG = web.AppKey("catalog", Catalog)
ENGINES: web.AppKey[Mapping[str, Engine]] = web.AppKey("engines")
