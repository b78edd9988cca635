"""A stage of MusicLM begins as the MusicGen whose weights it takes over, without a text."""

from dataclasses import replace

import pytest
import torch

from toccata.errors import InputError
from toccata.models.musicgen.config import MusicGenConfig
from toccata.models.musicgen.network import MusicGenNetwork
from toccata.models.musiclm.config import StageConfig, Stream, mini
from toccata.models.musiclm.network import StageNetwork
from toccata.recipes import musiclm_start
from toccata.recipes.musiclm_start import hear_as, take_over

SMALL = MusicGenConfig(
    width=16, layers=2, heads=2, codebooks=4, vocabulary=8, frame_rate=25.0, text_width=6, text_layers=1,
    positions="rotary", text_sum=True,
)  # fmt: skip
FRAMES = 9


def trained(**sizes) -> MusicGenNetwork:
    torch.manual_seed(0)
    network = MusicGenNetwork(replace(SMALL, **sizes)).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    for table in network.embeddings:  # a stage has one such row for all levels
        table.get_parameter("weight").data[-1] = 0.2
    return network


def stage(name: str, **sizes) -> StageConfig:
    config = getattr(mini(), name)
    small = {stream.name: replace(stream, vocabulary=8) for stream in (*config.reads, config.writes)}
    reads, writes = tuple(small[stream.name] for stream in config.reads), small[config.writes.name]
    return replace(config, reads=reads, writes=writes, **{"width": 16, "heads": 2, "inner": 64, "layers": 2} | sizes)


def untold(config: StageConfig) -> dict[str, torch.Tensor]:
    return {s.name: torch.zeros(1, s.levels, FRAMES if s.rate else 1, dtype=torch.long) for s in config.reads}


@torch.no_grad()
def test_the_coarse_stage_is_musicgen_without_a_prompt():
    config, gen = stage("coarse"), trained()
    network = StageNetwork(config).eval()
    take_over(network, gen, same_codes=True)
    first = network.starts["semantic"]
    network.embedding.weight[first : first + 8] = 0.0  # what is always told; here it says nothing
    codes_BKT = torch.randint(8, (1, 4, FRAMES))
    mine_BKTV = network(untold(config), codes_BKT, torch.zeros(1, dtype=torch.bool))
    silence = gen.condition(torch.zeros(1, 1, 6), torch.zeros(1, 1, dtype=torch.bool))
    places_KS = SMALL.places(FRAMES)
    steps_BKS = torch.full((1, 4, FRAMES + 4), 8)
    for k in range(4):
        steps_BKS[:, k, 1 + k : 1 + k + FRAMES] = codes_BKT[:, k]
    its_BKSV = gen(steps_BKS[..., : places_KS.shape[1]], silence)
    its_BKTV = torch.stack([its_BKSV[:, k, k : k + FRAMES] for k in range(4)], dim=1)
    assert torch.allclose(mine_BKTV, its_BKTV, atol=1e-4)


@torch.no_grad()
def test_other_stages_take_the_first_blocks_alone():
    gen = trained(layers=3)
    network = StageNetwork(stage("semantic")).eval()
    before = network.embedding.weight.clone(), network.heads.weight.clone()
    take_over(network, gen, same_codes=False)
    assert torch.equal(network.embedding.weight, before[0])
    assert torch.equal(network.heads.weight, before[1])
    for mine, its in zip(network.blocks, gen.blocks, strict=False):
        assert torch.equal(mine.attention.qkv.weight, its.attention.qkv.weight)
        assert torch.equal(mine.down.weight, its.down.weight)


@pytest.mark.parametrize(
    ("name", "its", "mine", "said"),
    [
        ("coarse", {"width": 32}, {}, "built otherwise"),
        ("coarse", {"positions": "sinusoidal"}, {}, "built otherwise"),
        ("coarse", {}, {"layout": "line"}, "built otherwise"),
        ("semantic", {}, {"layers": 3}, "has 2 blocks"),
        ("coarse", {"codebooks": 2}, {}, "other codes"),
    ],
)
def test_what_is_built_otherwise_is_told(name, its, mine, said):
    with pytest.raises(InputError, match=said):
        take_over(StageNetwork(stage(name, **mine)), trained(**its), same_codes=name == "coarse")


@torch.no_grad()
def test_the_coarse_stage_hears_a_tune_as_the_musicgen_hears_its_melody(monkeypatch):
    monkeypatch.setattr(musiclm_start, "MELODY_HEARD", 1.0)
    config, gen = stage("coarse"), trained(chroma_bins=12)
    tune = Stream("melody", 1, 13, 25.0)
    config = replace(config, reads=tuple(tune if s.name == "melody" else s for s in config.reads))
    network = StageNetwork(config).eval()
    take_over(network, gen, same_codes=True)
    for stream in config.reads:  # nothing but the tune is to be heard
        first = network.starts[stream.name]
        network.embedding.weight[first : first + stream.rows] = 0.0
    hear_as(network, gen, 440 * 2 ** (-7 / 12))  # D
    tune_T = torch.tensor([0, 4, 12, 11, 3, 12, 7, 7, 1])
    chroma_BTC = torch.zeros(1, FRAMES, 12)
    for frame, step in enumerate(tune_T.tolist()):
        if step < 12:
            chroma_BTC[0, frame, (step + 2) % 12] = 1.0
    codes_BKT = torch.randint(8, (1, 4, FRAMES))
    told = {**untold(config), "melody": tune_T[None, None]}
    mine_BTV = network(told, codes_BKT)[:, 0]
    condition = gen.condition(torch.zeros(1, 1, 6), torch.zeros(1, 1, dtype=torch.bool), chroma_BTC)
    steps_BKS = torch.full((1, 4, FRAMES + 4), 8)
    for k in range(4):
        steps_BKS[:, k, 1 + k : 1 + k + FRAMES] = codes_BKT[:, k]
    its_BKSV = gen(steps_BKS[..., : SMALL.places(FRAMES).shape[1]], condition)
    assert torch.allclose(mine_BTV, its_BKSV[:, 0, :FRAMES], atol=1e-4)
    with pytest.raises(InputError, match="takes none beside its codes"):
        hear_as(network, trained(), 73.4)
