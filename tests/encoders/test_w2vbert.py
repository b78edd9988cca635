import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from toccata.encoders.semantic import SemanticTokens, load_semantic, save_semantic
from toccata.encoders.w2vbert import W2vBert, contrastive_loss, full, mini, spans
from toccata.errors import InputError, WeightsError

TINY = replace(
    mini(), width=32, heads=2, inner=48, contrast_layers=1, prediction_layers=2, layer=2, channels=4, vocabulary=8,
    code_width=8, n_fft=256, bands=16, window_seconds=1.0, mask_frames=3, tokens=6,
)  # fmt: skip


@pytest.fixture
def model() -> SemanticTokens:
    torch.manual_seed(0)
    model = SemanticTokens(W2vBert(TINY)).eval()
    features_BTD = torch.cat(list(model.encoder.windows(torch.randn(4, 16_000))), dim=1)
    model.fit(features_BTD.detach().flatten(0, 1), torch.Generator().manual_seed(0))
    return model


def test_the_published_size_has_the_papers_parameters():
    with torch.device("meta"):
        count = sum(p.numel() for p in W2vBert(full()).parameters())
    assert 590e6 < count < 620e6
    assert full().frame_rate == mini().frame_rate == 25


def test_a_token_stands_for_a_fortieth_of_a_second(model):
    wave_BN = torch.randn(2, 3 * 16_000 + 100)
    assert model.tokens(wave_BN).shape == (2, 75)
    assert model.tokens(wave_BN).max() < 6


def test_tokens_of_one_clip_do_not_depend_on_the_others(model):
    wave_BN = torch.randn(3, 24_000)
    assert torch.equal(model.tokens(wave_BN)[1:2], model.tokens(wave_BN[1:2]))


def test_long_sound_is_read_window_by_window(model):
    wave_BN, encoder = torch.randn(1, 2 * 16_000), model.encoder
    assert isinstance(encoder, W2vBert)
    halves = [encoder.features(part_BTM) for part_BTM in encoder.mels(wave_BN).chunk(2, dim=1)]
    assert torch.equal(model.tokens(wave_BN), model.named(halves))


def test_what_is_saved_names_sound_alike(model, tmp_path):
    save_semantic(tmp_path, model, name="tiny")
    wave_BN = torch.randn(1, 32_000)
    assert (load_semantic(tmp_path).tokens(wave_BN) == model.tokens(wave_BN)).float().mean() > 0.9


def test_too_short_a_sound_and_an_encoder_without_tokens_are_told(model):
    with pytest.raises(InputError, match="shorter than"):
        model.tokens(torch.randn(1, 600))
    with pytest.raises(WeightsError, match="no tokens yet"):
        SemanticTokens(W2vBert(TINY)).tokens(torch.randn(1, 16_000))
    with pytest.raises(InputError, match="too few"):
        model.fit(torch.randn(5, 32), torch.Generator())


def test_spans_are_whole_and_every_clip_has_one():
    mask_BT = spans(50, 40, 0.01, 5, torch.Generator().manual_seed(0))
    assert mask_BT.any(1).all()
    for mask_T in mask_BT:
        runs = "".join("x" if hidden else " " for hidden in mask_T).split()
        assert all(len(run) >= 5 for run in runs[:-1])
        assert len(runs[-1]) >= 5 or mask_T[-1]


def test_only_what_is_hidden_is_asked_for():
    generator = torch.Generator().manual_seed(0)
    told, right, mask_BT = torch.randn(2, 9, 4), torch.randn(2, 9, 4), torch.rand(2, 9) < 0.5
    mask_BT[:, :2] = True
    loss = contrastive_loss(told, right, mask_BT, 5, generator)
    told[~mask_BT], right[~mask_BT] = 7.0, 7.0
    assert loss == contrastive_loss(told, right, mask_BT, 5, torch.Generator().manual_seed(0))


def test_to_use_one_code_only_is_no_way_out():
    told, mask_BT = torch.randn(1, 6, 4), torch.ones(1, 6, dtype=torch.bool)
    loss = contrastive_loss(told, torch.ones(1, 6, 4), mask_BT, 9, torch.Generator())
    assert loss == pytest.approx(math.log(10))


def melodies(generator: torch.Generator) -> Tensor:
    """Log-mels of eight sequences that climb or fall by steps of three bands, each at its own pitch."""
    begin_B1, climb_B1 = (torch.randint(low, 16, (8, 1), generator=generator) for low in (0, 1))
    place_BT = (begin_B1 + climb_B1 * (torch.arange(60) // 12)) % 16
    return 3.0 * F.one_hot(place_BT, 16).float() - 1.0


@pytest.mark.parametrize(
    "config", [replace(TINY, vocabulary=32), replace(TINY, codes="learnt", idle_weight=2.0)], ids=["mels", "learnt"]
)
def test_what_is_hidden_is_learnt_better_than_by_guessing_the_commonest_code(config):
    torch.manual_seed(0)
    encoder = W2vBert(config)
    encoder.start(melodies(torch.Generator().manual_seed(0)), torch.Generator().manual_seed(0))
    optimiser = torch.optim.Adam(encoder.parameters(), 2e-3)
    for step in range(150):
        generator = torch.Generator().manual_seed(step)
        encoder(melodies(generator), 1.0, generator).total.backward()
        optimiser.step()
        optimiser.zero_grad()
    generator = torch.Generator().manual_seed(1000)
    mel_BTM = melodies(generator)
    with torch.no_grad():
        guessed = encoder.eval()(mel_BTM, 0.0, generator).guessed
        codes = encoder.codes(mel_BTM, encoder.encode(mel_BTM), 0.0, generator).codes_BT
    assert guessed > torch.bincount(codes.flatten()).max() / codes.numel() + 0.15


@pytest.mark.parametrize("codes", ["mels", "learnt"])
def test_losses_in_bfloat16_are_near_those_in_float32(codes):
    torch.manual_seed(0)
    encoder = W2vBert(replace(TINY, codes=codes))
    mel_BTM = melodies(torch.Generator().manual_seed(0))
    encoder.start(mel_BTM, torch.Generator().manual_seed(0))
    whole = encoder(mel_BTM, 1.0, torch.Generator().manual_seed(1))
    with torch.autocast("cpu", torch.bfloat16):
        half = encoder(mel_BTM, 1.0, torch.Generator().manual_seed(1))
    half.total.backward()
    assert half.contrast.item() == pytest.approx(whole.contrast.item(), rel=0.05)
    assert half.prediction.item() == pytest.approx(whole.prediction.item(), rel=0.05)
