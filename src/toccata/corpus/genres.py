"""The band's repertoire: for each genre its tempo, metre, harmony, line-ups and manners, as data."""

from dataclasses import dataclass

from toccata.corpus.melody import MelodyStyle

MeterChoice = tuple[tuple[int, int], float]


@dataclass(frozen=True)
class Part:
    """One seat of a line-up: who may sit there and how they may play.

    ``styles`` are keys of the tables of the role's own module (drums: grooves, bass: patterns, chords: chord styles,
    counter: kinds); a melody has none. ``kits`` are drum-kit programs. ``chance`` is how often the seat is taken.
    """

    role: str
    instruments: tuple[str, ...]
    styles: tuple[str, ...] = ()
    chance: float = 1.0
    kits: tuple[int, ...] = (0,)


Band = tuple[Part, ...]


@dataclass(frozen=True)
class Genre:
    """A genre's rules.

    ``tempo`` is the range in beats a minute (dotted quarters in compound meters); ``harmony`` and ``cadence`` are keys
    of ``progressions``; ``modes`` weighs the modes; ``form`` is a key of ``form.NAMES``; ``swing`` is a range of ratios
    and ``swing_cell`` the beats that one long-short pair lasts; ``loudness`` a MIDI velocity; ``looseness`` seconds.
    """

    name: str
    tempo: tuple[int, int]
    harmony: str
    modes: tuple[tuple[str, float], ...]
    bands: tuple[Band, ...]
    meters: tuple[MeterChoice, ...] = (((4, 4), 1.0),)
    cadence: str = "pop"
    form: str = "song"
    melody: MelodyStyle = MelodyStyle()  # noqa: RUF009 (frozen)
    fill: str = "soft"
    crash: bool = False
    swing: tuple[float, float] = (0.5, 0.5)
    swing_cell: float = 1.0
    loudness: int = 88
    looseness: float = 0.004
    spice: float = 0.1


def _part(role: str, instruments: str, styles: str = "", chance: float = 1.0) -> Part:
    return Part(role, tuple(instruments.split("|")), tuple(styles.split("|")) if styles else (), chance)


def _tune(instruments: str) -> Part:
    return _part("melody", instruments)


def _chords(instruments: str, styles: str, chance: float = 1.0) -> Part:
    return _part("chords", instruments, styles, chance)


def _arp(instruments: str, styles: str, chance: float = 1.0) -> Part:
    return _part("arpeggio", instruments, styles, chance)


def _pad(instruments: str, chance: float = 1.0, styles: str = "pad") -> Part:
    return _part("pad", instruments, styles, chance)


def _bass(instruments: str, styles: str, chance: float = 1.0) -> Part:
    return _part("bass", instruments, styles, chance)


def _counter(instruments: str, kinds: str = "answer|guide|thirds", chance: float = 0.5) -> Part:
    return _part("counter", instruments, kinds, chance)


def _drums(grooves: str, kits: tuple[int, ...] = (0,), chance: float = 1.0) -> Part:
    return Part("drums", ("drums",), tuple(grooves.split("|")), chance, kits)


def _modes(**weights: float) -> tuple[tuple[str, float], ...]:
    return tuple(weights.items())


_FOUR, _THREE, _SIX, _TWELVE = (4, 4), (3, 4), (6, 8), (12, 8)

