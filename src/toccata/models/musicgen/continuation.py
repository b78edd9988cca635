"""What a model writes after the beginning of a recording, as codes: for audits of what it has learnt by heart."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from toccata.audio.resample import resample, to_channels
from toccata.clip import Clip
from toccata.errors import InputError
from toccata.models.musicgen.pipeline import MusicGen
from toccata.models.musicgen.writing import Piece
from toccata.prompt import Prompt


@torch.no_grad()
def continued(model: MusicGen, clip: Clip, text: str, heard: float, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """The first codebook's codes of ``seconds`` after ``heard`` seconds: the model's and the recording's, (T,) each.

    The model has the codes before, all codebooks, and takes the likeliest code at every step, so there is no chance in
    it. Raises ``InputError`` for a clip that is shorter than both together.
    """
    rate, frame_rate = model.sample_rate, model.network.config.frame_rate
    known, frames = round(heard * frame_rate), round((heard + seconds) * frame_rate)
    wave_CN = to_channels(resample(clip.samples, clip.sample_rate, rate), model.network.config.channels)
    if wave_CN.shape[1] < (heard + seconds) * rate:
        raise InputError(f"it lasts {clip.seconds:.1f} seconds, too short to hear {heard:g} and go on for {seconds:g}")
    device = model.writer.device
    start = torch.from_numpy(wave_CN[None, :, : round((heard + seconds) * rate)]).to(device)
    codes_KT = model.codec.encode(start, model.network.config.codebooks)[0, :, :frames].cpu()
    likeliest = replace(model.sampling, top_k=1, top_p=1.0)
    piece = Piece(Prompt(text), codes_KT[:, :known], frames, torch.Generator(device).manual_seed(0))
    made = list(model.writer.write(piece, likeliest))
    return torch.stack(made, dim=-1)[0].numpy(), codes_KT[0, known:].numpy()


@torch.no_grad()
def centres(model: MusicGen) -> Tensor:
    """Where the codes of the first codebook lie in the codec's space: (V, D)."""
    every_1V = torch.arange(model.network.config.vocabulary, device=model.writer.device)[None]
    return model.codec.quantiser.decode_level(0, every_1V)[0].float().cpu()  # type: ignore[attr-defined]
