"""VGGish's, CNN14's, PaSST's and OpenL3's published files, of narrow networks with random weights; pulling them."""

import gzip
import hashlib
import io
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.weights.local_hub import serving
from toccata.encoders.vggish import VGGish, VGGishConfig
from toccata.weights import catalogue, store
from toccata.weights.fetch import fetch

MELS = {16_000: (512, 160, 50, 8000), 32_000: (1024, 320, 50, 14_000)}
PLACES = {
    "vggish": "/harritaylor/torchvggish/releases/download/v0.1/vggish-10086976.pth",
    "pann-cnn14": "/records/3987831/files/Cnn14_mAP%3D0.431.pth",
    "pann-cnn14-16k": "/records/3987831/files/Cnn14_16k_mAP%3D0.438.pth",
    "passt": "/kkoutini/PaSST/releases/download/v0.0.1-audioset/passt-s-f128-p16-s10-ap.476-swa.pt",
    "openl3": "/marl/openl3/raw/models/openl3_audio_mel256_music-v0_4_0.h5.gz",
}


def cnn14(rate: int) -> dict[str, torch.Tensor]:
    """A narrow CNN14's random weights as its authors name them, with the front end that lies beside them."""
    random = torch.Generator().manual_seed(0)
    n_fft, widths = MELS[rate][0], (1, 4, 6, 8, 10, 12, 14)
    made = {
        "spectrogram_extractor.stft.conv_real.weight": torch.zeros(n_fft // 2 + 1, 1, n_fft),
        "spectrogram_extractor.stft.conv_imag.weight": torch.zeros(n_fft // 2 + 1, 1, n_fft),
        "logmel_extractor.melW": torch.zeros(n_fft // 2 + 1, 64),
        "fc1.weight": torch.randn(14, 14, generator=random), "fc1.bias": torch.randn(14, generator=random),
        "fc_audioset.weight": torch.randn(9, 14, generator=random),
        "fc_audioset.bias": torch.randn(9, generator=random),
    }  # fmt: skip
    norms = {"bn0": 64}
    for i in range(1, 7):
        for k, width in ((1, widths[i - 1]), (2, widths[i])):
            made[f"conv_block{i}.conv{k}.weight"] = 0.3 * torch.randn(widths[i], width, 3, 3, generator=random)
            norms[f"conv_block{i}.bn{k}"] = widths[i]
    for name, width in norms.items():
        for part, offset in (("weight", 1), ("bias", 0), ("running_mean", 0), ("running_var", 1)):
            made[f"{name}.{part}"] = offset + 0.3 * torch.rand(width, generator=random)
        made[f"{name}.num_batches_tracked"] = torch.tensor(3)
    return made


def passt(width: int = 128, layers: int = 2, labels: int = 9) -> dict[str, torch.Tensor]:
    """A narrow PaSST's random weights as its authors name them; a head is 64 wide, as in theirs."""
    random = torch.Generator().manual_seed(0)
    sizes = {
        "cls_token": (1, 1, width), "dist_token": (1, 1, width), "new_pos_embed": (1, 2, width),
        "freq_new_pos_embed": (1, width, 12, 1), "time_new_pos_embed": (1, width, 1, 99),
        "patch_embed.proj.weight": (width, 1, 16, 16), "patch_embed.proj.bias": (width,),
        "norm.weight": (width,), "norm.bias": (width,), "head.0.weight": (width,), "head.0.bias": (width,),
        "head.1.weight": (labels, width), "head.1.bias": (labels,),
        "head_dist.weight": (labels, width), "head_dist.bias": (labels,),
    }  # fmt: skip
    parts = {"norm1": (width,), "attn.qkv": (3 * width, width), "attn.proj": (width, width), "norm2": (width,),
             "mlp.fc1": (4 * width, width), "mlp.fc2": (width, 4 * width)}  # fmt: skip
    for layer in range(layers):
        for part, size in parts.items():
            sizes |= {f"blocks.{layer}.{part}.weight": size, f"blocks.{layer}.{part}.bias": size[:1]}
    return {name: 0.1 * torch.randn(size, generator=random) for name, size in sizes.items()}


OPENL3_WIDTHS = (4, 6, 8, 10)


def openl3() -> list[dict[str, np.ndarray]]:
    """A narrow OpenL3's random weights, layer by layer, as Keras names and turns them."""
    rng = np.random.default_rng(0)

    def norm(width: int) -> dict[str, np.ndarray]:
        offsets = {"gamma": 1, "beta": 0, "moving_mean": 0, "moving_variance": 1}
        return {part: (at + 0.3 * rng.random(width)).astype(np.float32) for part, at in offsets.items()}

    layers = [norm(1)]
    for width_in, width in zip((1, *OPENL3_WIDTHS), OPENL3_WIDTHS, strict=False):
        for first in (width_in, width):
            kernel = rng.normal(0, (9 * first) ** -0.5, (3, 3, first, width)).astype(np.float32)
            layers += [{"kernel": kernel, "bias": rng.normal(size=width).astype(np.float32)}, norm(width)]
    return layers[:-1]


def keras_file(layers: list[dict[str, np.ndarray]]) -> bytes:
    """What Keras' ``save_weights`` writes, packed: layers by name, an input among them that has no weights."""
    h5py = pytest.importorskip("h5py")
    file = io.BytesIO()
    with h5py.File(file, "w") as made:
        names = ["input_1"]
        made.create_group("input_1").attrs["weight_names"] = []
        for layer in layers:
            name = f"conv2d_{len(names)}" if "kernel" in layer else f"batch_normalization_{len(names)}"
            group = made.create_group(name)
            for part, value in layer.items():
                group[f"{name}/{part}:0"] = value
            group.attrs["weight_names"] = [f"{name}/{part}:0".encode() for part in layer]
            names.append(name)
        made.attrs["layer_names"] = [name.encode() for name in names]
    return gzip.compress(file.getvalue())


def published(name: str) -> bytes:
    """The file as it is published."""
    if name == "openl3":
        return keras_file(openl3())
    torch.manual_seed(0)
    if name == "vggish":
        saved = VGGish(VGGishConfig((4, 6, 8, 8, 10, 12), 20, 7)).state_dict()
    elif name == "passt":
        saved = passt()
    else:
        sampler = {"indexes_per_class": [np.arange(5)], "queue": [2]}
        saved = {"iteration": 1, "model": cnn14(catalogue.get(name).sample_rate or 0), "sampler": sampler}
    file = io.BytesIO()
    torch.save(saved, file)
    return file.getvalue()


def pull(name: str, monkeypatch: pytest.MonkeyPatch) -> store.Fetched:
    """Fetch it by its name from a mirror of the place where the real one lies."""
    library = pytest.importorskip("huggingface_hub")
    data = published(name)
    said = replace(catalogue.get(name), digest=hashlib.sha256(data).hexdigest())
    monkeypatch.setattr(catalogue, "PUBLIC", (*(model for model in catalogue.PUBLIC if model.name != name), said))
    with serving() as mirror:
        mirror.elsewhere[PLACES[name]] = data
        fetch(name, endpoint=mirror.url)
    library.close_session()
    store.accept(said)
    found = store.fetched(said)
    assert found is not None
    return found
