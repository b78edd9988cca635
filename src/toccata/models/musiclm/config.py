"""Sizes of MusicLM's three stages (arXiv 2301.11325, sections 3.2 and 4.1) and of the mini's."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Stream:
    """A stream of tokens: ``levels`` of ``vocabulary`` codes, ``rate`` frames a second; rate 0 is one frame a piece."""

    name: str
    levels: int
    vocabulary: int
    rate: float = 0.0

    @property
    def rows(self) -> int:
        """Different tokens, each level's apart."""
        return self.levels * self.vocabulary

    def frames(self, seconds: float) -> int:
        """Frames in so many seconds."""
        return round(seconds * self.rate) if self.rate else 1


@dataclass(frozen=True)
class StageConfig:
    """One decoder-only transformer: it reads streams, and writes one.

    ``layout`` is "line", as published: all that is read, then what is written, frame by frame and level by level; or
    "beside": a step writes a frame of all levels, each level a step after the one before it, and what is read of a
    frame is added to its step.
    ``positions`` is "relative" (a learnt bias by distance, as published) or "rotary". ``seconds`` is the length of its
    crops in training; ``temperature`` what it is sampled at, maybe one for each level. A share of ``condition_dropout``
    of the pieces in training are told none of the streams in ``told``; ``guidance`` then leads away from that (1: none,
    as published).
    """

    reads: tuple[Stream, ...]
    writes: Stream
    seconds: float
    temperature: float | tuple[float, ...]
    width: int = 1024
    layers: int = 24
    heads: int = 16
    inner: int = 4096
    gated: bool = True
    layout: str = "line"
    positions: str = "relative"
    dropout: float = 0.1
    told: tuple[str, ...] = ("mulan", "melody")
    condition_dropout: float = 0.0
    guidance: float = 1.0


@dataclass(frozen=True)
class MusicLMConfig:
    """The three stages, and what of a long piece each hears again.

    Where the coarse stage does not read semantic tokens there is no semantic stage: the paper's ablation (section 5).
    ``semantic_overlap`` seconds of a long piece's semantic tokens are kept when the window moves on (section 4.6), of
    its coarse ones ``coarse_overlap``.
    """

    semantic: StageConfig
    coarse: StageConfig
    fine: StageConfig
    semantic_overlap: float = 15.0
    coarse_overlap: float = 5.0

    @property
    def stages(self) -> dict[str, StageConfig]:
        """Those that are there, in their order."""
        semantic = {"semantic": self.semantic} if self.has_semantic else {}
        return {**semantic, "coarse": self.coarse, "fine": self.fine}

    @property
    def has_semantic(self) -> bool:
        return any(stream.name == "semantic" for stream in self.coarse.reads)


def streams(semantic: int = 1024, rate: float = 50.0) -> dict[str, Stream]:
    """MusicLM's streams, with a codec of ``rate`` frames a second and so many ``semantic`` tokens."""
    return {
        "mulan": Stream("mulan", 12, 1024),
        "melody": Stream("melody", 24, 512, 0.3),
        "semantic": Stream("semantic", 1, semantic, 25.0),
        "coarse": Stream("coarse", 4, 1024, rate),
        "fine": Stream("fine", 8, 1024, rate),
    }


def melody_starts(seconds: float, window: float = 4.0) -> list[float]:
    """When the windows begin whose melody is told of so many seconds: three every 10 seconds, 3 apart (section 6)."""
    starts, count = [0.0], 1
    while (start := 10.0 * (count // 3) + 3.0 * (count % 3)) + window <= seconds + 1e-6:
        starts, count = [*starts, start], count + 1
    return starts


def tune_starts(seconds: float, window: float = 4.0) -> list[float]:
    """The same windows and, where they leave something over, one more that ends with it: every moment is heard."""
    starts, last = melody_starts(seconds, window), seconds - window
    return [*starts, last] if last > starts[-1] + 1e-6 else starts


def full() -> MusicLMConfig:
    """As published: 430M parameters a stage, crops of 30, 10 and 3 seconds."""
    of = streams()
    return MusicLMConfig(
        semantic=StageConfig((of["mulan"], of["melody"]), of["semantic"], seconds=30.0, temperature=1.0),
        coarse=StageConfig((of["mulan"], of["semantic"]), of["coarse"], seconds=10.0, temperature=0.95),
        fine=StageConfig((of["coarse"],), of["fine"], seconds=3.0, temperature=0.4),
    )


def without_semantic(config: MusicLMConfig) -> MusicLMConfig:
    """The same with a coarse stage that reads MuLan's tokens alone."""
    reads = tuple(stream for stream in config.coarse.reads if stream.name != "semantic")
    return replace(config, coarse=replace(config.coarse, reads=reads))


def mini() -> MusicLMConfig:
    """musiclm-mini: on soundstream-mini's 25 frames a second, with guidance; the coarse stage is told melodies too."""
    of, sizes = streams(rate=25.0), full()
    small = {
        "gated": False,
        "layout": "beside",
        "positions": "rotary",
        "dropout": 0.0,
        "heads": 4,
        "width": 256,
        "inner": 1024,
    }
    led = {"condition_dropout": 0.1, "guidance": 3.0}
    return MusicLMConfig(
        semantic=replace(sizes.semantic, layers=6, **small, **led),
        coarse=replace(
            sizes.coarse,
            reads=(of["mulan"], of["melody"], of["semantic"]),
            writes=of["coarse"],
            temperature=(1.0, 0.8, 0.65, 0.5),
            layers=8,
            **small,
            **led,
        ),
        fine=replace(sizes.fine, reads=(of["coarse"],), writes=of["fine"], layers=4, **small),
    )
