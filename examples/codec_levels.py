"""A sound through the codec with few and with all levels: python codec_levels.py SOUND"""

import sys

import torch

from toccata.audio import io, resample
from toccata.codecs.soundstream import load_soundstream

codec = load_soundstream()
samples, rate = io.read(sys.argv[1])
mono = resample.to_channels(resample.resample(samples, rate, codec.config.sample_rate), 1)
for levels in (1, codec.config.levels // 2, codec.config.levels):
    codes_BKT = codec.encode(torch.from_numpy(mono)[None], levels)
    copy = codec.decode(codes_BKT)[0, :, : mono.shape[1]].numpy()
    io.write(f"levels-{levels}.wav", copy, codec.config.sample_rate, {"title": f"{levels} levels"})
    print(f"{levels} levels: {codes_BKT.numel()} codes")