_POPULAR = (
    Genre(
        "pop", (84, 128), "pop", _modes(major=5, minor=3, mixolydian=0.5), (
            (_tune("saw lead|electric guitar|flute|voice oohs|square lead"),
                _chords("piano|electric piano|bright piano", "block|quarters|eighths"),
             _pad("synth strings|warm pad|string ensemble", 0.5), _bass("bass guitar|synth bass", "root|eighths"),
                 _drums("pop", (0, 8, 16))),
            (_tune("piano|electric piano|alto sax"), _chords("acoustic guitar", "strum"),
                _counter("string ensemble|cello", "guide", 0.5),
             _bass("bass guitar|fretless bass", "root"), _drums("pop|light percussion", (0, 8))),
            (_tune("voice oohs|flute|violin|piano"), _chords("acoustic guitar", "strum|fingerpick")),
            (_tune("bright piano|piano"), _arp("piano|electric piano", "left hand|low ringing")),
        ), meters=((_FOUR, 0.88), (_SIX, 0.12)), melody=MelodyStyle((1.4, 2.8), 0.4), crash=True, loudness=92,
            spice=0.15),
    Genre(
        "rock", (104, 156), "rock", _modes(major=3, minor=3, mixolydian=1.5, dorian=0.7), (
            (_tune("overdriven guitar|electric guitar|distorted guitar"),
                _chords("overdriven guitar|distorted guitar", "power"),
             _bass("picked bass|bass guitar", "eighths"), _drums("rock", (0, 16, 8))),
            (_tune("electric guitar|overdriven guitar"), _chords("electric guitar", "strum|eighths"),
                _chords("rock organ|hammond organ", "block|pad", 0.6),
             _bass("bass guitar", "eighths|root"), _drums("rock", (0, 8, 16))),
            (_tune("harmonica|piano|overdriven guitar"), _chords("acoustic guitar", "strum"),
                _bass("bass guitar", "root|eighths"), _drums("rock|half time", (0, 8))),
        ), melody=MelodyStyle((1.4, 3.0), 0.4, "pentatonic", leap=0.25), fill="loud", crash=True, loudness=104,
            spice=0.05),
    Genre(
        "metal", (120, 180), "metal", _modes(minor=5, phrygian=1.2, dorian=0.6), (
            (_tune("distorted guitar|overdriven guitar"), _chords("distorted guitar", "chug|power"),
                _bass("picked bass", "riff|eighths"), _drums("metal", (16, 0))),
            (_chords("distorted guitar", "chug"), _counter("distorted guitar|overdriven guitar", "guide|answer", 0.8),
                _bass("picked bass|bass guitar", "eighths"), _drums("metal|half time", (16,))),
            (_tune("distorted guitar"), _chords("distorted guitar", "chug|power"), _pad("choir|string ensemble", 0.9),
                _bass("picked bass", "eighths|riff"), _drums("metal", (16,))),
        ), cadence="power", melody=MelodyStyle((2.0, 4.0), 0.2, leap=0.2), fill="loud", crash=True, loudness=110,
            spice=0.0),
    Genre(
        "funk", (92, 118), "funk", _modes(dorian=3, mixolydian=2, minor=1.5), (
            (_tune("alto sax|clavinet|synth brass|muted trumpet"),
                _chords("electric guitar|muted guitar", "funk guitar"),
                _chords("clavinet|hammond organ|electric piano", "stabs", 0.6),
             _bass("slap bass|bass guitar", "funk"), _drums("funk", (0, 8))),
            (_counter("brass section|trumpet", "answer", 1.0),
                _chords("clavinet|electric piano", "stabs|funk guitar"), _chords("muted guitar", "funk guitar", 0.6),
             _bass("slap bass", "funk"), _drums("funk", (0, 8, 24))),
            (_tune("tenor sax|trumpet|baritone sax"), _chords("brass section", "horn hits"),
                _chords("electric guitar", "funk guitar"), _bass("bass guitar|slap bass", "funk"), _drums("funk"))),
        cadence="pop", melody=MelodyStyle((1.8, 3.2), 0.75, "pentatonic", 0.7), fill="loud", crash=True, loudness=98,
            spice=0.0),
    Genre(
        "reggae", (66, 92), "reggae", _modes(major=3, minor=3), (
            (_tune("harmonica|trombone|hammond organ|alto sax"), _chords("electric guitar|muted guitar", "skank"),
                _chords("hammond organ", "bubble", 0.7), _bass("bass guitar", "reggae"), _drums("one drop", (0, 8))),
            (_counter("brass section|trumpet|trombone", "answer", 1.0), _chords("piano|electric guitar", "skank"),
                _chords("hammond organ", "bubble", 0.8), _bass("bass guitar|fretless bass", "reggae"),
                _drums("one drop")),
            (_tune("flute|voice oohs|electric guitar"), _chords("muted guitar|piano", "skank"),
                _bass("bass guitar", "reggae"), _drums("one drop", (0, 24)))),
        melody=MelodyStyle((1.2, 2.4), 0.5, "pentatonic"), fill="loud", swing=(0.5, 0.58), swing_cell=0.5,
            loudness=88),
    Genre(
        "country", (92, 152), "country", _modes(major=5, mixolydian=1), (
            (_tune("fiddle|harmonica|electric guitar"), _chords("acoustic guitar", "boom chick|strum"),
                _bass("bass guitar|double bass", "root fifth"), _drums("country", (0, 40))),
            (_tune("electric guitar|harmonica|honky-tonk piano"), _chords("acoustic guitar", "strum|boom chick"),
                _counter("fiddle", "guide|answer", 0.6), _bass("bass guitar", "root fifth"), _drums("country")),
            (_tune("harmonica|fiddle"), _chords("acoustic guitar", "boom chick|strum")),
            (_arp("acoustic guitar", "fingerpick"),)),
        meters=((_FOUR, 0.85), (_THREE, 0.15)), form="folk", melody=MelodyStyle((1.8, 3.4), 0.2, "pentatonic"),
            loudness=90, spice=0.1),
    Genre(
        "bluegrass", (120, 164), "country", _modes(major=5, mixolydian=1.5), (
            (_tune("fiddle"), _arp("banjo", "banjo roll"), _chords("acoustic guitar", "boom chick"),
                _bass("double bass", "two beat")),
            (_tune("banjo|acoustic guitar"), _counter("fiddle", "guide|thirds", 0.7),
                _chords("acoustic guitar", "boom chick"), _bass("double bass", "two beat")),
            (_arp("banjo", "banjo roll"), _chords("acoustic guitar", "boom chick"),
                _bass("double bass", "two beat"))),
        form="folk", melody=MelodyStyle((3.2, 5.0), 0.1, "pentatonic", 0.85), loudness=94, spice=0.0),
)  # fmt: skip

