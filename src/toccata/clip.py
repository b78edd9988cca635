"""What comes out: a ``Clip`` of sound that knows its origin, and the protocol of all that makes clips."""

import base64
import html
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, overload

import numpy as np

from toccata.audio import io
from toccata.errors import InputError
from toccata.prompt import Prompt
from toccata.version import __version__

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TITLE_CHARACTERS = 120
FADE_SECONDS = 0.03


@dataclass(frozen=True, eq=False)
class Clip:
    """A piece of sound and its origin.

    ``samples`` are float32 (channels, samples) in [-1, 1]; ``sample_rate`` is in Hz; ``model`` and ``weights_sha256``
    name what made it from ``prompt`` and ``seed``, all empty for sound from elsewhere.
    """

    samples: np.ndarray
    sample_rate: int
    prompt: str = ""
    seed: int = 0
    model: str = ""
    weights_sha256: str = ""

    def __post_init__(self) -> None:
        if self.samples.ndim != 2 or self.samples.dtype != np.float32:
            raise ValueError(
                f"samples must be float32 (channels, samples), not {self.samples.dtype} {self.samples.shape}"
            )
        if not np.abs(self.samples).max(initial=0.0) <= 1:
            raise ValueError("samples must be finite and in [-1, 1]")

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.samples.shape[1] / self.sample_rate

    @property
    def tags(self) -> dict[str, str]:
        """What a file says of its origin: the prompt as title, and as comment a JSON object with the rest."""
        origin = {
            "prompt": self.prompt,
            "seed": self.seed,
            "model": self.model,
            "weights_sha256": self.weights_sha256,
            "toccata": __version__,
        }
        software = f"toccata {__version__}"
        return {"title": self.prompt[:_TITLE_CHARACTERS], "comment": json.dumps(origin), "software": software}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write .wav, .flac, .ogg or .mp3 by ``path``'s suffix, with ``tags``; whole, or raises ``OutputError``."""
        io.write(path, self.samples, self.sample_rate, self.tags)

    def to_bytes(self, suffix: str = ".wav") -> bytes:
        """The file that ``save`` would write."""
        return io.encode(self.samples, self.sample_rate, suffix, self.tags)

    def plot(self, path: str | os.PathLike[str] | None = None) -> "Figure":
        """A picture of the wave and its spectrogram, also written to ``path`` (.png, .svg, .pdf) where one is given."""
        from toccata.audio.plot import plot

        return plot(self.samples, self.sample_rate, self.prompt[:_TITLE_CHARACTERS], path)

    @classmethod
    def join(cls, clips: Iterable["Clip"]) -> "Clip":
        """One clip of several, end to end, with the first one's origin; raises ``InputError`` where they do not fit."""
        parts = list(clips)
        if not parts:
            raise InputError("there is no clip to join; give at least one")
        shapes = {(clip.sample_rate, len(clip.samples)) for clip in parts}
        if len(shapes) > 1:
            raise InputError("clips of different sample rates or channels cannot be joined; resample them first")
        return replace(parts[0], samples=np.concatenate([clip.samples for clip in parts], axis=1))

    def __add__(self, other: "Clip") -> "Clip":
        return Clip.join((self, other))

    def _repr_html_(self) -> str:
        sound = base64.b64encode(self.to_bytes()).decode()
        return (
            f"<figure><figcaption>{html.escape(self.prompt)}</figcaption>"
            f'<audio controls src="data:audio/wav;base64,{sound}"></audio></figure>'
        )

    def __repr__(self) -> str:
        return (
            f"Clip({self.seconds:.2f} s, {len(self.samples)} x {self.sample_rate} Hz, "
            f"prompt={self.prompt!r}, seed={self.seed}, model={self.model!r})"
        )


Progress = Callable[[float, float], Any]
"""Called now and then while music is made, with (seconds made, seconds asked for)."""


def sound(audio: str | Path | Clip) -> tuple[np.ndarray, int]:
    """Samples (channels, samples) and rate of a clip or a sound file."""
    return (audio.samples, audio.sample_rate) if isinstance(audio, Clip) else io.read(audio)


def in_parts(waves_CN: Iterable[np.ndarray], wanted: int, origin: Clip, progress: Progress | None) -> Iterator[Clip]:
    """Waves end to end as clips of ``origin``, cut to ``wanted`` samples in all and faded at the very end."""
    sent = 0
    for wave_CN in waves_CN:
        samples = wave_CN[:, : wanted - sent]
        fade_out(samples, wanted - sent - samples.shape[1], int(FADE_SECONDS * origin.sample_rate))
        sent += samples.shape[1]
        if progress is not None:
            progress(sent / origin.sample_rate, wanted / origin.sample_rate)
        if samples.size:
            yield replace(origin, samples=samples)


def fade_out(samples_CN: np.ndarray, left: int, fade: int) -> None:
    """Fade, in place, what lies within ``fade`` samples of the end, which is ``left`` samples after this part."""
    from_end = np.arange(samples_CN.shape[1], 0, -1) + left - 1
    samples_CN *= np.minimum(from_end / fade, 1.0).astype(samples_CN.dtype)


class Generator(Protocol):
    """A loaded model: text in, clips out.

    ``generate`` takes the ranges of ``GenerateOptions``. A list of prompts gives a list of clips, each with ``seed``
    and equal to its own single run. Without a seed one is drawn; the clip tells which.
    """

    @property
    def name(self) -> str: ...

    @property
    def sample_rate(self) -> int: ...

    @property
    def weights_sha256(self) -> str: ...

    @overload
    def generate(
        self,
        prompt: str | Prompt,
        seconds: float = 10.0,
        seed: int | None = None,
        *,
        guidance: float | None = None,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        progress: Progress | None = None,
    ) -> Clip: ...

    @overload
    def generate(
        self,
        prompt: Sequence[str | Prompt],
        seconds: float = 10.0,
        seed: int | None = None,
        *,
        guidance: float | None = None,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        progress: Progress | None = None,
    ) -> list[Clip]: ...
