"""What MusicLM means after the beginning of a recording, as semantic tokens: for audits of what it knows by heart."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from toccata.audio.resample import resample, to_channels
from toccata.clip import Clip
from toccata.errors import InputError
from toccata.models.musiclm.pipeline import MusicLM
from toccata.models.musiclm.writing import written


@torch.no_grad()
def continued(model: MusicLM, clip: Clip, heard: float, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """The semantic tokens of ``seconds`` after ``heard`` seconds: the model's and the recording's, (T,) each.

    As the paper audits it (arXiv 2301.11325, section 6): the stage has MuLan's tokens of the recording and the semantic
    ones before, and takes the likeliest at every step. Raises ``InputError`` for a clip that is shorter than both
    together, for more than the stage's window, and for a model without a semantic stage.
    """
    stage = model.stages.get("semantic")
    if stage is None:
        raise InputError(f"{model.name} has no semantic stage to audit; choose a model that has")
    whole = heard + seconds
    if whole > stage.network.config.seconds:
        raise InputError(
            f"{whole:g} seconds are more than the {stage.network.config.seconds:g} of {model.name}'s window"
        )
    if clip.seconds < whole:
        raise InputError(f"it lasts {clip.seconds:.1f} seconds, too short to hear {heard:g} and go on for {seconds:g}")
    wave_1N = to_channels(resample(clip.samples, clip.sample_rate, model.sample_rate), 1)
    read = {"mulan": model.tokens_of_sound(wave_1N[:, : round(whole * model.sample_rate)])}
    known, frames = round(heard * stage.rate), round(whole * stage.rate)
    slow_1N = resample(wave_1N, model.sample_rate, model.semantic.sample_rate)
    slow_1N = slow_1N[:, : round(whole * model.semantic.sample_rate)]
    tokens_1T = model.semantic.tokens(torch.from_numpy(slow_1N))[:, :frames]
    likeliest = replace(stage, sampling=replace(stage.sampling, top_k=1, top_p=1.0))
    missing = tokens_1T.shape[1] - known
    made_11T = written(likeliest, read, tokens_1T[None, :, :known], missing, [torch.Generator().manual_seed(0)])
    return made_11T[0, 0].numpy(), tokens_1T[0, known:].numpy()


def centres(model: MusicLM) -> Tensor:
    """Where the semantic tokens lie among the features: (V, D)."""
    return model.semantic.centres.get_buffer("codes_VD").float().cpu()