_JAZZ = (
    Genre(
        "jazz swing", (112, 184), "jazz", _modes(major=4, minor=2, dorian=1), (
            (_tune("alto sax|tenor sax|trumpet|clarinet"), _chords("piano|jazz guitar", "swing comp"),
                _bass("double bass", "walking"), _drums("swing|brushes", (32, 40))),
            (_tune("piano|vibraphone|jazz guitar"), _chords("piano|jazz guitar", "swing comp", 0.6),
                _bass("double bass", "walking"), _drums("swing|brushes", (40, 32))),
            (_tune("muted trumpet|trombone|soprano sax"), _counter("tenor sax|trombone|clarinet", "guide|answer",
                0.7), _chords("piano", "swing comp"), _bass("double bass", "walking"), _drums("swing", (32,))),
            (_tune("piano"), _chords("piano", "stride")),
            (_tune("jazz guitar|vibraphone|clarinet|tenor sax"), _bass("double bass", "walking"),
                _chords("jazz guitar|piano", "swing comp", 0.5))),
        meters=((_FOUR, 0.93), (_THREE, 0.07)), cadence="jazz", form="jazz",
            melody=MelodyStyle((1.8, 3.6), 0.5, leap=0.3), swing=(0.62, 0.67), loudness=84, looseness=0.005,
            spice=0.15),
    Genre(
        "bossa nova", (112, 146), "bossa", _modes(major=3, minor=2), (
            (_tune("flute|nylon guitar|voice oohs"), _chords("nylon guitar", "bossa guitar|bossa comp"),
                _bass("double bass|fretless bass", "bossa"), _drums("bossa", (40, 0))),
            (_tune("tenor sax|vibraphone|electric piano"), _chords("piano|nylon guitar|electric piano", "bossa comp"),
                _pad("slow strings", 0.3), _bass("double bass|bass guitar", "bossa"), _drums("bossa", (40, 32))),
            (_tune("flute|clarinet|voice oohs"), _chords("nylon guitar", "bossa guitar")),
            (_chords("nylon guitar", "bossa guitar"),)),
        cadence="jazz", form="jazz", melody=MelodyStyle((1.1, 2.2), 0.7), loudness=76, spice=0.1),
    Genre(
        "blues", (58, 124), "blues", _modes(mixolydian=4, minor=1.5), (
            (_tune("electric guitar|harmonica|tenor sax|overdriven guitar"),
                _chords("hammond organ|piano|electric guitar", "shuffle guitar|quarters"),
                _bass("bass guitar|double bass", "shuffle"), _drums("shuffle", (0, 8))),
            (_tune("harmonica|electric guitar"), _chords("acoustic guitar|electric guitar", "shuffle guitar")),
            (_tune("trumpet|tenor sax|electric guitar"), _chords("brass section", "horn hits", 0.6),
                _chords("piano", "quarters"), _bass("bass guitar", "shuffle"), _drums("shuffle")),
            (_tune("honky-tonk piano|piano"), _chords("honky-tonk piano|piano", "stride"))),
        meters=((_FOUR, 0.85), (_TWELVE, 0.15)), cadence="blues", form="blues",
            melody=MelodyStyle((1.4, 2.8), 0.5, "blues", leap=0.25), swing=(0.63, 0.67), loudness=90, looseness=0.005,
            spice=0.0),
    Genre(
        "lo-fi hip hop", (66, 94), "lofi", _modes(minor=3, major=2.5, dorian=1), (
            (_tune("vibraphone|piano|muted trumpet|flute"), _chords("electric piano|fm electric piano", "lazy comp"),
                _bass("sub bass|bass guitar|fretless bass", "boom bap"), _drums("boom bap", (0, 8, 25))),
            (_tune("electric piano|kalimba|jazz guitar"), _chords("piano|electric piano", "lazy comp|rolled"),
                _pad("warm pad", 0.4), _bass("bass guitar|double bass", "boom bap"), _drums("boom bap", (0, 8))),
            (_chords("electric piano|nylon guitar", "lazy comp|rolled"), _bass("sub bass|double bass", "boom bap"),
                _drums("boom bap", (0, 25))),
            (_arp("nylon guitar|jazz guitar", "ringing"), _pad("warm pad|slow strings", 0.6),
                _bass("sub bass", "boom bap"), _drums("boom bap", (0, 8)))),
        cadence="jazz", melody=MelodyStyle((0.7, 1.7), 0.5, "pentatonic"), swing=(0.54, 0.62), swing_cell=0.5,
            loudness=76, looseness=0.005, spice=0.1),
    Genre(
        "ragtime", (84, 112), "ragtime", _modes(major=1), (
            (_tune("honky-tonk piano|piano"), _chords("honky-tonk piano", "stride")),
            (_tune("piano"), _chords("piano", "stride")),
            (_tune("clarinet|trumpet"), _chords("piano|honky-tonk piano", "stride"), _bass("tuba", "two beat", 0.6)),
            (_tune("banjo|xylophone"), _chords("honky-tonk piano", "stride"))),
        cadence="classical", form="folk", melody=MelodyStyle((3.0, 4.6), 0.6, leap=0.35, legato=0.8), loudness=90,
            spice=0.1),
)  # fmt: skip

