"""What every request passes first: is it allowed, is it small enough; and what every response says to browsers."""

import hmac
import re
from http.cookies import SimpleCookie
from urllib.parse import parse_qs

from fastapi import HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from toccata.server.problems import problem

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_COOKIE = "toccata_token"
_A_YEAR = 365 * 86400
_SAID_TO_BROWSERS = {
    "Content-Security-Policy": "default-src 'self'; media-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class Guard:
    """ASGI middleware.

    With a ``token`` a request has to bring it: as ``Authorization: Bearer``, as ``?token=``, or in the cookie that the
    latter sets. Without one only names of this machine are answered, so that a page from elsewhere that points its own
    name here reaches nothing. Bodies have at most ``max_body`` bytes.
    """

    def __init__(self, app: ASGIApp, token: str | None, max_body: int) -> None:
        self._app, self._token, self._max_body = app, token, max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        by_query = self._token is not None and _same(_query(scope, "token"), self._token)
        if refused := self._refused(scope, headers, by_query):
            await refused(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                told = MutableHeaders(scope=message)
                for name, value in _SAID_TO_BROWSERS.items():
                    told.setdefault(name, value)
                if by_query:
                    told.append(
                        "Set-Cookie", f"{_COOKIE}={self._token}; Path=/; Max-Age={_A_YEAR}; HttpOnly; SameSite=Lax"
                    )
            await send(message)

        await self._app(scope, _limited(receive, self._max_body), answer)

    def _refused(self, scope: Scope, headers: Headers, by_query: bool):
        if self._token is None:
            if re.sub(r":\d+$", "", headers.get("host", "")) not in LOOPBACK:
                return problem(421, "this server answers to 127.0.0.1 and localhost only; start it with --token")
        elif not by_query and not _same(_given(headers), self._token):
            return problem(401, "the token is missing or wrong; bring it as ?token=", {"WWW-Authenticate": "Bearer"})
        if scope.get("method") not in ("GET", "HEAD") and headers.get("sec-fetch-site") == "cross-site":
            return problem(403, "a page from elsewhere may not do that")
        size = headers.get("content-length", "0")
        if not size.isdecimal() or int(size) > self._max_body:
            return problem(413, _too_large(self._max_body))
        return None


def _limited(receive: Receive, most: int) -> Receive:
    """Counts what comes, for a body need not say its size, or may lie."""
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > most:
            raise HTTPException(413, _too_large(most))
        return message

    return counted


def _too_large(most: int) -> str:
    return f"the body is larger than {most:,} bytes"


def _query(scope: Scope, name: str) -> str:
    return parse_qs(scope["query_string"].decode("latin-1")).get(name, [""])[-1]


def _given(headers: Headers) -> str:
    kind, _, token = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return token.strip()
    cookies = SimpleCookie(headers.get("cookie", ""))
    return cookies[_COOKIE].value if _COOKIE in cookies else ""


def _same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(), token.encode())
