"""Sampling: what temperature, top-k, top-p and guidance promise, and the loop over the delay pattern."""

import pytest
import torch

from toccata.nn.codebooks import PATTERNS, interleave
from toccata.sampling.tokens import TokenSampling, Walk, decode_pattern, decode_together, guided, sample, sample_each


def draws(logits_KV, options, count=300):
    generator = torch.Generator().manual_seed(0)
    return torch.stack([sample(logits_KV, options, generator) for _ in range(count)])


def test_top_k_draws_only_the_k_likeliest():
    logits = torch.arange(10.0).repeat(3, 1)
    assert set(draws(logits, TokenSampling(temperature=5, top_k=2)).flatten().tolist()) == {8, 9}


def test_top_p_keeps_the_smallest_set_that_reaches_p():
    logits = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()
    assert set(draws(logits, TokenSampling(top_k=0, top_p=0.7)).flatten().tolist()) == {0, 1}
    assert set(draws(logits, TokenSampling(top_k=0, top_p=0.01)).flatten().tolist()) == {0}


def test_draws_follow_the_distribution():
    logits = torch.tensor([[0.6, 0.3, 0.1]]).log()
    counts = torch.bincount(draws(logits, TokenSampling(top_k=0), 3000).flatten(), minlength=3) / 3000
    assert torch.allclose(counts, torch.tensor([0.6, 0.3, 0.1]), atol=0.04)


@pytest.mark.parametrize("options", [TokenSampling(), TokenSampling(top_k=0), TokenSampling(top_k=9, top_p=0.8)])
def test_draws_are_multinomials(options):
    """Among the codes that are kept, the ones that torch.multinomial draws with the same seed."""
    logits = torch.randn(4, 300, generator=torch.Generator().manual_seed(2))
    kept = torch.full_like(logits, -torch.inf)
    for k, row in enumerate(logits):
        order = row.argsort(descending=True)[: options.top_k or None]
        mass = row[order].softmax(-1)
        order = order[mass.cumsum(0) - mass < options.top_p]
        kept[k, order] = row[order]
    ours, theirs = (torch.Generator().manual_seed(5) for _ in range(2))
    for _ in range(50):
        expected = torch.multinomial(kept.softmax(-1), 1, generator=theirs)[:, 0]
        assert torch.equal(sample(logits, options, ours), expected)


@pytest.mark.parametrize("options", [TokenSampling(), TokenSampling(temperature=(0.5, 1.0, 2.0, 1.0), top_p=0.8)])
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_clips_drawn_together_are_drawn_as_alone(device, options):
    logits_BKV = torch.randn(3, 4, 300, generator=torch.Generator().manual_seed(2)).to(device)
    together, alone = ([torch.Generator(device).manual_seed(seed) for seed in (5, 6, 5)] for _ in range(2))
    for _ in range(5):
        expected = [sample(logits_KV, options, g) for logits_KV, g in zip(logits_BKV, alone, strict=True)]
        assert torch.equal(sample_each(logits_BKV, options, together), torch.stack(expected))


def test_a_low_temperature_is_greedy():
    logits = torch.randn(4, 50, generator=torch.Generator().manual_seed(2))
    assert torch.equal(draws(logits, TokenSampling(temperature=0.01), 5), logits.argmax(-1).repeat(5, 1))


def test_guidance_of_one_is_the_condition_and_of_zero_is_without():
    logits = torch.randn(2, 4, 8)
    assert torch.allclose(guided(logits, 1.0), logits[0], atol=1e-6)
    assert torch.allclose(guided(logits, 0.0), logits[1])


def test_each_codebook_may_have_its_own_temperature():
    logits = torch.randn(3, 50, generator=torch.Generator().manual_seed(0))
    options = TokenSampling(temperature=(0.01, 1.0, 0.01), top_k=0)
    drawn = torch.stack([sample(logits, options, torch.Generator().manual_seed(seed)) for seed in range(40)], dim=1)
    assert drawn[0].unique().tolist() == [int(logits[0].argmax())]
    assert drawn[2].unique().tolist() == [int(logits[2].argmax())]
    assert len(drawn[1].unique()) > 10


def test_guidance_goes_evenly_from_the_first_to_the_second():
    assert [TokenSampling(guidance=(5.0, 1.0)).guidance_at(share) for share in (0, 0.25, 1)] == [5.0, 4.0, 1.0]
    assert TokenSampling(guidance=2.0).guidance_at(0.7) == 2.0


@pytest.mark.parametrize("pattern", sorted(PATTERNS))
def test_the_loop_gives_back_the_codes_that_a_perfect_model_knows(pattern):
    codes_KT = torch.randint(0, 50, (4, 9), generator=torch.Generator().manual_seed(1))
    places_KS = PATTERNS[pattern](4, 9)
    target_KS = interleave(codes_KT[None], places_KS, 50)[0]
    seen = []

    def predict(steps_KS):
        seen.append(steps_KS)
        return target_KS[:, sum(s.shape[1] for s in seen) - 1]

    for known in (0, 3, 8):
        seen.clear()
        frames = list(decode_pattern(predict, lambda codes: codes.clamp(max=49), codes_KT[:, :known], places_KS, 50))
        assert torch.equal(torch.stack(frames, dim=1), codes_KT[:, known:])
        given = torch.cat(seen, dim=1)
        assert torch.equal(given[:, 1:], target_KS[:, :-1]), "the model must see the pattern it was trained on"


@pytest.mark.parametrize("pattern", ["delay", "flattening", "coarse-first"])
def test_pieces_of_different_lengths_and_starts_go_together(pattern):
    """Each gets the codes that a perfect model knows, and reads only its own steps, each once."""
    lengths, known = (9, 4, 6), (0, 3, 2)
    codes = [torch.randint(0, 50, (4, T), generator=torch.Generator().manual_seed(T)) for T in lengths]
    places = [PATTERNS[pattern](4, T) for T in lengths]
    targets = [interleave(codes_KT[None], places_KS, 50)[0] for codes_KT, places_KS in zip(codes, places, strict=True)]
    read = [torch.zeros(4, 0, dtype=torch.int64)] * 3

    def predict(unread):
        read[:] = [torch.cat(pair, dim=1) for pair in zip(read, unread, strict=True)]
        return torch.stack([target[:, seen.shape[1] - 1] for target, seen in zip(targets, read, strict=True)])

    walks = [Walk(codes[i][:, : known[i]], places[i], 50) for i in range(3)]
    made = [[], [], []]
    for piece, frame_K in decode_together(predict, lambda logits, asking: logits[asking].clamp(max=49), walks):
        made[piece].append(frame_K)
    for i in range(3):
        assert torch.equal(torch.stack(made[i], dim=1), codes[i][:, known[i] :])
        assert torch.equal(read[i][:, 1:], targets[i][:, :-1])
