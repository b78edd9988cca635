"""What all of toccata's servers are made of: problems, the guard, a page's files, a sign of life."""

from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from toccata.server import problems
from toccata.server.guard import Guard

WEB = Path(__file__).parents[1] / "web"


def assemble(page: str, token: str | None = None, max_body: int = 64 * 1024) -> FastAPI:
    """An application without routes of its own but ``/healthz``, and ``/static`` with the files of a page in ``web/``.

    ``token`` and ``max_body`` (bytes) are the guard's.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    problems.install(app)
    app.add_middleware(Guard, token=token, max_body=max_body)

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    app.mount("/static", StaticFiles(directory=WEB / page))
    return app
