"""Diffusion: paths and schedules, and solvers against what is known exactly of Gaussians."""

import math
from itertools import pairwise

import pytest
import torch

from toccata.sampling.diffusion import (
    COSINE,
    PATHS,
    STRAIGHT,
    begun,
    ddim,
    denoiser,
    dpm_solver_2m,
    euler,
    even,
    even_log_snr,
    exponential,
    guided,
    heun,
    karras,
    ping_pong,
    target,
    times_of_training,
)

MEAN, SPREAD = 1.5, 0.6
EACH_PATH = pytest.mark.parametrize("path", [COSINE, STRAIGHT], ids=["v", "straight"])


def expected_sound(path):
    """denoise(x, t) for sound that is normal with MEAN and SPREAD: what the best network would say."""

    def denoise(x, t):
        signal, noise = path.at(t)
        gain = signal * SPREAD**2 / ((signal * SPREAD) ** 2 + noise**2)
        return MEAN + gain * (x - signal * MEAN)

    return denoise


def exact(path, x, t):
    """Where the probability-flow equation leads from x at t: to the same quantile of the sound."""
    signal, noise = path.at(t)
    return MEAN + SPREAD * (x - signal * MEAN) / math.hypot(signal * SPREAD, noise)


def noise_of(seed):
    generator = torch.Generator().manual_seed(seed)
    return lambda like: torch.randn(like.shape, generator=generator, dtype=like.dtype)


def normals(count=20_000, seed=0):
    return noise_of(seed)(torch.empty(count, dtype=torch.float64))


def error(solver, path, steps, start=0.9):
    x = torch.linspace(-2, 3, 11, dtype=torch.float64)
    made = solver(expected_sound(path), x, begun(even(steps), start), path)
    return (made - exact(path, x, start)).abs().max().item()


@EACH_PATH
@pytest.mark.parametrize("solver", [euler, ddim, heun, dpm_solver_2m])
def test_a_solver_comes_to_the_exact_solution(solver, path):
    assert error(solver, path, 400) < 0.01


@EACH_PATH
@pytest.mark.parametrize(("solver", "order"), [(euler, 1), (ddim, 1), (heun, 2), (dpm_solver_2m, 2)])
def test_twice_the_steps_leave_a_half_or_a_quarter_of_the_error(solver, order, path):
    """Measured where noise is left: the very last step of a second-order solver is of first order."""
    x, (signal, noise) = torch.linspace(-2, 3, 11, dtype=torch.float64), path.at(0.3)
    there = signal * MEAN + math.hypot(signal * SPREAD, noise) * (exact(path, x, 0.9) - MEAN) / SPREAD

    def off(steps):
        times = [0.9 - 0.6 * i / steps for i in range(steps + 1)]
        return (solver(expected_sound(path), x, times, path) - there).abs().max().item()

    assert off(64) / off(128) == pytest.approx(2**order, rel=0.12)


@EACH_PATH
@pytest.mark.parametrize("solver", [dpm_solver_2m, lambda *told: ddim(*told, eta=1.0)], ids=["dpm", "ddim"])
def test_solvers_with_fresh_noise_draw_the_right_distribution(solver, path):
    made = solver(expected_sound(path), normals(), even(300), path, noise_of(1))
    assert made.mean().item() == pytest.approx(MEAN, abs=0.02)
    assert made.std().item() == pytest.approx(SPREAD, abs=0.02)


@EACH_PATH
def test_ping_pong_forgets_all_noise_at_every_step(path):
    """Its spread follows from the last sound's alone: what noise was in it before plays no part."""
    times, spread = even(6), 0.0
    for t in times[:-1]:
        signal, noise = path.at(t)
        gain = signal * SPREAD**2 / ((signal * SPREAD) ** 2 + noise**2)
        spread = gain * math.hypot(signal * spread, noise)
    made = ping_pong(expected_sound(path), normals(), times, path, noise_of(1))
    assert made.std().item() == pytest.approx(spread, rel=0.02)
    assert made.mean().item() == pytest.approx(MEAN, abs=0.02)


