"""A listening test over HTTP: a page, its trials, clips without names, answers.

What the page sees of a clip is its place in a trial, so nothing that it loads tells one set from another.
"""

import hashlib
import logging
import secrets
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any

import numpy as np
from fastapi import Cookie, FastAPI, HTTPException, Path, Query
from fastapi.responses import FileResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from toccata.errors import ToccataError
from toccata.evaluation.answers import Answers, Said, Trial
from toccata.evaluation.matching import Material
from toccata.evaluation.playback import Playback
from toccata.evaluation.trials import PAIRS
from toccata.server.app import WEB, assemble

HEARD = 0.9
_RATER = r"^[A-Za-z0-9_-]{1,64}$"
_A_YEAR = 365 * 86400
_log = logging.getLogger("toccata.server")

Rater = Annotated[str, Query(pattern=_RATER)]
TrialId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{16}$")]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Points = Annotated[int, Field(ge=1, le=100)]


class _Sent(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    seconds: float = Field(ge=0, le=1e7, allow_inf_nan=False)


class Preference(_Sent):
    """Of two clips: from -2, the left one fits far better, to 2, the right one; shares of each that were played."""

    preference: int = Field(ge=-2, le=2)
    heard: list[Share] = Field(min_length=2, max_length=2)


class Opinion(_Sent):
    """Of one clip."""

    quality: Points
    relevance: Points
    heard: list[Share] = Field(min_length=1, max_length=1)


@dataclass(frozen=True)
class ListeningTest:
    """What is played, how, and where the answers go."""

    material: Material
    playback: Playback
    answers: Answers

    def trial(self, name: str, rater: str) -> Trial:
        trial = self.answers.trial(name, rater)
        if trial is None:
            raise HTTPException(404, "this rater has no such trial; load the page again")
        return trial

    def screen(self, rater: str) -> dict[str, Any]:
        """What the page shows a rater next; ``trial`` is None at the end."""
        trial = self.answers.next(rater)
        done, total = self.answers.done(rater)
        shown = None
        if trial:
            text = self.material.prompts[trial.prompt]
            shown = {"id": trial.id, "text": text, "clips": len(trial.clips)}
        return {"mode": self.answers.design.mode, "done": done, "total": total, "heard": HEARD, "trial": shown}

    def store(self, trial: Trial, said: Said) -> dict[str, int]:
        if said.heard < HEARD:
            raise HTTPException(422, "hear every clip to its end before you answer")
        if not self.answers.answer(trial, said):
            raise HTTPException(409, "this was answered before, and otherwise; load the page again to go on")
        done, total = self.answers.done(trial.rater)
        return {"done": done, "total": total}


def listening_app(test: ListeningTest, token: str | None = None) -> FastAPI:
    """The application of one listening test."""
    app = assemble("listen", token)
    sound = lru_cache(maxsize=32)(lambda *which: _sound(test, *which))

    @app.get("/", include_in_schema=False)
    def page(
        rater: Annotated[str | None, Query(pattern=_RATER)] = None,
        toccata_rater: Annotated[str | None, Cookie(pattern=_RATER)] = None,
        token: str | None = None,
    ) -> Response:
        """The page, at an address that names the rater: who comes back to it goes on. The token leaves the address."""
        name = rater or toccata_rater or secrets.token_urlsafe(12)
        go = rater is None or token is not None
        found = RedirectResponse(f"/?rater={name}", 303) if go else FileResponse(WEB / "listen" / "index.html")
        found.set_cookie("toccata_rater", name, max_age=_A_YEAR, httponly=True, samesite="lax")
        found.headers["Cache-Control"] = "no-store"
        return found

    @app.post("/v1/trials")
    def trials(rater: Rater, response: Response) -> dict[str, Any]:
        response.headers["Cache-Control"] = "no-store"
        return test.screen(rater)

    @app.get("/v1/trials/{name}/clips/{place}")
    def clip(name: TrialId, place: Annotated[int, Path(ge=0, le=1)], rater: Rater) -> Response:
        trial = test.trial(name, rater)
        if place >= len(trial.clips):
            raise HTTPException(404, "this trial has a single clip")
        chosen, spoilt = trial.clips[place]
        data = sound(trial.prompt, chosen, trial.id if spoilt else None)
        return Response(data, media_type="audio/wav", headers={"Cache-Control": "no-store"})

    def preferred(name: TrialId, rater: Rater, sent: Preference) -> dict[str, int]:
        said = Said(sent.preference, None, None, min(sent.heard), sent.seconds)
        return test.store(test.trial(name, rater), said)

    def rated(name: TrialId, rater: Rater, sent: Opinion) -> dict[str, int]:
        said = Said(None, sent.quality, sent.relevance, min(sent.heard), sent.seconds)
        return test.store(test.trial(name, rater), said)

    app.post("/v1/trials/{name}/answer")(preferred if test.answers.design.mode == PAIRS else rated)
    return app


def _sound(test: ListeningTest, prompt: int, chosen: int, spoilt_for: str | None) -> bytes:
    """A clip, or its copy under noise, which is another in every trial. The rater isn't told what is wrong with it."""
    item = test.material.clips[prompt][chosen]
    try:
        if spoilt_for is None:
            return test.playback.sound(item, prompt)
        seed = int.from_bytes(hashlib.sha256(spoilt_for.encode()).digest()[:8])
        return test.playback.damaged(item, prompt, np.random.default_rng(seed))
    except ToccataError as error:
        _log.error("a clip cannot be played: %s", error)
        raise HTTPException(500, "this clip cannot be played; tell whoever sent you here") from None
