"""The turns of phrase that captions are put together from, the commonest first; marks as in ``phrases``."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """What listeners call a tempo of ``low`` up to ``high`` bpm: before a noun, and after one or as a remark."""

    name: str
    low: float
    high: float
    adjectives: tuple[str, ...]
    remarks: tuple[str, ...]


PACES = (
    Pace("slow", 0, 80, ("slow", "slow", "unhurried", "slow-paced", "leisurely", "slow-moving"),
         ("at a slow tempo", "at a slow pace", "taken slowly", "in no hurry", "with a slow pulse")),
    Pace("very slow", 0, 60, ("very slow", "really slow", "crawling"),
        ("at a very slow tempo", "at a crawl", "barely moving")),
    Pace("moderate", 80, 115, ("mid-tempo", "medium-tempo", "moderate", "medium-paced", "moderately paced",
        "walking-pace"),
         ("at a moderate tempo", "at a medium tempo", "at walking pace", "at mid-tempo",
          "not too fast and not too slow")),
    Pace("fairly fast", 112, 128, ("moderately fast", "fairly quick", "medium-fast"),
        ("at a fairly quick tempo", "on the quick side")),
    Pace("fast", 125, 400, ("fast", "upbeat", "uptempo", "fast-paced", "quick", "up-tempo", "brisk", "rapid"),
         ("at a fast tempo", "at a brisk pace", "played fast", "at a quick pace", "with a fast pulse")),
    Pace("very fast", 160, 400, ("very fast", "breakneck", "super fast", "frantic"),
        ("at breakneck speed", "at a very fast tempo")),
)  # fmt: skip

MAJOR_SPELLINGS = (
    ("C",), ("D flat", "Db", "D-flat", "C sharp", "C#"), ("D",), ("E flat", "Eb", "E-flat"), ("E",), ("F",),
    ("F sharp", "F#", "F-sharp", "G flat", "Gb"), ("G",), ("A flat", "Ab", "A-flat"), ("A",),
    ("B flat", "Bb", "B-flat"), ("B",),
)  # fmt: skip
MINOR_SPELLINGS = (
    ("C",), ("C sharp", "C#", "C-sharp"), ("D",), ("E flat", "Eb", "D sharp", "D#"), ("E",), ("F",),
    ("F sharp", "F#", "F-sharp"), ("G",), ("G sharp", "G#", "A flat", "Ab"), ("A",), ("B flat", "Bb", "B-flat"), ("B",),
)  # fmt: skip
METER_NAMES: dict[tuple[int, int], tuple[str, ...]] = {
    (2, 4): ("{n}/{d}", "two-four time", "{n}/{d} time"),
    (3, 4): ("{n}/{d}", "waltz time", "three-four time", "{n}/{d} time", "triple time", "triple meter"),
    (4, 4): ("{n}/{d}", "four-four time", "{n}/{d} time", "common time"),
    (6, 8): ("{n}/{d}", "six-eight", "six-eight time", "{n}/{d} time", "a lilting {n}/{d}"),
    (12, 8): ("{n}/{d}", "twelve-eight", "{n}/{d} time", "a rolling {n}/{d}"),
    (5, 4): ("{n}/{d}", "five-four time", "{n}/{d} time", "an odd {n}/{d} meter"),
    (7, 8): ("{n}/{d}", "seven-eight", "{n}/{d} time", "an odd {n}/{d} meter"),
}
BPM = ("{t} bpm", "{t} BPM", "{t} bpm", "{t}bpm", "{t} beats per minute", "{t} BPM")

# Settings of tempo, key and meter, after a noun; the one used is the one whose slots are what there is to say.
SETTINGS = (
    "at {bpm}", "at {bpm}", ", {bpm}", "at around {bpm}", ", tempo {t}", "at a tempo of {bpm}", "({bpm})",
    "in {key}", "in {key}", "in the key of {key}", ", {key}", "({key})", "in {meter}", "in {meter}", ", {meter}",
    "at {bpm} in {key}", "in {key} at {bpm}", "in {key}, {bpm}", ", {bpm}, {key}", "({bpm}, {key})",
    ", {bpm} in the key of {key}",
    "in {meter} at {bpm}", "at {bpm} in {meter}", "({meter}, {bpm})", "in {key} and {meter}", "in {meter}, {key}",
    "in {key}, {meter}",
    "in {key}, {meter}, {bpm}", "at {bpm} in {key}, {meter}", "in {meter}, {key}, at {bpm}", "({key}, {meter}, {bpm})",
)  # fmt: skip
# The same as something that is said of "it".
SETTING_PREDICATES = (
    "<runs/run> at {bpm}", "<sits/sit> at {bpm}", "<moves/move> along at {bpm}", "<is/be> at around {bpm}",
    "<goes/go> at {bpm}",
    "<is/be> in {key}", "<is/be> in {key}", "<stays/stay> in {key}", "<sits/sit> in {key}", "<is/be> in {meter}",
    "<is/be> written in {meter}", "<moves/move> in {meter}",
    "<is/be> in {key} at {bpm}", "<runs/run> at {bpm} in {key}", "<sits/sit> in {key}, around {bpm}",
    "<is/be> in {meter} at {bpm}", "<is/be> in {key}, {meter}", "<is/be> in {key} and {meter}",
    "<is/be> in {key}, {meter}, at {bpm}",
)  # fmt: skip
SETTING_NOTES = (
    "{bpm}", "tempo {t}", "tempo: {bpm}", "the tempo is {bpm}", "tempo around {bpm}", "the key is {key}",
    "key of {key}", "key: {key}", "{key}",
    "{meter}", "time signature {n}/{d}", "{bpm}, {key}", "{key}, {bpm}", "the tempo is {bpm} and the key is {key}",
    "{bpm} in {key}",
    "{bpm}, {meter}", "{meter} at {bpm}", "{key}, {meter}", "{meter}, {key}", "{key}, {meter}, {bpm}",
    "{bpm}, {key}, {meter}",
)  # fmt: skip

MODE_ADJECTIVES = {"minor": ("minor-key",), "major": ("major-key",)}
MODE_REMARKS = {
    "minor": ("in a minor key", "in minor", "in a minor key"),
    "major": ("in a major key", "in major", "in a major key"),
}  # fmt: skip

MOOD_REMARKS = (
    "with @ {a} feel", "with @ {a} mood", "with @ {a} vibe", "full of {f}", "with a sense of {f}",
    "with @ {a} atmosphere",
    ", {a} mood", "that feels {a}", "with a touch of {f}", "that sounds {a}", "with a feeling of {f}",
)  # fmt: skip
MOOD_PREDICATES = (
    "<feels/feel> {a}", "<has/have> @ {a} feel", "<sounds/sound> {a}", "<feels/feel> {a} throughout",
    "<has/have> @ {a} mood", "<is/be> {a} from start to finish",
    "<carries/carry> a sense of {f}", "<is/be> full of {f}", "<has/have> @ {a} atmosphere",
    "<leaves/leave> a feeling of {f}", "<stays/stay> {a}",
)  # fmt: skip
MOOD_NOTES = (
    "the mood is {a}", "{a} mood", "overall {a} feel", "the overall feel is {a}", "{a} vibe", "there's a sense of {f}",
    "the vibe is {a}",
    "very {a}", "think {f}", "it should feel {a}", "{a} atmosphere",
)  # fmt: skip
PACE_PREDICATES = ("<moves/move> {r}", "<goes/go> along {r}", "<is/be> played {r}")
GENRE_REMARKS = ("in @ {g} style", "in the style of {g}", "with @ {g} feel", ", {g} style", "with some {g} in it")

GENERIC_NOUNS = (
    "track", "piece", "tune", "music", "instrumental?no voices", "music", "instrumental track?no voices",
    "background music",
    "loop", "melody", "song", "musical piece", "little tune", "theme", "instrumental music?no voices",
)  # fmt: skip

# {w} is an instrument used like an adjective: "cello melody".
LEADING_NOUNS: dict[str, tuple[str, ...]] = {
    "melody": (
        "{w}",
        "{w} melody",
        "{w} piece",
        "{w} tune",
        "{w} track",
        "{w} instrumental?no voices",
        "{w} theme",
        "{w} lead",
        "{w} music",
    ),
    "counter": ("{w}", "{w} line", "{w} track", "{w} piece"),
    "chords": ("{w}", "{w} chords", "{w} piece", "{w} track", "{w} music", "{w} progression"),
    "arpeggio": ("{w} arpeggios", "{w}", "{w} piece", "arpeggiated {w}", "{w} music"),
    "pad": ("{w}", "{w} piece", "{w} track", "{w} music", "{w} backdrop"),
    "bass": ("{w} groove", "{w} line", "{w}", "{w} groove?drums", "{w} track", "walking {w}?walking bass"),
}

# {list} is who plays; the second row follows a noun that is an instrument already.
CASTS = (
    "with {list}", "with {list}", "featuring {list}?players", "for {list}?whole cast", "built around {list}?players",
    "with {list}",
    "played on {list}?whole cast", "led by {list}?lead alone", ", {list}?players", "using {list}?players",
    "made with {list}?players", "on {list}?lead alone",
    "driven by {list}?drums alone",
)  # fmt: skip
MORE_CASTS = (
    "with {list}",
    "and {list}?reads on",
    "over {list}",
    "backed by {list}",
    "with {list}",
    "plus {list}",
    ", {list}",
    "accompanied by {list}",
)
NO_DRUMS_ADJECTIVES = ("beatless?synth", "drumless", "percussion-free?no percussion")
NO_DRUMS = (
    ", no drums", "without drums", "with no drums", "without any drums", "without percussion?no percussion",
    ", no beat?synth", ", no percussion?no percussion",
    "with no drum kit", "without a beat?synth",
)  # fmt: skip
NO_DRUMS_NOTES = (
    "no drums", "there are no drums", "no drums at all", "no percussion?no percussion", "leave out the drums",
    "no drums or percussion?no percussion",
    "without drums", "no beat underneath?synth", "completely without percussion?no percussion", "keep it drumless",
)  # fmt: skip
NO_DRUMS_PREDICATES = (
    "<has/have> no drums",
    "<goes/go> without drums",
    "<does/do> without a beat?synth",
    "<gets/get> by without drums",
    "<leaves/leave> out the drums",
)
SOLO_ADJECTIVES = ("solo", "solo", "unaccompanied", "lone")
# What needs "named" follows the name of the player.
SOLO_REMARKS = (
    "played solo", ", just one instrument", ", no other instruments?named", "for a single player",
    ", nothing else?named", ", all alone?named",
    "for one instrument alone",
)  # fmt: skip
ENSEMBLE_REMARKS = {
    "solo": SOLO_REMARKS,
    "duo": ("played by a duo", ", just two players", "as a duet"),
    "trio": ("played by a trio", ", three players"),
    "quartet": ("played by a quartet", ", four players", ", small group"),
    "band": ("played by a full band", ", full band", "with the whole band", "played by a band", ", band arrangement"),
}  # fmt: skip
SWING_REMARKS = ("with a swing feel", ", swung", "with a shuffle feel", "with a bit of swing")
SWING_ADJECTIVES = ("swinging", "swung", "shuffling")
NO_VOICES = (", no vocals", "without vocals", ", instrumental", ", instrumental only", "with no singing")

# Tags.
SETTING_TAGS = ("{bpm}", "{bpm}", "tempo {t}", "{key}", "{key}", "key of {key}", "{meter}", "{n}/{d}")
MODE_TAGS = {"minor": ("minor key", "minor"), "major": ("major key", "major")}
ENSEMBLE_TAGS = {
    "solo": ("solo", "solo", "one instrument", "unaccompanied"),
    "duo": ("duo",),
    "trio": ("trio",),
    "band": ("full band", "band"),
}
NO_DRUMS_TAGS = ("no drums", "no drums", "beatless?synth", "drumless", "no percussion?no percussion", "without drums")
PLAIN_TAGS = {"swing": ("swing feel", "swung", "shuffle"), "voices": ("instrumental", "no vocals")}

# What a player does: a clause with {x} the player, a/b the verb for one or many.
ROLE_CLAUSES: dict[str, tuple[str, ...]] = {
    "melody": (
        "{x} <carries/carry> the melody", "{x} <plays/play> the melody", "{x} <takes/take> the lead",
        "{x} <plays/play> the main tune",
        "{x} <sings/sing> out the melody", "{x} <leads/lead>", "{x} <has/have> the tune", "{x} <is/are> up front",
        "the melody is on {x}",
        "the tune is played by {x}",
    ),
    "counter": (
        "{x} <answers/answer> with a countermelody", "{x} <weaves/weave> around it", "{x} <adds/add> a second line",
        "{x} <fills/fill> in the gaps",
        "{x} <adds/add> little answers", "{x} <plays/play> a countermelody",
    ),
    "chords": (
        "{x} <plays/play> the chords", "{x} <plays/play> chords underneath", "{x} <holds/hold> the harmony",
        "{x} <backs/back> it up with chords",
        "{x} <supports/support> it all", "{x} <lays/lay> down the chords", "{x} <comps/comp> behind?jazz swing",
        "the chords come from {x}",
    ),
    "arpeggio": (
        "{x} <plays/play> arpeggios", "{x} <ripples/ripple> away in arpeggios", "{x} <plays/play> broken chords",
        "{x} <rolls/roll> through the chords",
        "{x} <picks/pick> out the chords note by note", "arpeggios run on {x}",
    ),
    "pad": (
        "{x} <holds/hold> long notes", "{x} <hangs/hang> in the background", "{x} <fills/fill> out the background",
        "{x} <lies/lie> underneath",
        "{x} <makes/make> a backdrop", "{x} <sustains/sustain> long chords",
    ),
    "bass": (
        "{x} <walks/walk> underneath?walking bass", "{x} <holds/hold> down the low end",
        "{x} <anchors/anchor> everything", "{x} <plays/play> the bass line",
        "{x} <keeps/keep> the bottom moving", "{x} <sits/sit> underneath",
        "{x} <plays/play> a walking line?walking bass",
    ),
    "drums": (
        "{x} <keeps/keep> time", "{x} <drives/drive> it along", "{x} <holds/hold> the groove",
        "{x} <gives/give> it a pulse", "{x} <plays/play> underneath",
        "{x} <pushes/push> it forward", "{x} <backs/back> it all up",
    ),
}  # fmt: skip
# The same without a verb; {x} is bare, {w} used like an adjective.
ROLE_NOUNS: dict[str, tuple[str, ...]] = {
    "melody": ("{w} melody", "{x} on the melody", "{x} playing the tune", "{w} lead", "melodic {x}", "{x} on top",
        "{x} carrying the melody"),
    "counter": ("{x} weaving in and out", "{w} countermelody", "answering {x}", "{x} fills"),
    "chords": ("{w} chords", "{x} chords", "{x} in the middle", "{x} playing chords", "{w} accompaniment",
        "{x} backing"),
    "arpeggio": ("{w} arpeggios", "arpeggiated {x}", "rippling {x}", "{x} broken chords", "rolling {x}"),
    "pad": ("sustained {x}", "{x} in the background", "a bed of {x}", "long {w} chords", "{x} swelling underneath"),
    "bass": ("{w} line", "walking {x}?walking bass", "{x}", "steady {x}", "{x} holding the low end", "{x} underneath"),
    "drums": ("{x}", "steady {x}", "{x}", "{x} underneath", "{x} in the back"),
}  # fmt: skip
# {c} and {m} are the clause and the noun phrase of the player in front, {d} and {n} those of the others.
SCENES = (
    "{c}, with {n}", "{c} over {n}?lead", "{m} over {n}?lead", "{c} while {d}", "{c} and {d}?pair",
    "<there's/there are> {m}, plus {n}", "{m} and {n}?pair",
    "{c} on top of {n}?lead", "you hear {m}, {n}?several", "{m} with {n}", "{c}, {d}?several", "it has {m} with {n}",
    "{c}, backed by {n}?lead",
    "{c} and {d}?pair", "{m} sits on top of {n}?lead?attributive", "{m}, {n}",
)  # fmt: skip
SCENES_OF_ONE = ("{c}", "{c}", "{m}", "<there's/there are> {m}", "it has {m}", "it features {m}", "you can hear {m}")

OPENINGS = (
    "<opens/open> with a quiet intro?opens with intro?quiet start", "<opens/open> with an intro?opens with intro",
    "<starts/start> quietly?quiet start",
    "<starts/start> with an intro?opens with intro", "<begins/begin> with the {first}?plain start",
    "<opens/open> with the {first}?plain start",
    "<starts/start> small?quiet start", "<starts/start> on the {first}?plain start",
)  # fmt: skip
MIDDLES = (
    "<builds/build> to a fuller {peak}?builds", "<builds/build> up to the {peak}?builds",
    "<grows/grow> into the {peak}?builds",
    "<moves/move> on to the {peak}", "<goes/go> into the {peak}", "<leads/lead> to the {peak}",
    "<slams/slam> into the drop?has drop",
    "<breaks/break> down in the middle?has breakdown", "<has/have> a breakdown?has breakdown",
    "<passes/pass> through a bridge?has bridge",
    "<makes/make> room for an interlude?has interlude",
)  # fmt: skip
CLOSINGS = (
    "<ends/end> with an outro?ends with outro", "<winds/wind> down at the end?winds down",
    "<closes/close> with an outro?ends with outro",
    "<gets/get> quieter at the end?winds down", "<comes/come> back to the {last} at the end?returns",
    "<ends/end> on the {last}?returns",
    "<finishes/finish> with the {last}?returns",
)  # fmt: skip
SUBJECTS = ("it", "it", "it", "it", "the track", "the piece", "the music")

# Sections whose names in a score would puzzle or mislead: "solo" reads as one player alone.
SECTION_NAMES = {
    "solo": "lead break", "first strain": "first part", "second strain": "second part", "groove": "main groove",
    "head": "main theme",
    "theme": "main theme", "development": "middle part",
}  # fmt: skip

REQUESTS = (
    "make me {one}", "I need {one}", "generate {one}", "create {one}", "I want {one}", "give me {one}", "play {one}",
    "compose {one}", "write {one}", "I'd like {one}",
    "can you make {one}?", "please make {one}", "looking for {one}", "could you write {one}?", "write me {one}",
    "make {one}", "I'm looking for {one}", "{bare} please",
    "produce {one}", "can I get {one}?", "let's hear {one}", "need {one}",
)  # fmt: skip
OPENERS = ("{one}", "{one}", "{bare}", "this is {one}", "{one}", "here's {one}", "imagine {one}", "we hear {one}")

# What for, with the moods that it fits.
USES: tuple[tuple[str, frozenset[str]], ...] = tuple(
    (use, frozenset(moods.split()))
    for use, moods in (
        ("for studying", "calm peaceful warm dreamy"), ("for a game menu", "calm mysterious dreamy epic playful"),
        ("for a rainy evening", "sad melancholic nostalgic calm warm"), ("for sleeping", "calm peaceful dreamy"),
        ("for a wedding video", "romantic warm hopeful"), ("for a boss fight", "aggressive epic tense"),
        ("for a chase scene", "tense energetic aggressive"),
        ("for a kids' show", "playful happy"), ("for a workout", "energetic aggressive"),
        ("for a road trip", "happy energetic groovy hopeful"),
        ("for a coffee shop", "calm warm groovy nostalgic"), ("for a horror game", "dark mysterious tense"),
        ("for a vlog", "happy bright playful groovy"),
        ("for a corporate video", "hopeful bright"), ("for meditation", "peaceful calm"),
        ("for a dinner party", "romantic warm groovy calm"),
        ("for the end credits", "epic hopeful nostalgic"), ("for a sad scene", "sad melancholic"),
        ("for a funeral scene", "solemn sad"),
        ("for a party", "energetic happy groovy"), ("for a detective story", "mysterious dark"),
        ("for a trailer", "epic tense dark"),
        ("for a summer ad", "happy bright"), ("as background music", "calm warm peaceful bright happy"),
        ("for a podcast intro", "groovy bright energetic playful"),
        ("for driving at night", "dreamy dark nostalgic groovy"), ("for a ceremony", "solemn epic"),
        ("for a fantasy village", "playful warm peaceful bright"),
        ("for a level in a platform game", "playful happy energetic bright"), ("for a first dance", "romantic"),
        ("for a sunrise shot", "hopeful peaceful bright"),
    )
)  # fmt: skip
