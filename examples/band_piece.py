"""One piece of the house band: its sound, its captions and its labels. Needs: pip install 'toccata[corpus]'"""

from toccata.audio import io
from toccata.corpus.band import labels, piece

made = piece(seed=1, index=0, seconds=12)
io.write("band-piece.wav", made.mix_CN, made.sample_rate, {"title": made.captions[0].text})
known = labels(made)
print(known["genre"], known["key"], known["tempo"], known["instruments"])
for caption in made.captions:
    print("-", caption.text)
