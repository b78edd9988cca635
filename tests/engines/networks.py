"""Small random MusicGens of every kind, and what they are told."""

from dataclasses import replace

import torch

from toccata.models.musicgen.config import mini
from toccata.models.musicgen.network import MusicGenNetwork

BASE = replace(mini(), width=64, layers=3, heads=2, codebooks=4, vocabulary=64, window_seconds=4.0)
KINDS = {
    "mini": BASE,
    "published": replace(BASE, positions="sinusoidal", text_sum=False, chroma_bins=0),
    "melody": replace(BASE, positions="sinusoidal", text_sum=False, conditioning="prefix", chroma_frames=20),
    "stereo": replace(BASE, codebooks=8, pattern="stereo-delay", channels=2, positions="sinusoidal"),
}


def network_of(config, std=0.12):
    torch.manual_seed(0)
    network = MusicGenNetwork(config).eval()
    for parameter in network.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=std)
    return network


def told(network, tokens=7, seed=1):
    """A text of ``tokens`` tokens and a melody for row 0; 4 tokens, or none without cross-attention, for row 1."""
    config = network.config
    generator = torch.Generator().manual_seed(seed)
    text_BLW = torch.randn(2, tokens, config.text_width, generator=generator)
    mask_BL = torch.arange(tokens) < torch.tensor([[tokens], [4]])
    chroma = None
    if config.chroma_bins:
        bins = torch.randint(config.chroma_bins, (config.window_frames,), generator=generator)
        tune = torch.eye(config.chroma_bins)[bins]
        chroma = torch.stack([tune, torch.full_like(tune, torch.nan)])
    device = network.norm.weight.device
    like = {"device": device, "dtype": network.norm.weight.dtype}
    chroma = None if chroma is None else chroma.to(**like)
    return network.condition(text_BLW.to(**like), mask_BL.to(device), chroma)
