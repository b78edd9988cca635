"""Errors over HTTP as RFC 9457 tells them: application/problem+json, one clear sentence in ``detail``."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException as RoutingError

from toccata.errors import InputError, ToccataError

MEDIA_TYPE = "application/problem+json"
_log = logging.getLogger("toccata.server")


def problem(
    status: int, detail: str, headers: Mapping[str, str] | None = None, **members: Any
) -> Response:  # fmt: skip
    """A response with a status and a sentence; ``members`` are told besides."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail, **members}
    return JSONResponse(body, status, dict(headers or {}), MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Let ``app`` tell every error as a problem: of routing, of a request's form, of ours."""
    app.add_exception_handler(RoutingError, _routing)
    app.add_exception_handler(HTTPException, _routing)
    app.add_exception_handler(RequestValidationError, _form)
    app.add_exception_handler(ToccataError, _ours)
    app.add_exception_handler(Exception, _fault)


async def _routing(request: Request, error: Exception) -> Response:
    assert isinstance(error, RoutingError)
    sentence = str(error.detail)
    if error.status_code == 404 and sentence == "Not Found":
        sentence = f"there is nothing at {request.url.path}"
    elif error.status_code == 405:
        sentence = f"{request.url.path} does not take {request.method}"
    return problem(error.status_code, sentence, error.headers)


async def _form(request: Request, error: Exception) -> Response:
    """What is wrong with a query or a body, by JSON pointer; what was sent is not sent back."""
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if any(one["type"] == "json_invalid" for one in found):
        return problem(400, "the body is no JSON that can be read")
    told = [{"pointer": "".join(f"/{part}" for part in one["loc"]), "detail": one["msg"]} for one in found]
    return problem(422, f"{told[0]['pointer']}: {told[0]['detail']}", errors=told)


async def _ours(request: Request, error: Exception) -> Response:
    """What the user can mend is told; that a disk is full, say, is told to whoever runs the server."""
    if isinstance(error, InputError):
        return problem(422, str(error))
    _log.error("%s %s: %s", request.method, request.url.path, error)
    return problem(503, "the server cannot do that at the moment; try again later", {"Retry-After": "10"})


async def _fault(request: Request, error: Exception) -> Response:
    return problem(500, "a fault of the server; whoever runs it finds more in its log")