_ELECTRONIC = (
    Genre(
        "house", (118, 130), "house", _modes(minor=4, major=1.5, dorian=1), (
            (_chords("piano|bright piano", "house stabs"), _pad("warm pad|synth strings", 0.5),
                _bass("synth bass", "offbeat|octaves"), _drums("house", (24, 25))),
            (_tune("saw lead|voice oohs|square lead"), _chords("electric piano|polysynth pad|hammond organ",
                "house stabs"), _bass("synth bass|sub bass", "offbeat"), _drums("house", (24, 25))),
            (_chords("hammond organ|synth brass", "house stabs"), _arp("square lead|saw lead", "arpeggio", 0.6),
                _bass("synth bass", "octaves|offbeat"), _drums("house", (25, 24)))),
        form="dance", melody=MelodyStyle((1.2, 2.4), 0.6, "pentatonic", 0.7), fill="machine", crash=True, loudness=98,
            looseness=0.0, spice=0.0),
    Genre(
        "techno", (124, 142), "techno", _modes(minor=4, phrygian=1.2, dorian=0.8), (
            (_arp("saw lead|square lead", "ostinato|fast arpeggio"), _bass("synth bass", "sixteenths|offbeat"),
                _drums("techno", (24, 25))),
            (_arp("polysynth pad|square lead|clavinet", "ostinato"), _pad("sweep pad|synth strings|halo pad", 0.7),
                _bass("sub bass|synth bass", "offbeat|sixteenths"), _drums("techno", (24,))),
            (_chords("polysynth pad|synth brass", "stabs"), _arp("saw lead", "fast arpeggio", 0.6),
                _bass("synth bass", "sixteenths"), _drums("techno", (25, 24)))),
        cadence="modal", form="dance", fill="machine", crash=True, loudness=100, looseness=0.0, spice=0.0),
    Genre(
        "synthwave", (80, 122), "synthwave", _modes(minor=4, major=1.5, dorian=0.7), (
            (_tune("saw lead|square lead"), _arp("polysynth pad|saw lead", "fast arpeggio", 0.6),
                _pad("synth strings|polysynth pad"), _bass("synth bass", "eighths|octaves"),
                _drums("electro", (24,))),
            (_tune("synth brass|saw lead|fm electric piano"), _pad("warm pad|sweep pad|synth strings"),
                _bass("synth bass", "octaves|sixteenths|eighths"), _drums("electro", (24, 16))),
            (_arp("square lead|saw lead", "fast arpeggio"), _pad("synth strings|halo pad"),
                _bass("synth bass", "eighths"), _drums("electro", (24,), 0.6))),
        melody=MelodyStyle((0.9, 2.0), 0.3), fill="loud", crash=True, loudness=96, looseness=0.0, spice=0.0),
    Genre(
        "trap", (130, 156), "synthwave", _modes(minor=5, dorian=0.6), (
            (_tune("square lead|flute|music box"), _pad("choir pad|warm pad", 0.6), _bass("sub bass", "sub"),
                _drums("trap", (25,))),
            (_arp("piano|kalimba|harp|celesta", "slow ringing|arpeggio"), _bass("sub bass", "sub"),
                _drums("trap", (25,))),
            (_chords("electric piano|piano", "block"), _counter("pan flute|voice oohs", "answer", 0.7),
                _bass("sub bass", "sub"), _drums("trap", (25, 24)))),
        cadence="modal", form="dance", melody=MelodyStyle((1.2, 2.4), 0.4), fill="machine", loudness=92,
            looseness=0.0, spice=0.0),
    Genre(
        "drum and bass", (160, 178), "synthwave", _modes(minor=4, dorian=1, major=0.8), (
            (_pad("warm pad|synth strings|halo pad"), _arp("electric piano|square lead", "arpeggio", 0.6),
                _bass("sub bass|synth bass", "drum and bass"), _drums("breakbeat", (24, 0))),
            (_tune("saw lead|piano|voice oohs"), _pad("sweep pad|choir pad"), _bass("synth bass", "drum and bass"),
                _drums("breakbeat", (0, 24)))),
        cadence="modal", form="dance", melody=MelodyStyle((1.2, 2.4), 0.3), fill="machine", crash=True, loudness=98,
            looseness=0.0, spice=0.0),
    Genre(
        "chiptune", (112, 172), "chip", _modes(major=3, minor=3), (
            (_tune("square lead"), _arp("square lead", "fast arpeggio|arpeggio"),
                _bass("synth bass", "octaves|eighths"), _drums("electro|pop", (24,))),
            (_tune("square lead"), _counter("square lead|saw lead", "thirds|answer", 0.8),
                _bass("synth bass", "octaves|eighths"), _drums("electro", (24, 25))),
            (_tune("square lead"), _arp("square lead|saw lead", "fast arpeggio"),
                _bass("synth bass", "octaves", 0.6))),
        melody=MelodyStyle((2.4, 4.4), 0.3, legato=0.75), fill="machine", loudness=96, looseness=0.0, spice=0.05),
    Genre(
        "ambient", (50, 82), "ambient", _modes(major=3, minor=2.5, lydian=1, dorian=0.7), (
            (_pad("warm pad|halo pad|slow strings"), _arp("electric piano|harp|vibraphone", "slow ringing", 0.7),
                _bass("sub bass", "pedal", 0.6)),
            (_tune("piano|flute|voice oohs|ocarina"), _pad("sweep pad|warm pad|choir pad"),
                _pad("slow strings|halo pad", 0.5, "high pad")),
            (_tune("electric piano|music box|vibraphone|celesta"), _pad("halo pad|choir pad|polysynth pad")),
            (_arp("kalimba|marimba|nylon guitar|music box", "ringing|slow ringing"), _pad("warm pad|slow strings")),
            (_pad("choir pad|halo pad|warm pad"), _pad("slow strings|sweep pad", 1.0, "high pad"),
                _bass("sub bass|cello", "pedal", 0.6))),
        meters=((_FOUR, 0.85), (_THREE, 0.15)), cadence="plagal",
            melody=MelodyStyle((0.4, 1.0), 0.1, "pentatonic", 1.0), loudness=66, spice=0.05),
)  # fmt: skip

