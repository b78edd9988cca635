"""``toccata generate``: a prompt in, sound files out."""

import itertools
import json
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toccata.cli.progress import note, progress
from toccata.errors import InputError, OutputError
from toccata.prompt import MAX_SECONDS, EditOptions, GenerateOptions, Prompt

if TYPE_CHECKING:
    from toccata.clip import Clip, Generator

EXAMPLE = '\b\nExample: toccata generate "warm lo-fi piano over a slow boom-bap beat" -o out.wav --seconds 12 --seed 7'
_RANDOM_SEEDS = 2**31
_SLUG_CHARACTERS = 40
_DEFAULT_SECONDS = 10.0
_TRY_STABLE_AUDIO = "leave it out or choose a --model that does, such as stable-audio-mini"


def generate(
    prompt: Annotated[str | None, typer.Argument(help="What to play, in words.")] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "-o", "--output", help="File: .wav .flac .ogg .mp3; - is WAV on stdout. [default: PROMPT-SEED.wav]"
        ),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(help="Length, 1-600. [default: 10, or as long as --init]", show_default=False)
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same music. [default: drawn at random]")] = None,
    count: Annotated[int, typer.Option(help="Clips to make, with seeds SEED, SEED+1, ...: NAME-1, NAME-2, ...")] = 1,
    best_of: Annotated[
        int | None,
        typer.Option(help="Make N takes, 2-16, and keep the one that mulan-mini hears as nearest to the prompt."),
    ] = None,
    model: Annotated[str, typer.Option(help="A model's name (toccata models list) or folder.")] = "musicgen-mini",
    melody: Annotated[
        Path | None,
        typer.Option(
            help="Sound file with a tune (hummed, whistled, played) to take up. Drums and bass in it are left out, by"
            " Demucs where it is installed and pulled."
        ),
    ] = None,
    continue_: Annotated[
        Path | None, typer.Option("--continue", help="Sound file to go on from; MusicLM needs no prompt for that.")
    ] = None,
    init: Annotated[
        Path | None, typer.Option(help="Sound file that the music begins from (models of the family stable-audio).")
    ] = None,
    strength: Annotated[
        float | None, typer.Option(help="How far to go from --init, up to 1. [default: 0.7; with --inpaint 1]")
    ] = None,
    inpaint: Annotated[
        list[str] | None,
        typer.Option(help='"FROM:TO" in seconds: make that part of --init anew, keep the rest; once for each part.'),
    ] = None,
    extend: Annotated[
        str | None,
        typer.Option(help='"BEFORE:AFTER": make that many seconds before and after --init anew, keep all of it.'),
    ] = None,
    loop: Annotated[
        int | None,
        typer.Option(
            help="Make that many bars, 1-64, that come round again without a seam; in the prompt's tempo, or --bpm."
        ),
    ] = None,
    bpm: Annotated[float | None, typer.Option(help="The tempo of --loop, 20-400 beats a minute.")] = None,
    story: Annotated[
        list[str] | None,
        typer.Option(
            help='"SECONDS:TEXT": the text from then on; give it once for each part, the prompt is that at 0.'
        ),
    ] = None,
    negative: Annotated[str | None, typer.Option(help="What to keep away from, in words.")] = None,
    guidance: Annotated[
        str | None, typer.Option(help="How closely to follow the prompt, 0-20; A:B goes from A to B.")
    ] = None,
    temperature: Annotated[float | None, typer.Option(help="Above 1 bolder, below 1 safer.")] = None,
    top_k: Annotated[int | None, typer.Option(help="Choose from the K likeliest tokens (0: all).")] = None,
    top_p: Annotated[
        float | None, typer.Option(help="Choose from the likeliest tokens of this summed probability.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Steps of a diffusion model, 1-1000: more is finer and slower.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, fp32, bf16, int8 or int4.")] = "auto",
    stream: Annotated[bool, typer.Option("--stream", help="With -o -, write sound as it is made.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per clip on stdout.")] = False,
) -> None:
    """Make music from a text."""
    seed = secrets.randbelow(_RANDOM_SEEDS) if seed is None else seed
    length = _DEFAULT_SECONDS if seconds is None else seconds
    options = GenerateOptions(length, seed, count, _guidance(guidance), temperature, top_k, top_p)
    changes = EditOptions(steps, strength, _regions(inpaint or []), _extension(extend), loop, bpm)
    edits = _edits(init, changes, continue_, seconds)
    asked = None if continue_ and not (prompt or story or negative) else _asked(prompt, story or [], negative)
    named = asked.text if asked else f"after {continue_.stem if continue_ else ''}"
    if changes.loop and asked:
        options = replace(options, seconds=changes.loop_seconds(asked))
    if best_of is not None:
        _check_best_of(best_of, bool(story), stream, continue_)
    outputs = _outputs(output, named, seed, count, as_json)
    from toccata import hub

    hub.check_choices(device, precision)
    hub.find(model)
    for reference in (melody, continue_, init):
        if reference is not None:
            own = _seconds_of(reference)
            if reference is init and seconds is None:
                options = replace(options, seconds=min(own + sum(changes.extend or ()), MAX_SECONDS))
    note(f"loading {model}")
    generator = hub.load(model, device, precision)
    make = _maker(generator, asked, options, edits, melody, continue_, stream, best_of)
    for i, target in enumerate(outputs):
        _make_one(make, options.seconds, seed + i, target, as_json)


