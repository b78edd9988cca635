"""The band's instruments: General MIDI programs under the names that captions use."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Instrument:
    """One playable sound.

    ``program`` is the General MIDI program (0-127), ``low``/``high`` the comfortable MIDI pitch range,
    ``family`` one of ``FAMILIES``.
    """

    name: str
    program: int
    family: str
    low: int
    high: int


FAMILIES = (
    "piano", "mallets", "organ", "accordion", "guitar", "bass", "strings", "harp", "choir",
    "brass", "woodwind", "synth", "world", "drums",
)  # fmt: skip

_TABLE = (
    ("piano", 0, "piano", 28, 96),
    ("bright piano", 1, "piano", 28, 96),
    ("honky-tonk piano", 3, "piano", 36, 96),
    ("electric piano", 4, "piano", 36, 96),
    ("fm electric piano", 5, "piano", 36, 96),
    ("harpsichord", 6, "piano", 36, 89),
    ("clavinet", 7, "piano", 36, 84),
    ("celesta", 8, "mallets", 60, 100),
    ("glockenspiel", 9, "mallets", 67, 100),
    ("music box", 10, "mallets", 60, 96),
    ("vibraphone", 11, "mallets", 53, 89),
    ("marimba", 12, "mallets", 48, 91),
    ("xylophone", 13, "mallets", 60, 96),
    ("tubular bells", 14, "mallets", 60, 77),
    ("hammond organ", 16, "organ", 36, 96),
    ("rock organ", 18, "organ", 36, 96),
    ("church organ", 19, "organ", 36, 96),
    ("accordion", 21, "accordion", 48, 88),
    ("harmonica", 22, "accordion", 55, 88),
    ("bandoneon", 23, "accordion", 48, 88),
    ("nylon guitar", 24, "guitar", 40, 81),
    ("acoustic guitar", 25, "guitar", 40, 84),
    ("jazz guitar", 26, "guitar", 40, 84),
    ("electric guitar", 27, "guitar", 40, 86),
    ("muted guitar", 28, "guitar", 40, 84),
    ("overdriven guitar", 29, "guitar", 40, 86),
    ("distorted guitar", 30, "guitar", 40, 86),
    ("double bass", 32, "bass", 28, 55),
    ("bass guitar", 33, "bass", 28, 55),
    ("picked bass", 34, "bass", 28, 55),
    ("fretless bass", 35, "bass", 28, 55),
    ("slap bass", 36, "bass", 28, 55),
    ("synth bass", 38, "bass", 28, 55),
    ("sub bass", 39, "bass", 24, 50),
    ("violin", 40, "strings", 55, 96),
    ("viola", 41, "strings", 48, 84),
    ("cello", 42, "strings", 36, 76),
    ("contrabass", 43, "strings", 28, 60),
    ("tremolo strings", 44, "strings", 40, 88),
    ("pizzicato strings", 45, "strings", 40, 88),
    ("harp", 46, "harp", 36, 96),
    ("string ensemble", 48, "strings", 36, 92),
    ("slow strings", 49, "strings", 36, 92),
    ("synth strings", 50, "synth", 36, 92),
    ("choir", 52, "choir", 48, 84),
    ("voice oohs", 53, "choir", 48, 84),
    ("trumpet", 56, "brass", 55, 84),
    ("trombone", 57, "brass", 40, 72),
    ("tuba", 58, "brass", 28, 55),
    ("muted trumpet", 59, "brass", 55, 84),
    ("french horn", 60, "brass", 41, 77),
    ("brass section", 61, "brass", 43, 84),
    ("synth brass", 62, "synth", 43, 84),
    ("soprano sax", 64, "woodwind", 56, 87),
    ("alto sax", 65, "woodwind", 49, 80),
    ("tenor sax", 66, "woodwind", 44, 75),
    ("baritone sax", 67, "woodwind", 36, 68),
    ("oboe", 68, "woodwind", 58, 91),
    ("english horn", 69, "woodwind", 52, 81),
    ("bassoon", 70, "woodwind", 34, 72),
    ("clarinet", 71, "woodwind", 50, 91),
    ("piccolo", 72, "woodwind", 74, 103),
    ("flute", 73, "woodwind", 60, 96),
    ("recorder", 74, "woodwind", 60, 96),
    ("pan flute", 75, "woodwind", 60, 96),
    ("whistle", 78, "woodwind", 60, 96),
    ("ocarina", 79, "woodwind", 60, 84),
    ("square lead", 80, "synth", 48, 96),
    ("saw lead", 81, "synth", 48, 96),
    ("warm pad", 89, "synth", 36, 92),
    ("polysynth pad", 90, "synth", 36, 92),
    ("choir pad", 91, "synth", 36, 92),
    ("halo pad", 94, "synth", 36, 92),
    ("sweep pad", 95, "synth", 36, 92),
    ("sitar", 104, "world", 48, 84),
    ("banjo", 105, "world", 48, 84),
    ("shamisen", 106, "world", 48, 84),
    ("koto", 107, "world", 48, 88),
    ("kalimba", 108, "world", 55, 88),
    ("bagpipes", 109, "world", 55, 80),
    ("fiddle", 110, "strings", 55, 96),
    ("steel drums", 114, "world", 52, 88),
    ("drums", 0, "drums", 27, 87),
)

INSTRUMENTS: dict[str, Instrument] = {row[0]: Instrument(*row) for row in _TABLE}
