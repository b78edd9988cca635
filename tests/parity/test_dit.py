"""Stable Audio's diffusion transformer and its conditions against diffusers' on the same random weights."""

from pathlib import Path

import pytest
import torch

from toccata.models.stable_audio.config import open_1_0, open_small
from toccata.models.stable_audio.network import StableAudioNetwork
from toccata.models.stable_audio.published import config_of_diffusers, of_diffusers
from toccata.weights import checkpoint

diffusers = pytest.importorskip("diffusers")
pytestmark = pytest.mark.filterwarnings("ignore:.*is deprecated:FutureWarning")
HERE = Path("memory")
DIT = {"sample_size": 20, "in_channels": 6, "out_channels": 6, "num_layers": 3, "attention_head_dim": 16,
       "num_attention_heads": 4, "num_key_value_attention_heads": 2, "cross_attention_dim": 32,
       "cross_attention_input_dim": 24, "global_states_input_dim": 48}  # fmt: skip
SCHEDULER = {"sigma_min": 0.3, "sigma_max": 500, "prediction_type": "v_prediction"}


def build(text=24, seed=0):
    torch.manual_seed(seed)
    dit = diffusers.StableAudioDiTModel(**DIT).eval()
    from diffusers.pipelines.stable_audio.modeling_stable_audio import StableAudioProjectionModel

    told = StableAudioProjectionModel(text_encoder_dim=text, conditioning_dim=24, min_value=0, max_value=512).eval()
    for module in (dit, told):
        for name, parameter in module.named_parameters():
            torch.nn.init.normal_(parameter, std=1.0 if name.endswith("weights") else 0.15)
    return dit, told


def ours_of(dit, told, tokens=9):
    config = config_of_diffusers(dit.config, told.config, SCHEDULER, tokens, HERE)
    network = StableAudioNetwork(config)
    checkpoint.load_into(network, of_diffusers(dit.state_dict(), told.state_dict(), config, HERE), HERE)
    return network.eval()


@pytest.mark.parametrize("text", [24, 40])
def test_velocities_agree(text):
    dit, told = build(text)
    network = ours_of(dit, told)
    torch.manual_seed(1)
    latent_BTD, text_BLW, t_B = torch.randn(2, 20, 6), torch.randn(2, 7, text), torch.tensor([0.2, 0.97])
    mask_BL = torch.tensor([[True] * 7, [True] * 4 + [False] * 3])
    timing = {"seconds_start": torch.tensor([0.0, 13.0]), "seconds_total": torch.tensor([30.5, 600.0])}
    with torch.no_grad():
        padded = torch.nn.functional.pad(text_BLW, (0, 0, 0, 2))
        said = told(padded, timing["seconds_start"], timing["seconds_total"])
        words = said.text_hidden_states * torch.nn.functional.pad(mask_BL, (0, 2))[..., None]
        numbers = [said.seconds_start_hidden_states, said.seconds_end_hidden_states]
        rotary = diffusers.models.embeddings.get_1d_rotary_pos_embed(8, 21, use_real=True, repeat_interleave_real=False)
        expected = dit(
            latent_BTD.transpose(1, 2), t_B, torch.cat([words, *numbers], dim=1), torch.cat(numbers, dim=2),
            rotary_embedding=rotary,
        ).sample  # fmt: skip
        made_BTD = network(latent_BTD, t_B, network.condition(text_BLW, mask_BL, timing))
    assert torch.allclose(made_BTD.transpose(1, 2), expected, atol=1e-4)
    assert expected.std() > 0.05


def test_the_published_sizes_are_the_presets():
    with torch.device("meta"):
        theirs = diffusers.StableAudioDiTModel()
        ours, small = StableAudioNetwork(open_1_0()), StableAudioNetwork(open_small())
    assert ours.dit is not None
    assert small.dit is not None
    count = sum(p.numel() for p in theirs.parameters())
    assert sum(p.numel() for p in ours.dit.parameters()) == count
    assert count == pytest.approx(1.057e9, rel=0.01)
    assert sum(p.numel() for p in small.dit.parameters()) == pytest.approx(341e6, rel=0.002)  # 0.34B, as its paper says
    from diffusers.pipelines.stable_audio.modeling_stable_audio import StableAudioProjectionModel

    told = StableAudioProjectionModel(text_encoder_dim=768, conditioning_dim=768, min_value=0, max_value=512)
    assert config_of_diffusers(theirs.config, told.config, SCHEDULER, 128, HERE) == open_1_0()