def test_fresh_noise_decides_and_its_seed_repeats():
    told = expected_sound(COSINE), normals(5), even(8), COSINE
    a, b, c = (dpm_solver_2m(*told, noise_of(seed)) for seed in (1, 1, 2))
    assert torch.equal(a, b)
    assert not torch.allclose(a, c)


@EACH_PATH
def test_a_velocity_points_back_at_its_sound(path):
    sound, noise = normals(6).reshape(2, 3), normals(6, 1).reshape(2, 3)
    x, v = target(path, sound, noise, torch.tensor([0.25, 0.8], dtype=torch.float64))
    for row, t in enumerate((0.25, 0.8)):
        assert torch.allclose(x[row], path.mix(sound[row], noise[row], t))
        assert torch.allclose(denoiser(lambda x, t, v=v, row=row: v[row], path)(x[row], t), sound[row])


@EACH_PATH
def test_a_velocity_is_the_slope_of_the_path(path):
    sound, noise, step = normals(3), normals(3, 1), 1e-6
    slope = (path.mix(sound, noise, 0.4 + step) - path.mix(sound, noise, 0.4 - step)) / (2 * step)
    v = target(path, sound[None], noise[None], torch.tensor([0.4], dtype=torch.float64))[1][0]
    assert torch.allclose(path.speed * v, slope, atol=1e-6)


@pytest.mark.parametrize(
    "times",
    [even(5), even_log_snr(5), exponential(5, 0.3, 500), karras(5, 0.3, 500), begun(even(7), 0.6)],
)
def test_times_fall_to_nothing(times):
    assert len(times) == 6
    assert 0 < times[0] <= 1
    assert times[-1] == 0
    assert all(a > b for a, b in pairwise(times))


def test_a_later_start_keeps_the_times_after_it():
    assert begun([1.0, 0.6, 0.3, 0.0], 1.0) == [1.0, 0.6, 0.3, 0.0]
    assert begun([1.0, 0.6, 0.3, 0.0], 0.5) == [0.5, 0.3, 0.0]
    assert begun([1.0, 0.6, 0.3, 0.0], 0.1) == [0.1, 0.0]


def test_schedules_meet_their_bounds():
    for schedule in (exponential, karras):
        first, *_, last, _ = schedule(20, 0.3, 500)
        assert COSINE.log_snr(first) == pytest.approx(-math.log(500))
        assert COSINE.log_snr(last) == pytest.approx(-math.log(0.3))
    assert len(exponential(1, 0.3, 500)) == len(even_log_snr(1)) == 2


def test_guidance_leads_away_and_can_be_brought_back_to_size():
    with_text, without = torch.randn(2, 3, 50), torch.randn(2, 3, 50)
    assert torch.equal(guided(with_text, without, 1.0), without + (with_text - without))
    assert torch.allclose(guided(with_text, without, 3.0), 3 * with_text - 2 * without, atol=1e-5)
    sized = guided(with_text, without, 7.0, rescale=1.0)
    assert torch.allclose(sized.std((1, 2)), with_text.std((1, 2)), atol=1e-5)
    halfway = (guided(with_text, without, 7.0) + sized) / 2
    assert torch.allclose(guided(with_text, without, 7.0, rescale=0.5), halfway, atol=1e-5)


def test_every_objective_has_its_path():
    assert PATHS == {"v": COSINE, "rectified-flow": STRAIGHT}


def test_times_of_training_dwell_where_they_are_told_or_nowhere():
    log_odds = times_of_training((1.5, 0.5), 4000, torch.Generator().manual_seed(0)).logit()
    assert log_odds.mean().item() == pytest.approx(1.5, abs=0.05)
    assert log_odds.std().item() == pytest.approx(0.5, abs=0.05)
    even_B = times_of_training(None, 4000, torch.Generator().manual_seed(0))
    assert even_B.mean().item() == pytest.approx(0.5, abs=0.02)
