"""lmms-eval's response cache, made to serve the next attempt of the same job.

As it comes (0.7.3, ``lmms_eval/caching/response_cache.py``) the cache helps only runs after one
that succeeded, and keeps too much. Six things are changed, as far as a version has them (up to
0.7 the directory has no random name, and the cache opens its files as it is made):

* A run writes to a directory of a random name, which no later run reads unless the first one ended
  well. Here all attempts of a job have one name.
* Answers are kept when the last one has arrived. Here the requests go in parts, each of which is
  kept when it is done; parts take ``PART_SECONDS`` at most, as far as the part before can tell.
* An answer is filed under the generation arguments as they are after the request, to which some
  models add theirs, and looked for under those before it: it is never found. Here those before
  it count.
* A request that failed for good has ``[LMMS_EVAL_REQUEST_FAILED ..`` for an answer, which is kept
  like any other and would be repeated for ever. Here it is not kept.
* ``model_args`` are written into the cache in clear, keys and all. Here only their hash is, which
  is what tells the answers of two models apart.
* An answer with a lone surrogate, or a question that repeats one, ends the evaluation, since it has
  no encoding. Here it is kept in ASCII.
"""

import asyncio
import copy
import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import Any

RUN_ID_VARIABLE = "LMMS_CACHE_RUN_ID"
NO_ANSWERS = ("[LMMS_EVAL_REQUEST_FAILED", "[LMMS_EVAL_BUDGET_EXCEEDED")
FIRST_PART = 16
PART_SECONDS = 300.0
REMEMBERED = "evalserver_gen_kwargs"
ArgumentsOf = Callable[[Any], dict[str, Any]]
NEEDED = ("execute", "_log_to_audit", "_is_valid_response")
"""What has to be there to be changed."""


def keep_answers(cache_root: str) -> None:
    """Have the cache keep what can be used again, as it comes.

    Raises ImportError or AttributeError, and changes nothing, if this lmms-eval keeps its answers
    in a way that is not known here.
    """
    from lmms_eval.caching import response_cache  # type: ignore[import-not-found]

    cache, arguments_of = response_cache.ResponseCache, response_cache.extract_gen_kwargs
    missing = [name for name in NEEDED if not hasattr(cache, name)]
    if missing:
        raise AttributeError(f"ResponseCache has no {', '.join(missing)}")
    # Named after the job's own directory: where the cache is on a network file system, lmms-eval
    # writes to a local one first, which other jobs use too.
    os.environ[RUN_ID_VARIABLE] = Path(cache_root).absolute().parent.name
    response_cache.extract_gen_kwargs = _as_at_first(arguments_of)
    _ask_in_parts(cache, response_cache.extract_gen_kwargs)
    _forget_failures(cache)
    _keep_no_secrets(cache)
    _keep_any_text(response_cache)


def next_size(size: int, seconds: float) -> int:
    """How many requests the next part has, after one of ``size`` that took ``seconds``."""
    in_time = int(size * PART_SECONDS / max(seconds, 0.001))
    return max(1, min(2 * size, in_time))


def _as_at_first(arguments_of: ArgumentsOf) -> ArgumentsOf:
    """Remembers a request's generation arguments as they were when they were first looked at."""

    def arguments(request: Any) -> dict[str, Any]:
        if not hasattr(request, REMEMBERED):
            setattr(request, REMEMBERED, copy.deepcopy(arguments_of(request)))
        remembered: dict[str, Any] = getattr(request, REMEMBERED)
        return remembered

    return arguments


