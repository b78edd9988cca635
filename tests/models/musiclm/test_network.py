"""MusicLM's stages: the line and its inverse, what is seen of it, the paper's sizes, and writing step by step."""

from dataclasses import replace

import pytest
import torch

from toccata.models.musiclm.config import StageConfig, Stream, full, mini
from toccata.models.musiclm.network import StageNetwork, in_line
from toccata.models.musiclm.writing import Stage, drawn_from, written
from toccata.sampling.tokens import TokenSampling

READS = (Stream("mulan", 3, 5), Stream("semantic", 1, 7, 25.0))
TINY = StageConfig(
    READS,
    Stream("coarse", 2, 6, 25.0),
    seconds=1.0,
    temperature=1.0,
    width=16,
    layers=2,
    heads=2,
    inner=24,
    dropout=0.0,
    condition_dropout=0.1,
)


def network_of(config: StageConfig) -> StageNetwork:
    torch.manual_seed(0)
    network = StageNetwork(config).eval()
    for parameter in network.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.4)
    return network


def read_of(batch: int, frames: int = 4) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return {"mulan": torch.randint(5, (batch, 3, 1)), "semantic": torch.randint(7, (batch, 1, frames))}


@pytest.fixture(params=[("line", "relative"), ("line", "rotary"), ("beside", "rotary")], ids=":".join)
def network(request) -> StageNetwork:
    layout, positions = request.param
    return network_of(replace(TINY, layout=layout, positions=positions, gated=positions == "relative"))


def test_a_line_goes_frame_by_frame_and_back():
    codes_BKT = torch.arange(24).view(2, 3, 4)
    assert in_line(codes_BKT)[0].tolist() == [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]
    assert torch.equal(in_line(codes_BKT).view(2, 4, 3).transpose(1, 2), codes_BKT)


def test_a_code_is_told_from_what_stands_before_it_only(network):
    read, codes_BKT = read_of(2), torch.randint(6, (2, 2, 5))
    logits_BKTV = network(read, codes_BKT)
    assert logits_BKTV.shape == (2, 2, 5, 6)
    changed = codes_BKT.clone()
    changed[:, 1, 2] = (changed[:, 1, 2] + 1) % 6
    other = network(read, changed)
    assert torch.allclose(other[:, :, :3], logits_BKTV[:, :, :3], atol=1e-5)  # also its own, and the level below it
    late = network.config.layout == "beside"  # there the next frame's first level is written in the same step
    assert not torch.allclose(other[:, int(late), 3], logits_BKTV[:, int(late), 3], atol=1e-3)
    assert torch.allclose(other[:, 0, 3], logits_BKTV[:, 0, 3], atol=1e-5) == late


def test_beside_a_step_stands_what_is_read_of_its_frame_and_what_has_no_rate_everywhere():
    network, codes_BKT = network_of(replace(TINY, layout="beside", positions="rotary")), torch.zeros(1, 2, 4).long()
    read = read_of(1)
    logits_BKTV = network(read, codes_BKT)
    semantic = read["semantic"].clone()
    semantic[..., 2] = (semantic[..., 2] + 1) % 7
    moved = network({**read, "semantic": semantic}, codes_BKT)
    assert torch.allclose(moved[:, 0, :2], logits_BKTV[:, 0, :2], atol=1e-5)
    assert not torch.allclose(moved[:, 0, 2], logits_BKTV[:, 0, 2], atol=1e-3)
    other = network({**read, "mulan": (read["mulan"] + 1) % 5}, codes_BKT)
    assert not torch.allclose(other[:, :, 0], logits_BKTV[:, :, 0], atol=1e-3)
    slow = network.beside({**read, "semantic": read["semantic"][..., :2]}, 4)
    assert torch.equal(slow[:, 1], slow[:, 3])  # the last one goes on


def test_the_same_code_on_another_level_or_stream_is_another_token(network):
    rows = [network.line(torch.zeros(1, s.levels, 1, dtype=torch.int64), s) for s in (*READS, TINY.writes)]
    assert len(torch.cat(rows, dim=1).unique()) == 3 + 1 + 2


