"""A student of few steps: what it is taught is exact, and it lands where its teacher does in many."""

import pytest
import torch

from toccata.sampling.diffusion import COSINE, STRAIGHT, ddim, denoiser, even, heun
from toccata.sampling.distillation import leap, leap_from

EACH_PATH = pytest.mark.parametrize("path", [COSINE, STRAIGHT], ids=["v", "straight"])
MEANS, SPREAD = torch.tensor([-2.0, -0.5, 2.0]), 0.25
LEAPS = 3


def mixture(path):
    """denoise(x, t) for sound from three narrow normals: what the best network would say."""

    def denoise(x, t):
        signal, noise = path.at(t)
        variance = (signal * SPREAD) ** 2 + noise**2
        off = x[..., None] - signal * MEANS
        share = (-(off**2) / (2 * variance)).softmax(-1)
        return (share * (MEANS + signal * SPREAD**2 / variance * off)).sum(-1)

    return denoise


def drawn(count, seed):
    """(sound, noise) of the mixture."""
    generator = torch.Generator().manual_seed(seed)
    which = torch.randint(3, (count,), generator=generator)
    return MEANS[which] + SPREAD * torch.randn(count, generator=generator), torch.randn(count, generator=generator)


@EACH_PATH
@pytest.mark.parametrize(("t", "after"), [(1.0, 0.75), (0.6, 0.25), (0.25, 0.0)])
def test_one_step_of_the_velocity_taught_ends_where_the_teacher_does(path, t, after):
    x = path.mix(*drawn(50, 0), t)
    teacher = mixture(path)
    velocity = leap(teacher, x, t, after, path, walk=4)
    times = [t + (after - t) * i / 4 for i in range(5)]
    assert torch.allclose(
        ddim(denoiser(lambda *_: velocity, path), x, [t, after], path), heun(teacher, x, times, path), atol=1e-4
    )


@pytest.mark.parametrize("place", [0.0, 0.2, 0.5, 0.74, 0.999])
def test_leaps_join_from_time_to_time_and_strays_end_on_them_too(place):
    times = even(4)
    start, end = leap_from(times, place, stray=False)
    assert times.index(end) == times.index(start) + 1
    start, end = leap_from(times, place, stray=True)
    assert end in times
    assert 0 < start - end <= 0.25 + 1e-9


def bumps(x_B):
    """Sixty overlapping bumps, of which any smooth function is a sum: (B, 60)."""
    return torch.exp(-((x_B.double()[:, None] - torch.linspace(-5, 5, 60)) ** 2) / (2 * 0.25**2))


def taught(path):
    """denoise(x, t) of the student whose leaps have the least squared error."""
    times, teacher = even(LEAPS), mixture(path)
    weights = {}
    for part in range(LEAPS):
        t, after = leap_from(times, (part + 0.5) / LEAPS, stray=False)
        x = path.mix(*drawn(6_000, part), t)
        seen, velocity = bumps(x), leap(teacher, x, t, after, path, walk=4).double()
        weights[t] = torch.linalg.solve(seen.T @ seen + 1e-2 * torch.eye(60), seen.T @ velocity)
    return denoiser(lambda x, t: bumps(x) @ weights[t], path)


def distance(a, b):
    """Wasserstein's between two sets of numbers."""
    return (a.sort().values - b.sort().values).abs().mean().item()


@EACH_PATH
def test_distilled_it_lands_nearer_to_many_steps_than_its_teacher_in_as_few(path):
    student, noise = taught(path), drawn(4000, 99)[1]
    many = ddim(mixture(path), noise, even(200), path)
    few, own = (ddim(denoise, noise, even(LEAPS), path) for denoise in (student, mixture(path)))
    assert distance(few, many) < 0.15 * distance(own, many)
    assert (few - many).abs().mean() < 0.15 * (own - many).abs().mean()