def _ask_in_parts(cache: Any, arguments_of: ArgumentsOf) -> None:
    ask = cache.execute
    loop = asyncio.new_event_loop()

    def execute(self: Any, lm: Any, reqtype: str, requests: list[Any]) -> list[Any]:
        if _world_size(self) > 1:
            # Ranks that ask in parts of different sizes could wait for each other for ever.
            return list(ask(self, lm, reqtype, requests))
        for request in requests:
            # Before any is asked: several requests may share their arguments.
            arguments_of(request)
        answers: list[Any] = []
        size = FIRST_PART
        with _running_on(loop):
            while len(answers) < len(requests):
                began = time.monotonic()
                part = requests[len(answers) : len(answers) + size]
                _announce(len(answers) + 1, len(answers) + len(part), len(requests))
                answers += ask(self, lm, reqtype, part)
                size = next_size(size, time.monotonic() - began)
        return answers

    cache.execute = execute


def _world_size(cache: Any) -> int:
    return int(getattr(cache, "_world_size", os.environ.get("WORLD_SIZE", 1)))


def _announce(first: int, last: int, of: int) -> None:
    """Say which part comes: the model's own bar knows of no other (``engines/progress.py``)."""
    print(f"evalserver: asking for answers {first} to {last} of {of}", flush=True)


@contextmanager
def _running_on(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Have ``asyncio.run`` use one loop, since a model keeps connections that belong to its loop.

    With a new loop for each part, its first request on an old connection would fail.
    """
    run = asyncio.run

    def run_on_loop(main: Coroutine[Any, Any, Any], **options: Any) -> Any:
        if threading.current_thread() is threading.main_thread() and not loop.is_running():
            return loop.run_until_complete(main)
        return run(main, **options)

    asyncio.run = run_on_loop
    try:
        yield
    finally:
        asyncio.run = run


def _forget_failures(cache: Any) -> None:
    is_valid, log_to_audit = cache._is_valid_response, cache._log_to_audit

    def is_valid_response(response: Any, request_type: str) -> bool:
        return not _is_no_answer(response) and bool(is_valid(response, request_type))

    def log(self: Any, *args: Any, cache_key: str = "", **kwargs: Any) -> None:
        # What has a key is read back into the cache when it is opened again.
        response = kwargs.get("response", args[-1] if args else None)
        key = "" if _is_no_answer(response) else cache_key
        log_to_audit(self, *args, cache_key=key, **kwargs)

    cache._is_valid_response = staticmethod(is_valid_response)
    cache._log_to_audit = log


def _is_no_answer(response: Any) -> bool:
    text = getattr(response, "text", response)
    return isinstance(text, str) and text.startswith(NO_ANSWERS)


def _keep_no_secrets(cache: Any) -> None:
    if not hasattr(cache, "_open_local_handles"):
        _hash_fingerprint(cache)
        return
    open_handles = cache._open_local_handles

    def open_local_handles(self: Any) -> None:
        self.model_fingerprint = ""  # its hash has been taken
        open_handles(self)

    cache._open_local_handles = open_local_handles


def _hash_fingerprint(cache: Any) -> None:
    """Have a cache that writes its fingerprint as soon as it is made write the hash of it."""
    make = cache.__init__

    def init(self: Any, *args: Any, model_fingerprint: str = "", **kwargs: Any) -> None:
        digest = hashlib.sha256(model_fingerprint.encode(errors="replace")).hexdigest()
        make(self, *args, model_fingerprint=digest, **kwargs)

    cache.__init__ = init


def _keep_any_text(module: Any) -> None:
    serialize: Any = getattr(module, "_serialize_response", None)
    content_hash: Any = getattr(module, "_extract_content_hash", None)

    def serialize_response(response: Any) -> Any:
        text = serialize(response)
        return text if _is_encodable(text) else json.dumps(response, default=str)

    def extract_content_hash(instance: Any) -> Any:
        try:
            return content_hash(instance)
        except UnicodeEncodeError:
            texts = takewhile(lambda each: isinstance(each, str), instance.args)
            encoded = "\0".join(texts).encode(errors="backslashreplace")
            return hashlib.sha256(encoded).hexdigest()[:16]

    if serialize is not None:
        module._serialize_response = serialize_response
    if content_hash is not None:
        module._extract_content_hash = extract_content_hash


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