@torch.no_grad()
def test_writing_step_by_step_is_the_network_as_a_whole(network):
    read, before_BKT = read_of(2), torch.randint(6, (2, 2, 3))
    greedy = replace(Stage.of(network), sampling=TokenSampling(top_k=1, guidance=1.0))
    new_BKT = written(greedy, read, before_BKT, 6, [torch.Generator()] * 2)
    whole_BKT = torch.cat([before_BKT, new_BKT], dim=-1)
    assert torch.equal(network(read, whole_BKT).argmax(-1)[..., 3:], new_BKT)


@torch.no_grad()
def test_guidance_leads_away_from_the_untold(network):
    read, before_BKT = read_of(1), torch.zeros(1, 2, 0, dtype=torch.int64)
    told, untold = (network(read, torch.zeros(1, 2, 1, dtype=torch.int64), told_B)[0, 0, 0]
                    for told_B in (None, torch.tensor([False])))  # fmt: skip
    led = replace(Stage.of(network), sampling=TokenSampling(top_k=1, guidance=4.0))
    first = written(led, read, before_BKT, 1, [torch.Generator()])[0, 0, 0]
    assert first == (untold + 4 * (told - untold)).argmax()


@torch.no_grad()
def test_each_level_may_have_its_own_temperature(network):
    own = TokenSampling(temperature=(9.0, 0.001), top_k=0, guidance=1.0)
    stage, read = replace(Stage.of(network), sampling=own), read_of(1)
    nothing = torch.zeros(1, 2, 0, dtype=torch.int64)
    new_BKT = torch.cat([written(stage, read, nothing, 9, [drawn_from(s)]) for s in range(2)], dim=0)
    likeliest_BKT = network({name: codes.expand(2, -1, -1) for name, codes in read.items()}, new_BKT).argmax(-1)
    assert torch.equal(likeliest_BKT[:, 1], new_BKT[:, 1])
    assert not torch.equal(likeliest_BKT[:, 0], new_BKT[:, 0])


def test_a_row_does_not_depend_on_the_rows_beside_it(network):
    read, nothing = read_of(3), torch.zeros(3, 2, 0, dtype=torch.int64)
    stage = Stage.of(network)
    together = written(stage, read, nothing, 5, [drawn_from(7, 2, row) for row in range(3)])
    alone = written(stage, {name: codes[1:2] for name, codes in read.items()}, nothing[1:2], 5, [drawn_from(7, 2, 1)])
    assert torch.equal(together[1:2], alone)


@torch.no_grad()
def test_tokens_begin_as_what_they_stand_for(network):
    torch.manual_seed(0)
    codebook_KVE = torch.randn(3, 5, 400) * torch.tensor([4.0, 2.0, 1.0])[:, None, None]
    codebook_KVE[0, 1] = codebook_KVE[0, 0] * 1.1
    network.begin_with({"mulan": codebook_KVE, "coarse": torch.randn(2, 6, 400)})
    rows_KVD = network.embedding.weight[: 3 * 5].view(3, 5, -1)
    away = (rows_KVD[0, 0] - rows_KVD[0, 1:]).norm(dim=-1)
    assert away.argmin() == 0
    size_K = rows_KVD.square().mean((1, 2)).sqrt()
    if network.config.layout == "line":
        assert torch.allclose(size_K, torch.ones(3), atol=1e-4)
    else:
        assert size_K.square().sum() == pytest.approx(1.0, abs=1e-4)
        assert size_K[0] > size_K[1] > size_K[2]
    written_KVD = network.embedding.weight[network.starts["coarse"] :][:12].view(2, 6, -1)
    size_K = written_KVD.square().mean((1, 2)).sqrt()
    assert size_K[0] == pytest.approx(float(size_K[1]), abs=1e-4)


def test_places_draw_apart():
    drawn = [torch.rand(1, generator=drawn_from(*place)) for place in ((1, 0, 0), (1, 0, 1), (1, 1, 0), (2, 0, 0))]
    assert len({float(x) for x in drawn}) == 4
    assert drawn[0] == torch.rand(1, generator=drawn_from(1, 0, 0))


def test_the_published_stages_have_the_papers_parameters():
    with torch.device("meta"):
        counts = [sum(p.numel() for p in StageNetwork(config).parameters()) for config in full().stages.values()]
    assert all(420e6 < count < 432e6 for count in counts)


def test_the_minis_stages_fit_together():
    stages = mini().stages
    assert stages["semantic"].writes in stages["coarse"].reads
    assert stages["coarse"].writes in stages["fine"].reads
