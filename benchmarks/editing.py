"""``editing``: how near changed recordings stay to what they were made of, and whether their joins are heard.

The recordings are held-out band pieces in stereo, the words their captions; where a recording is varied, the next
one's, which the music is to come to fit. A join is measured by how much the spectrogram changes there, over how much it
does elsewhere in the same clip; the control is the recording as it was, at the same places.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from benchmarks import stereo
from benchmarks.report import Figure, Options, compared
from benchmarks.stable_models import stable_audio
from benchmarks.stereo import RATE, Excerpt, middle
from toccata import hub
from toccata.audio.resample import resample
from toccata.clip import Clip
from toccata.evaluation.distances import chroma_correlation, log_mel_distance
from toccata.models.stable_audio.pipeline import StableAudio

STRENGTHS = (0.2, 0.4, 0.6, 0.8, 1.0)
REGION = (4.0, 8.0)
PART, EXTENSION = (3.0, 9.0), (3.0, 3.0)  # what of a recording is extended, by so much
BARS, TEMPO = 4, 110.0
MOMENT = 0.02  # seconds

Joined = tuple[np.ndarray, Sequence[float]]  # wave_CN and its joins, in seconds


@dataclass(frozen=True)
class Sizes:
    """How many recordings are changed."""

    pieces: int


FULL, QUICK = Sizes(24), Sizes(2)


def run(options: Options) -> Iterator[Figure]:
    """Similarity by strength; of a part made anew, what stays, what fits, its joins; joins of extensions and loops."""
    model = stable_audio("editing", options)
    count = (QUICK if options.quick else FULL).pieces
    pieces = stereo.excerpts(range(count))
    yield from variations(model, pieces)
    yield from inpainting(model, pieces)
    yield from joins(model, pieces)


def variations(model: StableAudio, pieces: Sequence[Excerpt]) -> Iterator[Figure]:
    """Likeness against the codec's copy, the nearest that can be reached; the control is the next recording.

    Fit to the words, by mulan-mini, against the recording that they tell of; the control is the one that was varied.
    """
    old = [_at_rate(model, piece.wave_CN) for piece in pieces]
    copies, texts = [_copied(model, wave_CN) for wave_CN in old], [piece.text for piece in [*pieces[1:], pieces[0]]]
    fit = _fit_to(texts, model.sample_rate)
    best_fit, own_fit = fit(old[1:] + old[:1]), fit(old)
    for strength in STRENGTHS:
        made = [
            model.generate(text, seed=seed, init=Clip(wave, model.sample_rate), strength=strength).samples
            for seed, (text, wave) in enumerate(zip(texts, old, strict=True))
        ]
        yield compared(f"fit to the words, strength {strength:g}", fit(made), "cosine", best_fit, own_fit, len(pieces))
        for name, unit, distance in (
            ("chroma correlation", "", chroma_correlation),
            ("log-mel L1", "nepers", log_mel_distance),
        ):
            own, best, control = (
                _mean(distance, old, others, model.sample_rate) for others in (made, copies, old[1:] + old[:1])
            )
            yield compared(f"{name} with the recording, strength {strength:g}", own, unit, best, control, len(pieces))


def inpainting(model: StableAudio, pieces: Sequence[Excerpt]) -> Iterator[Figure]:
    """Inside the part, against the codec's copy of it; the control is made of the same words and seed alone."""
    rate, inside = model.sample_rate, slice(*(round(at * model.sample_rate) for at in REGION))
    old = [_at_rate(model, piece.wave_CN) for piece in pieces if piece.wave_CN.shape[1] > (REGION[1] + 1) * RATE]
    texts = [piece.text for piece in pieces if piece.wave_CN.shape[1] > (REGION[1] + 1) * RATE]
    made = [
        model.generate(text, seed=seed, init=Clip(wave, rate), inpaint=[REGION]).samples
        for seed, (text, wave) in enumerate(zip(texts, old, strict=True))
    ]
    alone = [
        model.generate(t, w.shape[1] / rate, seed).samples for seed, (t, w) in enumerate(zip(texts, old, strict=True))
    ]
    outside = [np.delete(a, inside, axis=1) - np.delete(b, inside, axis=1) for a, b in zip(made, old, strict=True)]
    off = max(float(np.abs(wave).max()) for wave in outside)
    yield Figure("largest difference outside the part made anew", off, "of full scale", n=len(old))
    kept = [[wave[:, inside] for wave in waves] for waves in (old, made, alone, [_copied(model, w) for w in old])]
    fits, control, best = (_mean(chroma_correlation, kept[0], others, rate) for others in kept[1:])
    yield compared("chroma correlation inside the part made anew", fits, "", best, control, len(old))
    name = "change at its joins over elsewhere (median)"
    yield _joined(name, [(wave, REGION) for wave in made], [(wave, REGION) for wave in old], rate)


