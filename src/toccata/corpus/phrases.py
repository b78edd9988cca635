"""The words that people use for genres, moods and instruments, the commonest first.

A phrase may end in marks: ``|trait`` says a trait (a label the caption then names), ``?trait`` only needs it to hold.
The traits are those of ``traits.Traits.holds``: ``"beat|drums"`` is for scores with drums,
and says that there are some.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class GenreWords:
    """``styles`` stand alone or before a noun, ``adjectives`` only before one, ``heads`` are things one can count."""

    styles: tuple[str, ...]
    adjectives: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    nouns: tuple[str, ...] = ("track", "piece", "tune", "instrumental?no voices")


@dataclass(frozen=True)
class MoodWords:
    """``adjectives`` name the mood, ``feelings`` are its nouns, ``tones`` suit the sound of an instrument in it."""

    adjectives: tuple[str, ...]
    feelings: tuple[str, ...]
    tones: tuple[str, ...]


_SONG = ("song", "track", "tune", "instrumental?no voices", "number", "backing track", "ballad|slow")
_CLUB = ("track", "tune", "groove?drums", "loop", "beat|drums", "banger|fast", "instrumental?no voices")
_BEAT = ("beat|drums", "track", "instrumental?no voices", "groove?drums", "loop", "tune", "beat|drums")
_BAND = ("tune", "number", "track", "jam?band", "groove?drums", "song", "instrumental?no voices")
_SCORED = ("piece", "music", "composition", "work")
_TRAD = ("tune", "song", "melody", "piece", "instrumental?no voices")

GENRES: dict[str, GenreWords] = {
    "lo-fi hip hop": GenreWords(
        ("lo-fi", "lo-fi hip hop", "lofi", "lofi hip hop", "lo-fi hip-hop", "chillhop"), ("lo-fi style",), (), _BEAT
    ),
    "trap": GenreWords(("trap", "trap hip hop", "modern trap"), ("trap-style",), (), _BEAT),
    "jazz swing": GenreWords(
        ("jazz", "swing", "swing jazz", "jazz swing", "straight-ahead jazz", "classic jazz", "bebop-flavoured jazz"),
        ("jazzy", "jazz club", "swing era"), ("jazz standard", "swing tune", "jazz number"), _BAND,
    ),
    "bossa nova": GenreWords(
        ("bossa nova", "bossa", "Brazilian jazz", "Brazilian bossa nova"), ("bossa-style", "Brazilian", "Rio-style"),
        ("bossa nova", "bossa"), _BAND,
    ),
    "blues": GenreWords(
        ("blues", "twelve-bar blues", "12-bar blues", "classic blues"), ("bluesy", "juke-joint", "blues club"),
        ("blues",), _BAND
    ),
    "rock": GenreWords(
        ("rock", "rock and roll", "classic rock", "rock 'n' roll", "alt rock", "indie rock"), ("rocking", "rock-style"),
        ("rock anthem|fast", "rocker"), _BAND,
    ),
    "metal": GenreWords(
        ("metal", "heavy metal", "hard rock metal"), ("headbanging", "metal-style"), (), ("track", "song", "riff",
         "instrumental?no voices")
    ),
    "pop": GenreWords(
        ("pop", "modern pop", "radio pop", "mainstream pop", "catchy pop"), ("poppy", "radio-friendly pop"),
        ("pop song", "pop tune"), _SONG
    ),
    "funk": GenreWords(
        ("funk", "70s funk", "groove funk", "old-school funk"), ("funky", "get-down"), ("funk jam?band",), _BAND
    ),
    "reggae": GenreWords(
        ("reggae", "roots reggae", "Jamaican reggae"), ("Jamaican", "island-style reggae"), ("reggae tune",), _BAND
    ),
    "house": GenreWords(
        ("house", "house music", "deep house", "club house", "dance"), ("clubby", "dance floor", "club-ready"),
        ("house track", "club tune"), _CLUB
    ),
    "techno": GenreWords(
        ("techno", "Detroit techno", "warehouse techno", "electronic techno"), ("hypnotic techno", "rave"),
        ("techno track",), _CLUB
    ),
    "drum and bass": GenreWords(
        ("drum and bass|drums|bass", "dnb", "jungle", "liquid dnb", "d&b"), (), ("drum and bass track|drums|bass",),
        _CLUB
    ),
    "synthwave": GenreWords(
        ("synthwave", "retrowave", "80s synthwave", "outrun", "80s synth pop", "retro synthwave"),
        ("80s-style", "neon-lit", "80s retro"), ("synthwave track",), ("track", "tune", "instrumental?no voices",
         "song", "anthem", "jam?band"),
    ),
    "ambient": GenreWords(
        ("ambient", "ambient music", "drone ambient", "atmospheric ambient"), ("atmospheric", "soundscape-like",
         "ambient-style"),
        ("soundscape", "ambient soundscape"), ("piece", "track", "soundscape", "texture", "bed"),
    ),
    "classical piano": GenreWords(
        ("classical", "classical piano|piano", "classical piano music|piano"), ("classical", "romantic-era",
         "conservatory-style"),
        ("piano sonata movement|piano", "classical piano piece|piano", "étude", "prelude", "nocturne|slow"), _SCORED,
    ),
    "waltz": GenreWords(
        ("waltz", "Viennese waltz", "ballroom waltz", "waltz music"), ("waltzing", "ballroom"), ("waltz", "waltz",
         "Viennese waltz"),
        ("tune", "piece", "dance", "melody"),
    ),
    "string quartet": GenreWords(
        ("string quartet|strings", "chamber music", "classical chamber music", "quartet music?strings"),
        ("chamber", "classical chamber"), ("string quartet|strings", "string quartet piece|strings", "chamber piece"),
        _SCORED,
    ),
    "film score": GenreWords(
        ("film score", "film music", "movie music", "soundtrack music", "cinematic music"),
        ("cinematic", "soundtrack", "movie trailer", "filmic", "film-score style"), ("film score", "film cue",
         "movie theme", "score cue"),
        ("piece", "cue", "score", "theme", "underscore"),
    ),
    "country": GenreWords(
        ("country", "country music", "Nashville country", "country and western", "old-time country"),
        ("twangy country", "western", "honky-tonk"),
        ("country tune", "country song"), ("song", "tune", "number", "track", "ballad|slow"),
    ),
    "bluegrass": GenreWords(
        ("bluegrass", "Appalachian bluegrass", "bluegrass music"), ("hillbilly", "Appalachian", "back-porch"),
        ("bluegrass breakdown|fast", "hoedown|fast"),
        ("tune", "number", "jam", "picking tune"),
    ),
    "salsa": GenreWords(
        ("salsa", "Latin", "Cuban salsa", "Latin dance music", "Afro-Cuban"), ("Latin", "Cuban", "Latin dance"),
        ("salsa tune", "salsa number"), _BAND
    ),
    "tango": GenreWords(
        ("tango", "Argentine tango", "tango music"), ("Argentine", "Buenos Aires", "tango-style"), ("tango", "tango",
         "Argentine tango"),
        ("tune", "piece", "dance", "number"),
    ),
    "march": GenreWords(
        ("march", "march music", "marching band music|brass|drums", "military march", "brass band march|brass"),
        ("marching", "military", "parade"),
        ("march", "march", "military march", "parade march"), ("tune", "piece", "number"),
    ),
    "chiptune": GenreWords(
        ("chiptune", "8-bit", "video game music", "8-bit chiptune", "retro game music", "chip music"),
        ("8-bit", "retro video game", "NES-style", "arcade-style"), ("chiptune",), ("track", "tune", "loop", "theme",
         "level music"),
    ),
    "hymn": GenreWords(
        ("church music", "hymn", "sacred music", "church hymn", "chorale music"), ("church", "sacred", "hymn-like",
         "devotional"),
        ("hymn", "hymn", "chorale", "church hymn"), ("tune", "piece", "melody"),
    ),
    "new age": GenreWords(
        ("new age", "new-age", "spa music", "meditation music", "healing music"), ("meditation", "spa", "yoga class"),
        (), ("piece", "track", "music")
    ),
    "ragtime": GenreWords(
        ("ragtime", "ragtime music", "stride piano ragtime|piano", "ragtime piano|piano"), ("old-time saloon",
         "silent-movie", "ragtime-style"),
        ("rag", "ragtime", "rag"), ("tune", "number", "piece"),
    ),
    "romantic piano": GenreWords(
        ("romantic classical", "romantic piano|piano", "romantic piano music|piano", "romantic-era classical",
         "salon music"),
        ("romantic-era", "Chopin-like?piano", "nineteenth-century"), ("nocturne|slow", "romantic piano piece|piano",
         "romance", "song without words"),
        _SCORED,
    ),
    "solo strings and winds": GenreWords(
        ("classical", "chamber music", "recital music", "classical solo music|solo", "unaccompanied classical|solo"),
        ("recital-style", "conservatory", "chamber"), ("étude", "classical duet|duo", "partita movement|solo",
         "sonata movement", "recital piece"), _SCORED,
    ),
    "celtic jig": GenreWords(
        ("Irish jig", "Celtic", "Celtic folk", "Irish folk", "Irish traditional", "Celtic jig"), ("Irish", "Celtic",
         "pub-session"),
        ("jig", "Irish jig", "jig", "Celtic jig", "Irish dance tune"), _TRAD,
    ),
    "celtic reel": GenreWords(
        ("Irish reel", "Celtic", "Celtic folk", "Irish folk", "Scottish folk", "Celtic reel"), ("Irish", "Celtic",
         "ceilidh", "pub-session"),
        ("reel", "Irish reel", "reel", "Celtic reel", "Scottish reel"), _TRAD,
    ),
    "acoustic folk": GenreWords(
        ("folk", "acoustic folk", "acoustic", "indie folk", "folk music"), ("folky", "campfire", "unplugged",
         "singer-songwriter style"),
        ("folk tune", "folk song", "folk ballad|slow"), _TRAD,
    ),
    "calypso": GenreWords(
        ("calypso", "Caribbean", "calypso music", "Trinidadian calypso", "tropical", "steel band music|steel drums"),
        ("Caribbean", "island", "tropical", "beach-party", "carnival"), ("calypso", "calypso tune"), _BAND,
    ),
    "world music": GenreWords(
        ("world music", "world", "world fusion", "ethnic folk", "Japanese traditional?koto", "Indian classical?sitar"),
        ("Japanese?koto", "Japanese?shamisen", "Indian?sitar", "Andean?pan flute", "African?kalimba", "worldly",
         "folkloric"), (), _TRAD,
    ),
    "lullaby": GenreWords(("lullaby", "lullaby music"), ("bedtime", "nursery"), ("lullaby", "cradle song"), ("tune",
        "melody")),
}  # fmt: skip

MOODS: dict[str, MoodWords] = {
    "happy": MoodWords(
        ("happy", "cheerful", "joyful", "sunny", "feel-good", "merry", "cheery", "joyous", "jolly", "good-natured",
         "smiling"),
        ("joy", "happiness", "good cheer", "sunshine"), ("bouncy", "cheerful", "sunny", "bright"),
    ),
    "sad": MoodWords(
        ("sad", "sorrowful", "gloomy", "mournful", "downcast", "heartbroken", "tearful", "forlorn", "doleful",
         "grief-stricken"),
        ("sadness", "sorrow", "heartbreak", "grief"), ("plaintive", "weeping", "soft", "aching"),
    ),
    "calm": MoodWords(
        ("calm", "relaxing", "chill", "relaxed", "mellow", "soothing", "laid-back", "easygoing", "gentle", "restful"),
        ("calm", "ease", "quiet comfort"), ("soft", "gentle", "mellow", "easy"),
    ),
    "energetic": MoodWords(
        ("energetic", "high-energy", "lively", "driving", "punchy", "exciting", "spirited", "vigorous", "full-on",
         "pumped-up"),
        ("energy", "drive", "excitement", "adrenaline"), ("punchy", "driving", "lively", "tight"),
    ),
    "dark": MoodWords(
        ("dark", "brooding", "sinister", "ominous", "shadowy", "bleak", "murky", "grim"),
        ("darkness", "dread", "foreboding", "shadow"), ("dark", "murky", "brooding", "cold"),
    ),
    "bright": MoodWords(
        ("bright", "sparkling", "shiny", "radiant", "luminous", "shimmering", "crisp", "glittering"),
        ("light", "sparkle", "brightness"), ("bright", "sparkling", "crisp", "clear"),
    ),
    "melancholic": MoodWords(
        ("melancholic", "melancholy", "wistful", "bittersweet", "moody", "pensive", "rueful", "rainy-day"),
        ("melancholy", "longing", "quiet regret"), ("lonely", "wistful", "soft", "rueful"),
    ),
    "dreamy": MoodWords(
        ("dreamy", "ethereal", "hazy", "floating", "dreamlike", "airy", "otherworldly", "floaty"),
        ("dreaminess", "wonder", "weightlessness"), ("hazy", "airy", "floating", "washed-out"),
    ),
    "tense": MoodWords(
        ("tense", "suspenseful", "nervous", "anxious", "uneasy", "edgy", "nail-biting", "thriller-like"),
        ("tension", "suspense", "unease", "dread of what comes next"), ("tense", "nervous", "insistent", "edgy"),
    ),
    "warm": MoodWords(
        ("warm", "cozy", "tender", "heartfelt", "cosy", "intimate", "fireside"), ("warmth", "tenderness", "comfort"),
        ("warm", "round", "soft", "rich"),
    ),
    "playful": MoodWords(
        ("playful", "quirky", "whimsical", "fun", "lighthearted", "cheeky", "mischievous", "bouncy", "silly",
         "cartoonish"),
        ("fun", "mischief", "whimsy"), ("bouncy", "cheeky", "playful", "nimble"),
    ),
    "epic": MoodWords(
        ("epic", "heroic", "grand", "majestic", "triumphant", "huge", "larger-than-life", "monumental", "sweeping"),
        ("grandeur", "heroism", "triumph"), ("soaring", "mighty", "big", "proud"),
    ),
    "romantic": MoodWords(
        ("romantic", "loving", "passionate", "sensual", "lovestruck", "candlelit", "amorous"), ("love", "romance",
         "passion"),
        ("lush", "tender", "silky", "expressive"),
    ),
    "mysterious": MoodWords(
        ("mysterious", "eerie", "haunting", "enigmatic", "spooky", "cryptic", "strange", "uncanny"),
        ("mystery", "intrigue", "the unknown"), ("eerie", "haunting", "strange", "veiled"),
    ),
    "nostalgic": MoodWords(
        ("nostalgic", "sentimental", "yearning", "homesick", "reminiscent", "looking-back", "throwback"),
        ("nostalgia", "old memories", "yearning", "homesickness"), ("faded", "dusty", "worn-in", "vintage"),
    ),
    "aggressive": MoodWords(
        ("aggressive", "heavy", "angry", "fierce", "brutal", "furious", "hard-hitting", "menacing", "savage",
         "relentless"),
        ("aggression", "rage", "fury", "anger"), ("crushing", "heavy", "biting", "snarling"),
    ),
    "peaceful": MoodWords(
        ("peaceful", "serene", "tranquil", "meditative", "quiet", "placid", "still", "zen"), ("peace", "serenity",
         "stillness"),
        ("gentle", "quiet", "delicate", "soft"),
    ),
    "groovy": MoodWords(
        ("groovy", "grooving", "in-the-pocket", "head-nodding", "slinky", "toe-tapping", "hip-shaking", "infectious"),
        ("groove", "swagger", "rhythm"), ("tight", "slinky", "groovy", "bouncing"),
    ),
    "solemn": MoodWords(
        ("solemn", "reverent", "stately", "dignified", "somber", "austere", "grave", "sombre", "funereal"),
        ("reverence", "gravity", "dignity"), ("stately", "grave", "dignified", "austere"),
    ),
    "hopeful": MoodWords(
        ("hopeful", "uplifting", "inspiring", "optimistic", "inspirational", "heartening", "encouraging"),
        ("hope", "optimism", "promise"), ("uplifting", "clear", "open", "glowing"),
    ),
}  # fmt: skip

# A word after ~ fits every instrument of the family, so it names the family alone.
INSTRUMENT_WORDS: dict[str, tuple[str, ...]] = {
    "piano": ("piano", "piano", "grand piano", "acoustic piano", "~piano", "~keys"),
    "bright piano": ("bright piano", "~piano", "~piano", "~keys"),
    "honky-tonk piano": ("honky-tonk piano", "saloon piano", "out-of-tune bar piano", "~piano"),
    "electric piano": ("electric piano", "Rhodes", "Rhodes piano", "~keys", "electric piano"),
    "fm electric piano": ("FM electric piano", "electric piano", "80s electric piano", "DX7-style electric piano",
        "~keys"),
    "harpsichord": ("harpsichord",),
    "clavinet": ("clavinet", "clav", "funky clavinet?funk", "~keys"),
    "celesta": ("celesta", "celeste"),
    "glockenspiel": ("glockenspiel", "glockenspiel", "orchestra bells"),
    "music box": ("music box", "wind-up music box", "musical box"),
    "vibraphone": ("vibraphone", "vibes", "jazz vibes?jazz swing"),
    "marimba": ("marimba", "wooden marimba", "~mallets"),
    "xylophone": ("xylophone", "~mallets"),
    "tubular bells": ("tubular bells", "chimes", "church bells"),
    "hammond organ": ("Hammond organ", "organ", "Hammond", "drawbar organ", "~organ"),
    "rock organ": ("rock organ", "overdriven organ", "organ", "~organ"),
    "church organ": ("church organ", "pipe organ", "organ", "cathedral organ", "~organ"),
    "accordion": ("accordion", "squeezebox", "~accordion"),
    "harmonica": ("harmonica", "blues harp?blues", "mouth organ"),
    "bandoneon": ("bandoneon", "bandoneón"),
    "nylon guitar": ("nylon-string guitar", "classical guitar", "nylon guitar", "Spanish guitar", "~guitar", "~guitar"),
    "acoustic guitar": ("acoustic guitar", "acoustic guitar", "steel-string guitar", "steel-string acoustic guitar",
        "~guitar"),
    "jazz guitar": ("jazz guitar", "hollow-body guitar", "archtop guitar", "~guitar", "~guitar"),
    "electric guitar": ("electric guitar", "clean electric guitar", "clean guitar", "~guitar", "~guitar"),
    "muted guitar": ("muted guitar", "palm-muted guitar", "muted electric guitar", "~guitar"),
    "overdriven guitar": ("overdriven guitar", "crunchy guitar", "overdriven electric guitar", "gritty guitar",
        "~guitar"),
    "distorted guitar": ("distorted guitar", "distorted electric guitar", "heavy guitar", "fuzzed-out guitar",
        "high-gain guitar", "~guitar"),
    "double bass": ("upright bass", "double bass", "acoustic bass", "stand-up bass", "~bass", "~bass"),
    "bass guitar": ("bass guitar", "electric bass", "fingered bass", "~bass", "~bass", "~bass"),
    "picked bass": ("picked bass", "picked bass guitar", "~bass", "~bass"),
    "fretless bass": ("fretless bass", "fretless", "~bass"),
    "slap bass": ("slap bass", "slapped bass", "slap bass", "~bass"),
    "synth bass": ("synth bass", "bass synth", "analog synth bass", "~bass", "~bass"),
    "sub bass": ("sub bass", "sub-bass", "deep sub bass", "~bass", "~bass"),
    "violin": ("violin", "violin", "~bowed string"),
    "viola": ("viola",),
    "cello": ("cello", "cello", "violoncello"),
    "contrabass": ("contrabass", "orchestral double bass", "bowed double bass"),
    "tremolo strings": ("tremolo strings", "trembling strings", "~strings", "shivering strings"),
    "pizzicato strings": ("pizzicato strings", "plucked strings", "pizzicato"),
    "harp": ("harp", "concert harp", "harp"),
    "string ensemble": ("strings", "string section", "string ensemble", "string orchestra", "orchestral strings",
        "~strings"),
    "slow strings": ("strings", "sustained strings", "string pads", "legato strings", "~strings"),
    "synth strings": ("synth strings", "string synth", "string machine", "~synths"),
    "choir": ("choir", "choral voices", "vocal choir", "choir aahs", "wordless choir"),
    "voice oohs": ("vocal oohs", "wordless voices", "ooh vocals", "humming voices"),
    "trumpet": ("trumpet", "trumpet", "~brass"),
    "trombone": ("trombone", "slide trombone", "~brass"),
    "tuba": ("tuba", "~brass"),
    "muted trumpet": ("muted trumpet", "trumpet with a mute", "Harmon-muted trumpet"),
    "french horn": ("French horn", "French horn", "~brass"),
    "brass section": ("brass section", "horns", "brass", "horn section", "brass ensemble", "~brass"),
    "synth brass": ("synth brass", "brassy synth", "80s synth brass", "~synth"),
    "soprano sax": ("soprano sax", "soprano saxophone", "sax"),
    "alto sax": ("alto sax", "sax", "alto saxophone", "saxophone"),
    "tenor sax": ("tenor sax", "sax", "saxophone", "tenor saxophone"),
    "baritone sax": ("baritone sax", "bari sax", "baritone saxophone", "sax"),
    "oboe": ("oboe", "oboe"),
    "english horn": ("English horn", "cor anglais"),
    "bassoon": ("bassoon", "bassoon"),
    "clarinet": ("clarinet", "clarinet"),
    "piccolo": ("piccolo", "piccolo flute"),
    "flute": ("flute", "flute"),
    "recorder": ("recorder", "wooden recorder"),
    "pan flute": ("pan flute", "panpipes", "pan pipes"),
    "whistle": ("whistle", "tin whistle", "penny whistle"),
    "ocarina": ("ocarina",),
    "square lead": ("square-wave lead", "square wave synth", "pulse-wave synth", "square lead", "~synth"),
    "saw lead": ("saw lead", "sawtooth synth", "saw-wave lead", "synth lead", "~synth"),
    "warm pad": ("warm pad", "warm synth pad", "analog pad", "synth pad", "~synth"),
    "polysynth pad": ("polysynth", "poly synth pad", "synth pad", "analog polysynth", "~synth"),
    "choir pad": ("choir pad", "synth choir", "vocal pad", "~synth"),
    "halo pad": ("halo pad", "glowing synth pad", "synth pad", "~synth"),
    "sweep pad": ("sweep pad", "sweeping synth pad", "filter-sweep pad", "~synth"),
    "sitar": ("sitar", "Indian sitar"),
    "banjo": ("banjo", "five-string banjo"),
    "shamisen": ("shamisen", "Japanese shamisen"),
    "koto": ("koto", "Japanese koto"),
    "kalimba": ("kalimba", "thumb piano", "mbira"),
    "bagpipes": ("bagpipes", "pipes", "Highland bagpipes"),
    "fiddle": ("fiddle", "fiddle", "folk fiddle"),
    "steel drums": ("steel pan", "steelpan", "steel drum", "Caribbean steelpan"),
}  # fmt: skip

ADJECTIVAL_INSTRUMENTS = {"strings": "string", "horns": "horn", "vibes": "vibraphone", "keys": "keyboard"}

DRUM_WORDS = (
    "drums", "drums", "drum kit?kit", "beat", "percussion", "drum beat", "drum groove", "hand drums?hand drums",
    "hand percussion?hand drums",
    "congas and bongos?congas", "808 drums?808", "808 beat?808", "brushed drums?brushes",
    "brushes on the drums?brushes", "jazz drums?jazz kit",
    "electronic drums?electronic kit", "programmed drums?electronic kit", "big drums?power kit",
    "acoustic drums?room kit", "live drums?room kit",
    "four-on-the-floor beat?four on the floor", "four-on-the-floor kick drum?four on the floor",
    "swinging drums?swing", "shuffle beat?swing",
    "drum machine?electronic kit", "drum machine?808",
)  # fmt: skip
