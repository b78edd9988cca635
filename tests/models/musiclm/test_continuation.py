"""What MusicLM goes on with in tokens: the likeliest after what it heard, beside the recording's own."""

import numpy as np
import pytest
import torch

from tests.models.musiclm.test_pipeline import BESIDE, CONFIG, parts
from toccata.audio.resample import resample
from toccata.clip import Clip
from toccata.errors import InputError
from toccata.models.musiclm.config import without_semantic
from toccata.models.musiclm.continuation import centres, continued
from toccata.models.musiclm.pipeline import MusicLM
from toccata.models.musiclm.writing import Stage

RATE = 24_000


def model_of(config):
    networks, joint, meaning, codec = parts(config)
    if "semantic" in networks:  # sharp enough that one token does not go on for ever
        torch.manual_seed(13)
        for module in networks["semantic"].modules():
            if isinstance(module, torch.nn.Linear):
                torch.nn.init.normal_(module.weight, std=2)
    stages = {name: Stage.of(network) for name, network in networks.items()}
    return MusicLM(config, stages, joint, meaning, codec, "tiny")


def sweep(seconds):
    hertz = np.geomspace(100, 4000, round(seconds * RATE))
    return Clip(0.5 * np.sin(2 * np.pi * np.cumsum(hertz) / RATE)[None].astype(np.float32), RATE)


@torch.no_grad()
@pytest.mark.parametrize("config", [CONFIG, BESIDE], ids=["line", "beside"])
def test_every_token_is_the_likeliest_after_those_before_it(config):
    model, clip = model_of(config), sweep(2)
    made_T, true_T = continued(model, clip, 0.6, 0.4)
    slow_1N = resample(clip.samples[:, :RATE], RATE, model.semantic.sample_rate)
    heard_1T = model.semantic.tokens(torch.from_numpy(slow_1N))
    assert (true_T == heard_1T[0, 15:].numpy()).all()
    whole_11T = torch.cat([heard_1T[:, :15], torch.from_numpy(made_T)[None]], dim=1)[None]
    read, network = {"mulan": model.tokens_of_sound(clip.samples[:, :RATE])}, model.stages["semantic"].network
    told, untold = (network(read, whole_11T, torch.tensor([known]))[0, 0, 15:] for known in (True, False))
    likeliest_T = (untold + config.semantic.guidance * (told - untold)).argmax(-1)
    assert (made_T == likeliest_T.numpy()).all()
    assert len(set(made_T.tolist())) > 1


def test_tokens_lie_at_their_centres():
    model = model_of(CONFIG)
    assert centres(model).shape == (6, 32)


@pytest.mark.parametrize(
    ("config", "seconds", "heard", "says"),
    [
        (CONFIG, 1.0, 0.8, "too short to hear 0.8"),
        (CONFIG, 3.0, 1.8, "more than the 2 of tiny's window"),
        (without_semantic(CONFIG), 2.0, 0.5, "no semantic stage"),
    ],
)
def test_what_cannot_be_continued_is_told(config, seconds, heard, says):
    with pytest.raises(InputError, match=says):
        continued(model_of(config), sweep(seconds), heard, 0.4)
