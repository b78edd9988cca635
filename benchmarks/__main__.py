"""``python -m benchmarks list | NAME [--quick] [--device cpu]``: runs one benchmark, one JSON object a line."""

import argparse
import os
import sys
from importlib import import_module
from pathlib import Path

from benchmarks.report import RESULTS, Options, commit, device_name, to_json
from toccata.errors import ToccataError
from toccata.weights.device import pick_device

NAMES = {
    "setup": "time to set up from nothing and again, what the shipped weights weigh, time to --help",
    "codec": "soundstream-mini: mel distance, SI-SDR, Fréchet distance, codebook use",
    "prompts": "does the music fit the prompt, by judges that others made; does it sound like the band",
    "patterns": "MusicGen's interleaving patterns, trained alike: Fréchet distance, KL, steps",
    "melody": "does the music take up a given melody, and does the text still choose the instrument",
    "melody-retrieval": "is a melody found by its embedding when a voice gives it in another key and tempo",
    "musicgen-cpu": "published sizes of MusicGen: speed at every precision, against transformers too; memory",
    "musicgen-gpu": "published sizes of MusicGen on a GPU: steps a second against transformers, audiocraft, the floor",
    "semantic": "what semantic tokens tell of the score, beside the codec's, and how soon they are predicted",
    "musiclm": "musiclm-mini beside musicgen-mini: prompts, structure, and without the semantic stage; speed by stage",
    "story": "does the music turn to each new text of a story in time, and what carries over",
    "memorisation": "what does musiclm-mini know by heart of the pieces that it learnt from",
    "audiolm": "does a continuation without words keep tempo, key and instruments",
    "families": "every model that ships and makes music, by every metric of the evaluator, on the same prompts",
    "mousai": "Moûsai at its published size: a step of either model, a clip from words to sound, against its paper",
    "retrieval": "do captions find their music, and music its captions; tokens, fusion, speed beside transformers",
    "tagging": "zero-shot tags of real recordings, beside musicnn's",
    "evaluator": "Fréchet distance and FAD-infinity as sets grow and as sound gets worse, against SciPy",
    "evaluator-speed": "1,000 files to a Fréchet distance over VGGish, beside frechet-audio-distance",
    "autoencoder": "what the stereo autoencoder keeps of band pieces and real recordings, beside other codecs",
    "stable-audio": "Stable Audio Open 1.0 at its published size: speed beside diffusers, memory",
    "steps": "what Stable Audio's music is worth by the number of steps, also distilled; seconds of work; memory",
    "timing": "does Stable Audio's music end where it was asked to",
    "editing": "how near changed recordings stay to what they were made of, and whether their joins are heard",
    "streaming": "speed against the floor, time to the first sound, first run, memory of a long stream",
}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench", description="Runs one benchmark, or lists them.")
    parser.add_argument("name", metavar="NAME", choices=["list", *NAMES], help=f"list, {', '.join(NAMES)}")
    parser.add_argument("--quick", action="store_true", help="fewer samples: at most 10 minutes on 2 cores")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--model", help="a model's name or folder, instead of what ships")
    parser.add_argument("--against", help="a model to compare with (see the benchmark's first lines)")
    parser.add_argument("--best-of", type=int, help="takes of each clip, of which the best is kept (prompts)")
    parser.add_argument(
        "--picture", type=Path, help="draw into this file (codec, evaluator, families, memorisation, story)"
    )
    parser.add_argument("--store", action="store_true", help="keep the lines in benchmarks/results/NAME[-MODEL].jsonl")
    chosen = parser.parse_args(arguments)
    if chosen.name == "list":
        for name, what in NAMES.items():
            print(f"{name:16} {what}")
        return 0
    options = Options(chosen.quick, chosen.device, chosen.model, chosen.picture, chosen.against, chosen.best_of)
    try:
        lines = _run(chosen.name, options)
    except ToccataError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if chosen.store:
        name = chosen.name if chosen.model is None else f"{chosen.name}-{_called(chosen.model)}"
        _store(name if chosen.best_of is None else f"{name}-best-of-{chosen.best_of}", lines)
    return 0


def _run(name: str, options: Options) -> list[str]:
    """Print every line as soon as it is known, and return them all."""
    pick_device(options.device)
    device, version = device_name(options.device), commit()
    lines = []
    for figure in import_module(f"benchmarks.{name.replace('-', '_')}").run(options):
        lines.append(to_json(name, figure, device, version))
        print(lines[-1], flush=True)
    return lines


def _called(model: str) -> str:
    """A model's name; of what a recipe wrote to FOLDER/model, the folder's."""
    path = Path(model)
    return path.parent.name if path.name == "model" else path.name


def _store(name: str, lines: list[str]) -> None:
    RESULTS.mkdir(exist_ok=True)
    part = RESULTS / f".{name}.part"
    part.write_text("".join(f"{line}\n" for line in lines))
    os.replace(part, RESULTS / f"{name}.jsonl")


if __name__ == "__main__":
    sys.exit(main())
