"""Moûsai's sizes."""

from dataclasses import asdict

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from toccata.codecs import magnitude, magnitude_config
from toccata.encoders.t5 import T5Encoder, t5_base
from toccata.models.mousai.config import full, mini, read_config
from toccata.models.mousai.network import MousaiNetwork


@pytest.mark.parametrize(("preset", "codec"), [(full, magnitude_config.full), (mini, magnitude_config.mini)])
def test_presets_fit_their_codec_and_can_be_read_again(preset, codec):
    config = preset()
    assert config.unet.inputs == codec().latent
    assert config.window % config.unet.stride == 0
    assert read_config(asdict(config)) == config


def test_the_whole_has_about_the_papers_857_million_parameters():
    with torch.device("meta"):
        words = T5Encoder(t5_base(), Tokenizer(WordLevel({"a": 0}, unk_token="a")))
        parts = MousaiNetwork(full()), magnitude.build(magnitude_config.full()), words
    assert sum(p.numel() for part in parts for p in part.parameters()) == pytest.approx(857e6, rel=0.01)
