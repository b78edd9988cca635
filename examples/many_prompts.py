"""A file for each prompt. Every clip equals the one that its prompt would give alone."""

import toccata

PROMPTS = [
    "calm solo cello in D minor",
    "fast bluegrass with banjo and fiddle",
    "upbeat funk with slap bass and brass",
]

for number, clip in enumerate(toccata.load().generate(PROMPTS, seconds=8, seed=1), start=1):
    clip.save(f"prompt-{number}.flac")
    print(number, clip.prompt)