_CONCERT = (
    Genre(
        "classical piano", (60, 138), "classical", _modes(major=4, minor=3), (
            (_tune("piano"), _arp("piano", "alberti|left hand")),
            (_tune("piano"), _chords("piano", "broken|block")),
            (_tune("harpsichord"), _arp("harpsichord", "alberti|ostinato"))),
        meters=((_FOUR, 0.65), (_THREE, 0.25), (_SIX, 0.1)), cadence="classical", form="classical",
            melody=MelodyStyle((1.6, 3.8), 0.05), loudness=78, looseness=0.006, spice=0.25),
    Genre(
        "romantic piano", (54, 96), "romantic", _modes(major=2, minor=3), (
            (_tune("piano"), _arp("piano", "left hand|low ringing")),
            (_tune("piano"), _chords("piano", "broken|rolled")),
            (_tune("violin|cello|clarinet|oboe|french horn"), _arp("piano|harp", "left hand|low ringing"))),
        meters=((_FOUR, 0.55), (_THREE, 0.25), (_SIX, 0.2)), cadence="classical", form="classical",
            melody=MelodyStyle((0.8, 2.2), 0.1, legato=1.0, leap=0.3), loudness=74, looseness=0.007, spice=0.3),
    Genre(
        "solo strings and winds", (60, 132), "classical", _modes(major=3, minor=3), (
            (_tune("violin|viola|cello|flute|oboe|clarinet|bassoon|recorder"),),
            (_tune("flute|oboe|violin|recorder|english horn"),
                _counter("cello|bassoon|viola|clarinet", "guide|thirds", 1.0)),
            (_tune("trumpet|french horn|soprano sax|alto sax|trombone|piccolo|pan flute|tuba"),),
            (_tune("violin|flute|cello|oboe"), _arp("harp|nylon guitar", "ringing|low ringing"))),
        meters=((_FOUR, 0.6), (_THREE, 0.3), (_SIX, 0.1)), cadence="classical", form="classical",
            melody=MelodyStyle((2.2, 4.2), 0.0, leap=0.45, legato=0.95), loudness=82, looseness=0.004, spice=0.1),
    Genre(
        "string quartet", (72, 138), "classical", _modes(major=4, minor=3), (
            (_tune("violin"), _counter("violin|viola", "thirds|guide", 1.0),
                _chords("viola|string ensemble", "eighths|block|ostinato"), _bass("cello", "root|whole notes")),
            (_tune("violin"), _chords("pizzicato strings", "oompah|quarters"),
                _bass("cello|contrabass", "root fifth|root")),
            (_tune("cello|viola"), _chords("string ensemble", "block|hymn"), _bass("contrabass", "whole notes")),
            (_tune("oboe|clarinet|flute"), _chords("string ensemble|slow strings", "block|eighths"),
                _bass("bassoon|cello", "root"))),
        meters=((_FOUR, 0.7), (_THREE, 0.3)), cadence="classical", form="classical",
            melody=MelodyStyle((1.6, 3.4), 0.05), loudness=82, spice=0.2),
    Genre(
        "film score", (60, 144), "film", _modes(minor=4, major=2.5, lydian=0.8, dorian=0.6, phrygian=0.5), (
            (_tune("french horn|brass section|trumpet"), _chords("string ensemble|tremolo strings",
                "ostinato|block|tremolo"), _pad("choir", 0.6), _bass("contrabass|tuba", "root|eighths|whole notes"),
                _drums("epic", (0, 16))),
            (_arp("string ensemble|pizzicato strings", "ostinato"),
                _chords("brass section|trombone", "block|fanfare"), _pad("choir|slow strings", 0.6),
                _bass("contrabass", "eighths|root"), _drums("epic", (16, 0))),
            (_tune("violin|english horn|cello|voice oohs"), _pad("slow strings|string ensemble"),
                _arp("harp|celesta|piano", "ringing|slow ringing", 0.8),
                _bass("contrabass|cello", "whole notes", 0.8)),
            (_tune("piano|celesta|flute|glockenspiel"), _pad("slow strings"),
                _counter("french horn|cello|choir", "guide", 0.6), _bass("contrabass", "pedal|whole notes", 0.7)),
            (_tune("tubular bells|choir"), _chords("tremolo strings", "tremolo"), _pad("french horn|trombone", 0.7),
                _bass("contrabass", "whole notes"))),
        meters=((_FOUR, 0.75), (_THREE, 0.15), (_SIX, 0.1)), cadence="plagal", form="classical",
            melody=MelodyStyle((0.8, 2.0), 0.1, legato=1.0, leap=0.3), fill="loud", crash=True, loudness=100,
            spice=0.1),
    Genre(
        "waltz", (96, 180), "classical", _modes(major=4, minor=2.5), (
            (_tune("violin|flute|clarinet"), _chords("string ensemble|pizzicato strings", "oompah"),
                _bass("contrabass|cello", "waltz"), _drums("waltz", (0, 40), 0.35)),
            (_tune("piano"), _chords("piano", "waltz piano")),
            (_tune("accordion|bandoneon"), _chords("accordion|acoustic guitar|nylon guitar", "oompah"),
                _bass("double bass|tuba", "waltz"), _drums("waltz", (40, 0), 0.4)),
            (_tune("glockenspiel|celesta|music box"), _chords("harp|piano", "waltz piano"))),
        meters=((_THREE, 1.0),), cadence="classical", form="classical", melody=MelodyStyle((1.5, 3.0), 0.05),
            loudness=84, spice=0.2),
    Genre(
        "march", (104, 132), "march", _modes(major=5, minor=1), (
            (_tune("trumpet|brass section"), _counter("trombone|french horn", "guide|answer", 0.7),
                _chords("french horn|brass section|trombone", "oompah"), _bass("tuba", "march"), _drums("march")),
            (_tune("piccolo|clarinet|flute"), _chords("brass section|french horn", "oompah|fanfare"),
                _bass("tuba", "march"), _drums("march")),
            (_tune("trumpet"), _counter("trombone|french horn", "thirds|guide", 1.0), _bass("tuba", "march")),
            (_tune("bagpipes|whistle|piccolo"), _drums("march"), _pad("bagpipes", 1.0, "drone"))),
        meters=((_FOUR, 0.8), (_SIX, 0.2)), cadence="classical", form="classical",
            melody=MelodyStyle((1.8, 3.2), 0.05, legato=0.75), fill="soft", crash=True, loudness=100, spice=0.1),
    Genre(
        "hymn", (58, 96), "hymn", _modes(major=4, minor=2), (
            (_tune("church organ"), _chords("church organ", "hymn")),
            (_tune("choir|voice oohs"), _chords("choir", "hymn"), _bass("contrabass|cello", "whole notes|root", 0.6)),
            (_tune("trumpet|french horn|violin"), _chords("church organ", "hymn"), _pad("choir", 0.5)),
            (_tune("piano"), _chords("piano", "hymn")),
            (_tune("church organ|choir"), _arp("church organ", "alberti|arpeggio"),
                _bass("contrabass", "pedal|whole notes", 0.5))),
        meters=((_FOUR, 0.7), (_THREE, 0.3)), cadence="plagal", form="classical",
            melody=MelodyStyle((0.7, 1.5), 0.0, legato=0.97, leap=0.1), loudness=80, spice=0.1),
)  # fmt: skip

