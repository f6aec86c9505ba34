"""The page's server: a few files and a handful of questions, on this machine only unless it is told otherwise.

It takes no path from a request: files are read when it starts and served by name. Bodies have a fixed size or a small
limit and one content type. A request that names another host than this one is refused, as is one of another page, so
that no web site can ask through the user's browser.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import resources
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dipkernels.data import TOYS
from dipkernels.demo import layers, lessons
from dipkernels.demo.networks import NAMES, Networks
from dipkernels.demo.playground import playground
from dipkernels.demo.scenes import SceneNetworks, scene

_TYPES = {"html": "text/html; charset=utf-8", "css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8",
          "svg": "image/svg+xml"}  # fmt: skip
_MOST_JSON = 4096
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


async def _body(request: Request, content_type: str, most: int) -> bytes:
    """The body, of this type, and no longer."""
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != content_type:
        raise HTTPException(415, f"the content type must be {content_type}, got {given[:60] or 'none'}")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > most:
            raise HTTPException(413, f"the body must have at most {most} bytes")
    return body


def _check_origin(request: Request) -> None:
    origin = request.headers.get("origin")
    if origin is not None and origin.partition("://")[2] != request.headers.get("host"):
        raise HTTPException(403, "only the page itself may ask")


async def _answer(question: Callable[[], Any]) -> JSONResponse:
    """What the question's function returns; a ValueError is the asker's fault."""
    try:
        return JSONResponse(await run_in_threadpool(question), headers=_HEADERS)
    except ValueError as error:
        raise HTTPException(400, str(error)) from error


async def _wrong(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, headers={**(error.headers or {}), **_HEADERS})


def application(networks: Networks, hosts: list[str], of_scenes: SceneNetworks | None = None) -> Starlette:
    """The ASGI application; `hosts` are the names by which it may be called."""
    seen = of_scenes or SceneNetworks(networks.folder)

    def file(content: bytes, kind: str) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            return Response(content, media_type=_TYPES[kind], headers=_HEADERS)

        return answer

    async def state(request: Request) -> JSONResponse:
        found = [
            {"name": each.name, "title": NAMES[each.name], "ready": each.model is not None, "progress": each.progress,
             "error": each.error}
            for each in networks.all.values()
        ]  # fmt: skip
        settings = {"functions": {name: title for name, (title, _) in lessons.FUNCTIONS.items()},
                    "points": list(TOYS)}  # fmt: skip
        return JSONResponse({"networks": found, "side": layers.SIDE, "data": networks.data, **settings},
                            headers=_HEADERS)  # fmt: skip

    async def guess(request: Request) -> JSONResponse:
        _check_origin(request)
        body = await _body(request, "application/octet-stream", layers.SIDE**2)
        name = request.query_params.get("network", "")
        return await _answer(lambda: layers.layers(networks[name[:40]], layers.drawing_of(body)))

    async def unit(request: Request) -> JSONResponse:
        _check_origin(request)
        body = await _body(request, "application/octet-stream", layers.SIDE**2)
        name, layer, index = (request.query_params.get(key, "")[:40] for key in ("network", "layer", "unit"))
        if not (index.isascii() and index.isdecimal() and len(index) < 10):
            raise HTTPException(400, f"unit must be a whole number, got {index!r}")
        return await _answer(lambda: layers.unit(networks[name], layers.drawing_of(body), layer, int(index)))

    def lesson(compute: Callable[[Any], Any]) -> Callable[[Request], Any]:
        async def answer(request: Request) -> JSONResponse:
            _check_origin(request)
            body = await _body(request, "application/json", _MOST_JSON)
            try:
                given = json.loads(body)
            except (ValueError, RecursionError) as error:
                raise HTTPException(400, f"the body must be JSON: {error}") from error
            if not isinstance(given, dict):
                raise HTTPException(400, "the body must be a JSON object")
            return await _answer(lambda: compute(given))

        return answer

    routes = [
        Route("/api/state", state),
        Route("/api/guess", guess, methods=["POST"]),
        Route("/api/unit", unit, methods=["POST"]),
        Route("/api/convolution", lesson(lessons.convolution), methods=["POST"]),
        Route("/api/descent", lesson(lessons.descent), methods=["POST"]),
        Route("/api/playground", lesson(playground), methods=["POST"]),
        Route("/api/scene", lesson(lambda given: scene(seen, given)), methods=["POST"]),
    ]
    for entry in resources.files("dipkernels.demo").joinpath("static").iterdir():
        kind = entry.name.rpartition(".")[2]
        if kind in _TYPES:
            path = "/" if entry.name == "index.html" else f"/{entry.name}"
            routes.append(Route(path, file(entry.read_bytes(), kind)))
    return Starlette(
        routes=routes,
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts)],
        exception_handlers={HTTPException: _wrong},
    )
