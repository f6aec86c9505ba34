"""`dipkernels demo`."""

from __future__ import annotations

import argparse
import contextlib
import threading
import time
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

from dipkernels.cli.datasets import whole_number

if TYPE_CHECKING:
    import uvicorn

_LOOPBACK = ("localhost", "127.0.0.1")
_DATA = "digits, the built-in ones, or a folder with MNIST's four idx files"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    add = parser.add_argument
    add("--data", metavar="DATA", default="digits", help=f"what the networks learn from, once: {_DATA}")
    add("--port", type=whole_number(0), default=8765, help="default 8765; 0 takes one that is free")
    add("--host", default="127.0.0.1", help="another address than this machine's own; then others can see the page")
    add("--no-browser", action="store_true", help="do not open the page")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Serves the page until Ctrl-C."""
    try:
        import uvicorn

        from dipkernels.demo.server import application
    except ImportError as error:
        raise ImportError('the page needs starlette and uvicorn; pip install "dipkernels[demo]"') from error
    from dipkernels.demo.networks import Networks

    if arguments.data != "digits" and not Path(arguments.data).is_dir():
        raise FileNotFoundError(f"--data must be {_DATA}, got {arguments.data!r}")
    if arguments.port > 65535:
        raise ValueError(f"--port must be at most 65535, got {arguments.port}")
    networks = Networks(arguments.data)
    app = application(networks, sorted({*_LOOPBACK, arguments.host}))
    server = uvicorn.Server(uvicorn.Config(app, host=arguments.host, port=arguments.port, log_level="warning"))
    networks.start()
    threading.Thread(target=_say_where, args=(server, not arguments.no_browser), daemon=True).start()
    with contextlib.suppress(KeyboardInterrupt):
        server.run()


def _say_where(server: uvicorn.Server, opens: bool) -> None:
    """Once the server listens: its address, and the page in the browser."""
    while not server.started:
        time.sleep(0.05)
    host, port = server.servers[0].sockets[0].getsockname()[:2]
    address = f"http://{'localhost' if host == '127.0.0.1' else host}:{port}"
    print(f"draw at {address} (Ctrl-C ends it)", flush=True)
    if opens:
        webbrowser.open(address)
