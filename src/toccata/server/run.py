"""From an application to a server: the address, bound before anything else happens, and the loop."""

import errno
import re
import socket

import uvicorn
from fastapi import FastAPI

from toccata.errors import InputError
from toccata.server.guard import LOOPBACK

_TOKEN = re.compile(r"[A-Za-z0-9._~-]{8,200}")


def check_address(host: str, token: str | None) -> None:
    """Raise ``InputError`` where others could reach a server that asks for no token, or a token is too short."""
    if host.strip("[]") not in [name.strip("[]") for name in LOOPBACK] and token is None:
        raise InputError(f"--host {host} lets other machines in; give a --token that they have to bring")
    if token is not None and not _TOKEN.fullmatch(token):
        raise InputError("a token has 8 to 200 letters, digits and . _ ~ - only; choose another --token")


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens at an address, 0 for any free port; raises ``InputError`` where it is not to be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host.strip("[]"), port))
        bound.listen(128)
        return bound
    except (OSError, OverflowError) as error:
        bound.close()
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            raise InputError(f"port {port} is in use; choose another with --port, or 0 for any free one") from None
        why = getattr(error, "strerror", None) or error
        raise InputError(f"{host}, port {port}, cannot be served: {why}; choose another --host or --port") from None


def address(bound: socket.socket) -> str:
    """The address to type into a browser."""
    host, port = bound.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


def server(app: FastAPI) -> uvicorn.Server:
    """The loop around an application, not yet running: ``run(sockets=[bound])`` starts it, ``should_exit`` ends it."""
    config = uvicorn.Config(
        app, log_config=None, log_level="warning", access_log=False, server_header=False, ws="none", lifespan="off",
        timeout_graceful_shutdown=5,
    )  # fmt: skip
    return uvicorn.Server(config)


def serve(app: FastAPI, bound: socket.socket) -> None:
    """Answer requests until the process is interrupted or terminated; what is under way then is finished."""
    server(app).run(sockets=[bound])
