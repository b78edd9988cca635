"""Solvers step by step against diffusers' schedulers, on one network and the same noise."""

import math

import pytest
import torch

from toccata.sampling.diffusion import (
    COSINE,
    STRAIGHT,
    ddim,
    denoiser,
    dpm_solver_2m,
    euler,
    even,
    exponential,
    guided,
    heun,
    karras,
    ping_pong,
    target,
)

diffusers = pytest.importorskip("diffusers")
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def velocity(x, t):
    """Stands for a network: smooth in both, and of nothing that a solver could know."""
    return torch.tanh(1.7 * x + 0.3) * math.cos(2.5 * t) - 0.4 * x.flip(-1)


def start(seed=0):
    return torch.randn(2, 3, 7, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def ours(solver, times, path, *told, **more):
    """x after every step of ``solver``."""
    steps = []
    for end in range(2, len(times) + 1):
        x = solver(denoiser(velocity, path), start(), times[:end], path, *told, **more)
        steps.append(x)
    return steps


def noise():
    generator = torch.Generator().manual_seed(9)
    return lambda like: torch.randn(like.shape, generator=generator, dtype=like.dtype)


def agree(made, expected):
    assert len(made) == len(expected)
    for a, b in zip(made, expected, strict=True):
        assert torch.allclose(a, b, rtol=1e-4, atol=1e-4 * b.abs().max())


def edm(times, algorithm):
    """diffusers holds x / signal; its sigmas are noise / signal."""
    scheduler = diffusers.EDMDPMSolverMultistepScheduler(
        sigma_min=0.3, sigma_max=500.0, sigma_data=1.0, prediction_type="v_prediction", sigma_schedule="exponential",
        algorithm_type=algorithm, final_sigmas_type="zero",
    )  # fmt: skip
    scheduler.set_timesteps(len(times) - 1)
    generator, steps = torch.Generator().manual_seed(9), []
    x = start() / COSINE.at(times[0])[0]
    for i, t in enumerate(scheduler.timesteps):
        told = scheduler.scale_model_input(x, t)
        x = scheduler.step(velocity(told, times[i]), t, x, generator=generator).prev_sample
        steps.append(x * COSINE.at(times[i + 1])[0])
    return scheduler, steps


@pytest.mark.parametrize("count", [6, 20])
def test_dpm_solver_is_diffusers_edm_one(count):
    scheduler, expected = edm(exponential(count, 0.3, 500.0), "dpmsolver++")
    times = exponential(count, 0.3, 500.0)
    assert torch.allclose(scheduler.sigmas[:-1], torch.tensor([math.tan(math.pi / 2 * t) for t in times[:-1]]), 1e-4)
    agree(ours(dpm_solver_2m, times, COSINE), expected)


def test_stochastic_dpm_solver_is_too():
    times = exponential(8, 0.3, 500.0)
    _, expected = edm(times, "sde-dpmsolver++")
    agree([dpm_solver_2m(denoiser(velocity, COSINE), start(), times, COSINE, noise())], expected[-1:])


def test_sigmas_of_karras_are_diffusers_ones():
    scheduler = diffusers.EDMEulerScheduler(sigma_min=0.3, sigma_max=500.0, sigma_schedule="karras")
    scheduler.set_timesteps(9)
    sigmas = [math.tan(math.pi / 2 * t) for t in karras(9, 0.3, 500.0)[:-1]]
    assert torch.allclose(scheduler.sigmas[:-1].double(), torch.tensor(sigmas).double(), rtol=1e-4)


def flow(scheduler, count, **more):
    scheduler.set_timesteps(count, **more)
    x, steps, generator = start(), [], torch.Generator().manual_seed(9)
    for t in scheduler.timesteps:
        told = {"generator": generator} if "LCM" in type(scheduler).__name__ else {}
        x = scheduler.step(velocity(x, float(t) / 1000), t, x, **told).prev_sample
        steps.append(x)
    return steps


def sigmas(count):
    return {"sigmas": even(count)[:-1]}


def test_euler_is_diffusers_flow_matching():
    agree(ours(euler, even(7), STRAIGHT), flow(diffusers.FlowMatchEulerDiscreteScheduler(), 7, **sigmas(7)))


def test_heun_is_diffusers_flow_matching():
    scheduler = diffusers.FlowMatchHeunDiscreteScheduler()
    scheduler.set_timesteps(7)
    times = [*scheduler.sigmas[::2].tolist(), 0.0]
    expected = flow(scheduler, 7)  # after the first and after the second call of each step but the last
    agree(ours(heun, times, STRAIGHT), [*expected[1::2], expected[-1]])


def test_dpm_solver_on_a_straight_path_is_diffusers_flow_one():
    scheduler = diffusers.DPMSolverMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=1.0, final_sigmas_type="zero"
    )
    scheduler.set_timesteps(9)
    times, x, steps = scheduler.sigmas.tolist(), start(), []
    for i, t in enumerate(scheduler.timesteps):
        x = scheduler.step(velocity(x, times[i]), t, x).prev_sample
        steps.append(x)
    agree(ours(dpm_solver_2m, times, STRAIGHT), steps)


def test_what_training_shows_and_asks_for_is_diffusers_velocity():
    scheduler = diffusers.DDIMScheduler(prediction_type="v_prediction")
    places = torch.tensor([3, 777])
    t_B = torch.acos(scheduler.alphas_cumprod[places].sqrt()) / (math.pi / 2)
    sound, noise_ = start(1), start(2)
    x, velocity_ = target(COSINE, sound, noise_, t_B)
    assert torch.allclose(x, scheduler.add_noise(sound, noise_, places), atol=1e-5)
    assert torch.allclose(velocity_, scheduler.get_velocity(sound, noise_, places), atol=1e-5)


@pytest.mark.parametrize("eta", [0.0, 0.7])
def test_ddim_is_diffusers_one(eta):
    scheduler = diffusers.DDIMScheduler(
        prediction_type="v_prediction", clip_sample=False, set_alpha_to_one=True, steps_offset=0
    )
    scheduler.set_timesteps(10)
    places = scheduler.timesteps.tolist()
    signals = [math.sqrt(scheduler.alphas_cumprod[i].item()) for i in places]
    times = [*(math.acos(signal) / (math.pi / 2) for signal in signals), 0.0]
    x, generator = start(), torch.Generator().manual_seed(9)
    for i, t in enumerate(scheduler.timesteps):
        v = velocity(x, times[i])
        drawn = {"variance_noise": torch.randn(x.shape, generator=generator, dtype=x.dtype)} if eta else {}
        x = scheduler.step(v, t, x, eta=eta, **drawn).prev_sample
    agree([ddim(denoiser(velocity, COSINE), start(), times, COSINE, noise(), eta)], [x])


def test_ping_pong_is_diffusers_consistency_one():
    scheduler = diffusers.FlowMatchLCMScheduler()
    expected = flow(scheduler, 5, **sigmas(5))
    agree([ping_pong(denoiser(velocity, STRAIGHT), start(), even(5), STRAIGHT, noise())], expected[-1:])


def test_rescaled_guidance_is_diffusers_one():
    from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import rescale_noise_cfg

    with_text, without = start(1), start(2)
    plain = guided(with_text, without, 5.0)
    assert torch.allclose(guided(with_text, without, 5.0, 0.7), rescale_noise_cfg(plain, with_text, 0.7))
