"""Goes on from a recording: its last seconds are heard, then new music follows."""

import toccata

model = toccata.load()
beginning = model.generate("a playful music box lullaby", seconds=6, seed=5)
beginning.save("beginning.wav")
longer = model.continue_("beginning.wav", "a playful music box lullaby with strings", seconds=8, seed=6)
longer.save("longer.wav")
print(f"{beginning.seconds:.1f} s became {longer.seconds:.1f} s")
