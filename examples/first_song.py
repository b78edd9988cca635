"""Text to a sound file, and a picture of it."""

import toccata

model = toccata.load()
clip = model.generate("warm lo-fi piano over a slow boom-bap beat", seconds=12, seed=7)
clip.save("first-song.wav")
clip.plot("first-song.png")
print(clip)