def _guidance(text: str | None) -> float | tuple[float, float] | None:
    if text is None:
        return None
    try:
        first, *last = (float(part) for part in text.split(":", 1))
    except ValueError:
        raise InputError(f'--guidance takes a number, or two as in "5:1.5", not {text!r:.40}') from None
    return (first, last[0]) if last else first


def _check_best_of(count: int, story: bool, stream: bool, reference: Path | None) -> None:
    from toccata.search.ranking import MOST

    if not 2 <= count <= MOST:
        raise InputError(f"--best-of takes 2 to {MOST} takes, not {count}")
    other = "--story" if story else "--stream" if stream else "--continue" if reference else None
    if other:
        raise InputError(f"--best-of chooses among whole clips of one text; leave out {other}")


def _regions(texts: list[str]) -> tuple[tuple[float, float], ...]:
    try:
        return tuple((float(start), float(end)) for start, end in (text.split(":") for text in texts))
    except ValueError:
        raise InputError(f'--inpaint takes "FROM:TO" in seconds, such as "4:8", not {" ".join(texts)!r:.60}') from None


def _extension(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        before, after = (float(part) for part in text.split(":"))
    except ValueError:
        raise InputError(f'--extend takes "BEFORE:AFTER" in seconds, such as "4:8", not {text!r:.40}') from None
    return before, after


def _edits(init: Path | None, edit: EditOptions, reference: Path | None, seconds: float | None) -> dict[str, Any]:
    """What was chosen of the options that only some models take, by its name there."""
    if init is None and (edit.strength is not None or edit.inpaint or edit.extend):
        what = "--inpaint" if edit.inpaint else "--extend" if edit.extend else "--strength"
        raise InputError(f"{what} changes a recording; name it with --init FILE")
    if init is not None and reference is not None:
        raise InputError("--init and --continue are two ways with a recording; leave one of them out")
    if edit.loop and (init or reference):
        raise InputError("--loop begins from nothing; leave out --init and --continue")
    if seconds is not None and (edit.loop or edit.extend):
        what = "--loop" if edit.loop else "--extend"
        raise InputError(f"how long the music is follows from {what}; leave out --seconds")
    chosen = {"steps": edit.steps, "init": init, "strength": edit.strength, "inpaint": edit.inpaint or None}
    chosen |= {"extend": edit.extend, "loop": edit.loop, "bpm": edit.bpm}
    return {name: value for name, value in chosen.items() if value is not None}


def _asked(prompt: str | None, story: list[str], negative: str | None) -> Prompt:
    """The prompt, or the story that it begins."""
    if not story:
        if prompt is None:
            raise InputError('there is no prompt; say what to play, such as "slow piano in the rain"')
        return Prompt(prompt, negative)
    parts: dict[float, str] = {} if prompt is None else {0.0: prompt}
    for part in story:
        at, colon, text = part.partition(":")
        try:
            seconds = float(at)
        except ValueError:
            colon = ""
        if not colon:
            raise InputError(f'--story takes "SECONDS:TEXT", such as "15:full orchestra", not {part!r:.60}')
        if seconds in parts:
            raise InputError(f"two texts are given for second {seconds:g} of the story; leave one out")
        parts[seconds] = text
    return Prompt.story(parts, negative)


def _outputs(output: str | None, prompt: str, seed: int, count: int, as_json: bool) -> list[Path | None]:
    """The files to write, checked; ``None`` stands for stdout."""
    if output == "-":
        if count > 1 or as_json:
            raise InputError("-o - writes one WAV to stdout; leave out --count and --json, or name a file")
        if sys.stdout.isatty():
            raise OutputError("-o - would write sound to the terminal; send it to a file or a program")
        return [None]
    from toccata.audio.io import check_target

    first = Path(output or f"{_slug(prompt)}-{seed}.wav")
    numbered = [first.with_stem(f"{first.stem}-{i + 1}") for i in range(count)] if count > 1 else [first]
    return [check_target(path) for path in numbered]


def _slug(prompt: str) -> str:
    words = "".join(letter if letter.isalnum() else " " for letter in prompt.lower()).split()
    return "-".join(words)[:_SLUG_CHARACTERS].rstrip("-")


def _seconds_of(path: Path) -> float:
    """How long a sound file is, which has to be one."""
    from toccata.audio.io import read

    samples, rate = read(path)
    return samples.shape[1] / rate


def _maker(
    generator: "Generator",
    prompt: Prompt | None,
    options: GenerateOptions,
    edits: dict[str, Any],
    melody: Path | None,
    reference: Path | None,
    stream: bool,
    best_of: int | None,
) -> "Callable[..., Iterator[Clip]]":
    """A function of (seed, progress) that makes one clip, in parts with ``stream``."""
    names = ("guidance", "temperature", "top_k", "top_p")
    chosen: dict[str, Any] = {name: value for name in names if (value := getattr(options, name)) is not None}
    foreign = edits.keys() - getattr(generator, "takes", frozenset())
    if foreign:
        raise InputError(f"{generator.name} takes no --{min(foreign)}; {_TRY_STABLE_AUDIO}")
    chosen |= edits
    seconds = None if edits.keys() & {"loop", "extend"} else options.seconds
    if melody is not None:
        chosen["melody"] = melody
    if stream:
        if reference is not None or not hasattr(generator, "stream"):
            what = "--continue" if reference is not None else generator.name
            raise InputError(f"--stream does not go together with {what}; leave one of them out")
        return partial(generator.stream, prompt, seconds, **chosen)  # type: ignore[attr-defined]
    if best_of is not None and prompt is not None:
        make = _chooser(generator, prompt, best_of, seconds, chosen)
    elif reference is None:
        make = partial(generator.generate, prompt, seconds, **chosen)
    elif hasattr(generator, "continue_"):
        make = partial(generator.continue_, reference, prompt, options.seconds, **chosen)  # type: ignore[attr-defined]
    else:
        raise InputError(
            f"{generator.name} cannot continue a recording; leave out --continue or choose another --model"
        )
    return lambda seed, progress: iter([make(seed, progress=progress)])


def _chooser(
    generator: "Generator", prompt: Prompt, count: int, seconds: float | None, chosen: dict[str, Any]
) -> "Callable[..., Clip]":
    from toccata import hub
    from toccata.search.ranking import best_of

    judge = hub.load_embedder()
    return lambda seed, progress: best_of(generator, prompt, count, judge, seconds, seed, progress=progress, **chosen)


def _make_one(
    make: "Callable[..., Iterator[Clip]]", seconds: float, seed: int, target: Path | None, as_json: bool
) -> None:
    start = time.monotonic()
    with progress("making music") as update:
        parts = make(seed, progress=update)
        first = next(parts)
        first_audio = time.monotonic() - start
        if target is None:
            made = _to_stdout(first, parts, seconds)
        else:
            clip = type(first).join([first, *parts])
            made = clip.seconds
    elapsed = time.monotonic() - start
    if target is not None:
        clip.save(target)
    note(f"{target or 'stdout'}: {made:.1f} s, seed {seed}, made in {elapsed:.1f} s")
    if as_json and target is not None:
        print(json.dumps(_report(clip, target, elapsed, first_audio)), flush=True)


def _to_stdout(first: "Clip", rest: "Iterator[Clip]", seconds: float) -> float:
    """Write WAV: whole where it comes whole, else a header that knows the length, then each part as it comes."""
    from toccata.audio.io import pcm, wav_header

    out = sys.stdout.buffer
    frames = round(seconds * first.sample_rate)
    if first.samples.shape[1] >= frames:
        out.write(first.to_bytes(".wav"))
        out.flush()
        return first.seconds
    out.write(wav_header(len(first.samples), first.sample_rate, frames))
    written = 0
    for part in itertools.chain([first], rest):
        out.write(pcm(part.samples))
        out.flush()
        written += part.samples.shape[1]
    return written / first.sample_rate


def _report(clip: "Clip", target: Path | None, elapsed: float, first: float) -> dict[str, object]:
    return {
        "output": str(target),
        "model": clip.model,
        "seed": clip.seed,
        "seconds": round(clip.seconds, 3),
        "sample_rate": clip.sample_rate,
        "channels": len(clip.samples),
        "elapsed_seconds": round(elapsed, 3),
        "realtime_factor": round(clip.seconds / elapsed, 3),
        "first_audio_seconds": round(first, 3),
        "weights_sha256": clip.weights_sha256,
    }