_FOLK = (
    Genre(
        "celtic jig", (104, 132), "celtic", _modes(major=3, dorian=2, mixolydian=1, minor=0.8), (
            (_tune("fiddle|whistle|accordion"), _chords("acoustic guitar", "strum|boom chick"),
                _bass("double bass", "root fifth", 0.5), _drums("celtic", (0,), 0.6)),
            (_tune("whistle|flute|fiddle"), _pad("bagpipes|accordion", 1.0, "drone"), _drums("celtic", (0,), 0.6)),
            (_tune("fiddle|flute|accordion"), _arp("harp|nylon guitar", "ringing")),
            (_tune("harp|fiddle|whistle|recorder|bagpipes"),)),
        meters=((_SIX, 1.0),), cadence="modal", form="folk", melody=MelodyStyle((4.2, 6.5), 0.05, legato=0.85,
            leap=0.25), loudness=90, spice=0.0),
    Genre(
        "celtic reel", (96, 122), "celtic", _modes(major=3, dorian=2, mixolydian=1, minor=0.8), (
            (_tune("fiddle|whistle|accordion"), _chords("acoustic guitar", "strum|boom chick"),
                _bass("double bass", "root fifth|two beat", 0.5), _drums("celtic", (0,), 0.7)),
            (_tune("fiddle|flute|whistle"), _counter("accordion|fiddle", "guide", 0.6),
                _chords("nylon guitar|acoustic guitar", "boom chick|strum")),
            (_tune("banjo|fiddle"), _pad("bagpipes|accordion", 1.0, "drone"), _drums("celtic", (0,), 0.6))),
        cadence="modal", form="folk", melody=MelodyStyle((4.0, 6.5), 0.05, legato=0.85, leap=0.25), loudness=90,
            spice=0.0),
    Genre(
        "acoustic folk", (72, 126), "celtic", _modes(major=4, minor=1.5, dorian=1, mixolydian=0.8), (
            (_arp("acoustic guitar|nylon guitar", "fingerpick"),),
            (_tune("harmonica|flute|recorder|violin"), _arp("acoustic guitar", "fingerpick")),
            (_tune("acoustic guitar|fiddle"), _chords("acoustic guitar", "strum"),
                _bass("double bass", "root fifth|root", 0.7), _drums("light percussion", (0, 40), 0.4)),
            (_tune("accordion|pan flute|ocarina"), _chords("nylon guitar", "strum|fingerpick"),
                _counter("cello|fiddle", "guide", 0.6)),
            (_tune("nylon guitar"), _arp("nylon guitar", "low ringing"))),
        meters=((_FOUR, 0.7), (_THREE, 0.2), (_SIX, 0.1)), form="folk", melody=MelodyStyle((1.3, 2.8), 0.1),
            loudness=80, spice=0.05),
    Genre(
        "salsa", (88, 112), "latin", _modes(minor=3, major=2.5, dorian=0.8), (
            (_tune("trumpet|trombone|flute"), _chords("piano", "montuno"), _bass("double bass|bass guitar", "tumbao"),
                _drums("salsa")),
            (_counter("brass section|trumpet", "answer", 1.0), _chords("piano|bright piano", "montuno"),
                _bass("bass guitar", "tumbao"), _drums("salsa")),
            (_tune("flute|vibraphone|brass section"), _chords("piano", "montuno"), _bass("double bass", "tumbao"),
                _drums("salsa|hand drums"))),
        cadence="classical", melody=MelodyStyle((2.0, 3.6), 0.7), fill="hand", loudness=96, spice=0.05),
    Genre(
        "tango", (108, 132), "latin", _modes(minor=4, major=1), (
            (_tune("bandoneon|violin"), _chords("piano", "tango"),
                _bass("double bass|contrabass", "habanera|two beat")),
            (_tune("violin"), _chords("bandoneon|accordion", "tango"), _counter("cello", "guide", 0.6),
                _bass("contrabass", "habanera")),
            (_tune("bandoneon|accordion"), _chords("nylon guitar", "tango|bossa guitar"))),
        cadence="classical", form="classical", melody=MelodyStyle((1.8, 3.4), 0.4, legato=0.8, leap=0.25),
            loudness=90, spice=0.15),
    Genre(
        "calypso", (100, 124), "country", _modes(major=1), (
            (_tune("steel drums"), _chords("steel drums|nylon guitar|marimba", "skank|eighths"),
                _bass("bass guitar", "two beat|root fifth"), _drums("calypso")),
            (_tune("steel drums|marimba|xylophone"), _arp("marimba|kalimba", "arpeggio"),
                _bass("bass guitar", "two beat", 0.7), _drums("calypso|hand drums", (0,), 0.8)),
            (_tune("flute|trumpet"), _chords("steel drums", "eighths|skank"), _bass("bass guitar", "two beat"),
                _drums("calypso"))),
        cadence="classical", form="folk", melody=MelodyStyle((2.2, 3.8), 0.5, legato=0.8), fill="hand", loudness=94,
            spice=0.05),
    Genre(
        "world music", (72, 116), "world", _modes(minor=2, dorian=1.5, mixolydian=1, major=1, phrygian=0.8), (
            (_tune("sitar"), _pad("sitar|bagpipes", 1.0, "drone"), _drums("hand drums", (0,), 0.7)),
            (_tune("koto|shamisen"), _arp("koto", "slow ringing|ringing", 0.6)),
            (_tune("pan flute|ocarina|recorder"), _chords("nylon guitar", "strum"),
                _drums("hand drums|light percussion", (0,), 0.6)),
            (_tune("kalimba|marimba"), _arp("kalimba|marimba", "ostinato|arpeggio"), _drums("hand drums", (0,), 0.6)),
            (_tune("shamisen|koto|flute"), _counter("pan flute|koto", "answer|guide", 0.8),
                _drums("hand drums", (0,), 0.5)),
            (_arp("kalimba|koto|marimba", "fast arpeggio|arpeggio"),)),
        cadence="modal", form="folk", melody=MelodyStyle((1.4, 3.2), 0.3, "pentatonic"), fill="hand", loudness=84,
            spice=0.0),
    Genre(
        "new age", (54, 88), "new age", _modes(major=4, minor=1.5, dorian=0.5, lydian=0.5), (
            (_arp("harp", "fast arpeggio|ringing"),),
            (_tune("flute|pan flute|ocarina|soprano sax"), _arp("harp|piano", "ringing|low ringing"),
                _pad("warm pad|slow strings|choir pad", 0.6)),
            (_tune("piano"), _arp("piano", "low ringing|left hand"), _pad("slow strings|warm pad", 0.6)),
            (_arp("nylon guitar|acoustic guitar", "fingerpick|ringing"), _pad("warm pad|voice oohs", 0.6)),
            (_tune("voice oohs|violin|cello"), _arp("harp|nylon guitar", "ringing"))),
        meters=((_FOUR, 0.75), (_THREE, 0.15), (_SIX, 0.1)), cadence="plagal",
            melody=MelodyStyle((0.7, 1.6), 0.1, legato=1.0), loudness=70, looseness=0.005, spice=0.1),
    Genre(
        "lullaby", (56, 92), "hymn", _modes(major=4, minor=1), (
            (_tune("music box"), _arp("music box", "arpeggio|ringing")),
            (_tune("celesta|glockenspiel|music box"), _arp("harp|celesta", "ringing")),
            (_tune("vibraphone|celesta"), _chords("vibraphone|piano", "rolled|block"),
                _pad("slow strings|voice oohs", 0.4)),
            (_tune("voice oohs|flute|ocarina"), _arp("nylon guitar|harp|piano", "fingerpick|ringing")),
            (_arp("music box|celesta", "ringing|arpeggio"),)),
        meters=((_FOUR, 0.4), (_THREE, 0.35), (_SIX, 0.25)), cadence="classical", form="folk",
            melody=MelodyStyle((0.9, 2.0), 0.05, legato=1.0, leap=0.15), loudness=66, looseness=0.005, spice=0.1),
)  # fmt: skip

GENRES: dict[str, Genre] = {genre.name: genre for genre in (*_POPULAR, *_JAZZ, *_ELECTRONIC, *_CONCERT, *_FOLK)}