def joins(model: StableAudio, pieces: Sequence[Excerpt]) -> Iterator[Figure]:
    """Of a part of a recording and what was made before and after it; of a loop's end and its start.

    The loop's control is a plain clip's end and start.
    """
    rate, extended, looped, plain = model.sample_rate, [], [], []
    whole = [_at_rate(model, piece.wave_CN) for piece in pieces]
    for seed, (piece, old) in enumerate(zip(pieces, whole, strict=True)):
        part = old[:, slice(*(round(at * rate) for at in PART))]
        extended += [model.generate(piece.text, seed=seed, init=Clip(part, rate), extend=EXTENSION).samples]
        loop = model.generate(piece.text, seed=seed, loop=BARS, bpm=TEMPO).samples
        single = model.generate(piece.text, loop.shape[1] / rate, seed).samples
        for found, wave in ((looped, loop), (plain, single)):
            found.append((np.tile(wave, 2), (wave.shape[1] / rate,)))
    places = EXTENSION[0], EXTENSION[0] + PART[1] - PART[0]
    name = "change at the joins of an extended recording over elsewhere (median)"
    yield _joined(name, [(wave, places) for wave in extended], [(wave, PART) for wave in whole], rate)
    yield _joined("change at a loop's join over elsewhere (median)", looped, plain, rate)


def _joined(name: str, made: Sequence[Joined], control: Sequence[Joined], rate: int) -> Figure:
    """The median change at all joins; elsewhere it is 1."""
    ours, theirs = ([change(wave, rate, at) for wave, joins in waves for at in joins] for waves in (made, control))
    return compared(name, float(np.median(ours)), "", 1.0, float(np.median(theirs)), len(ours))


def change(wave_CN: np.ndarray, rate: int, at: float) -> float:
    """How much louder bands become, moment by moment, around ``at`` seconds, over the mean of the whole clip."""
    moment = round(MOMENT * rate)
    wave_N = torch.from_numpy(middle(wave_CN))
    window_W = torch.hann_window(2 * moment)
    spectrum_FT = torch.stft(wave_N, 2 * moment, moment, window=window_W, center=False, return_complex=True).abs()
    flux_T = (spectrum_FT + 1e-4).log().diff(dim=1).clamp(min=0).sum(0).numpy()
    here = round(at * rate / moment)
    return float(flux_T[max(here - 3, 0) : here + 2].mean() / max(flux_T.mean(), 1e-9))


def _fit_to(texts: Sequence[str], rate: int) -> Callable[[Sequence[np.ndarray]], float]:
    """Of waves_CN, the mean cosine of mulan-mini's vectors of each and of its text."""
    joint = hub.load_embedder(device="cpu")
    told_ND = joint.embed_text(texts)

    def fit(waves: Sequence[np.ndarray]) -> float:
        heard_ND = joint.embed([Clip(wave_CN, rate) for wave_CN in waves])
        return torch.cosine_similarity(heard_ND, told_ND).mean().item()

    return fit


def _at_rate(model: StableAudio, wave_CN: np.ndarray) -> np.ndarray:
    return resample(wave_CN, RATE, model.sample_rate)


@torch.no_grad()
def _copied(model: StableAudio, wave_CN: np.ndarray) -> np.ndarray:
    wave_BCN = torch.from_numpy(wave_CN)[None].to(next(model.codec.parameters()).device)
    return model.codec.decode(model.codec.encode(wave_BCN))[0, :, : wave_CN.shape[1]].cpu().numpy()


def _mean(distance, waves: Sequence[np.ndarray], others: Sequence[np.ndarray], rate: int) -> float:
    """Of the middles of every pair, both as long as the shorter."""
    found = []
    for a, b in zip(waves, others, strict=True):
        length = min(a.shape[1], b.shape[1])
        found.append(distance(middle(a[:, :length]), middle(b[:, :length]), rate))
    return float(np.mean(found))
