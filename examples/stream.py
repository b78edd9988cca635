"""Music in parts while it is made: the first is there long before the last."""

import time

import toccata

start = time.monotonic()
parts = []
for part in toccata.load().stream("slow dreamy ambient pads", seconds=20, seed=3):
    parts.append(part)
    print(f"{part.seconds:.2f} s of sound after {time.monotonic() - start:.1f} s")
toccata.Clip.join(parts).save("stream.ogg")
