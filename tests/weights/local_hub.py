"""A hub on this machine that speaks as much of the real one's API as fetching needs, and fails as it is told.

It is a mirror of other places too.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

COMMIT = "c0ffee" * 6 + "c0ff"
LARGE = 1000  # bytes from which a file is kept, and hashed, as a large one


@dataclass
class LocalHub:
    """``files`` by repository and name, those that lie ``elsewhere`` by path; ``requests`` are (method, path, range) in
    the order they came, ``tokens`` what they were authorised by.

    ``breaks_after`` bytes of a large file the connection drops, ``drops`` times; ``status`` and ``code`` answer instead
    of any file or page; ``altered`` sends other bytes than announced.
    """

    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    elsewhere: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)
    url: str = ""
    breaks_after: int = 0
    drops: int = 0
    status: int = 200
    code: str | None = None
    altered: bool = False

    def page(self, repository: str) -> bytes:
        siblings = []
        for name, data in self.files[repository].items():
            large = {"lfs": {"sha256": digest(data), "size": len(data), "pointerSize": 130}} if is_large(data) else {}
            siblings.append({"rfilename": name, "size": len(data), "blobId": git_hash(data), **large})
        return json.dumps({"id": repository, "sha": COMMIT, "siblings": siblings}).encode()

    def fetched(self) -> list[str]:
        """The names of the files that were asked for, in order."""
        return [path.rsplit("/", 1)[1] for method, path, _ in self.requests if method == "GET" and "/resolve/" in path]


def is_large(data: bytes) -> bool:
    return len(data) >= LARGE


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest() if is_large(data) else git_hash(data)


def git_hash(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@contextmanager
def serving() -> Iterator[LocalHub]:
    hub = LocalHub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, body: bool) -> None:
            asked = self.headers.get("Range")
            hub.requests.append((self.command, self.path, asked))
            hub.tokens.append(self.headers.get("Authorization"))
            page = re.fullmatch(r"/api/models/([^/]+/[^/?]+)(\?.*)?", self.path)
            file = re.fullmatch(r"/([^/]+/[^/]+)/resolve/[^/]+/(.+)", self.path)
            if hub.status != 200:
                self.reply(hub.status, b"no", {"X-Error-Code": hub.code} if hub.code else {}, body)
            elif page and page[1] in hub.files:
                self.reply(200, hub.page(page[1]), {}, body)
            elif file and file[2] in hub.files.get(file[1], {}):
                self.send(hub.files[file[1]][file[2]], asked, body)
            elif self.path in hub.elsewhere:
                self.send(hub.elsewhere[self.path], asked, body)
            else:
                self.reply(404, b"", {"X-Error-Code": "EntryNotFound" if file else "RepoNotFound"}, body)

        def send(self, data: bytes, asked: str | None, body: bool) -> None:
            headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{digest(data)}"'}
            first = int(asked.removeprefix("bytes=").split("-")[0]) if asked else 0
            if asked:
                headers["Content-Range"] = f"bytes {first}-{len(data) - 1}/{len(data)}"
            sent = data[:-1] + b"?" if hub.altered and is_large(data) else data
            if body and hub.drops and is_large(data):
                hub.drops -= 1
                self.reply(206 if asked else 200, sent[first:], headers, True, hub.breaks_after)
                self.close_connection = True
            else:
                self.reply(206 if asked else 200, sent[first:], headers, body)

        def reply(self, status: int, data: bytes, headers: dict[str, str], body: bool, cut: int | None = None) -> None:
            self.send_response(status)
            for name, value in (headers | {"Content-Length": str(len(data))}).items():
                self.send_header(name, value)
            self.end_headers()
            if body:
                self.wfile.write(data[:cut])

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
