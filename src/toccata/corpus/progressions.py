"""Chord progressions and cadences by style and mode, in roman numerals: bars divided by ``|``."""

Progressions = dict[str, tuple[str, ...]]

# In every tuple some progressions open on the tonic (they serve a piece's first section) and some need not.
PROGRESSIONS: dict[str, Progressions] = {
    "pop": {
        "major": ("I | V | vi | IV", "I | vi | IV | V", "vi | IV | I | V", "IV | I | V | vi", "I | IV | vi | V",
            "I | iii | IV | V",
                  "I | V/3 | vi | IV", "IV | V | I | vi", "Iadd9 | IV | ii7 | Vsus4 V"),
        "minor": ("i | VI | III | VII", "i | iv | VI | V", "VI | VII | i | i", "i | VII | VI | VII",
            "iv | VII | i | VI", "i | III | VII | iv"),
        "mixolydian": ("I | VII | IV | I", "I | IV | VII | IV"),
    },
    "rock": {
        "major": ("I | IV | V | I", "I | V | IV | I", "I | bVII | IV | I", "vi | IV | I | V", "I | IV | I | V",
            "IV | V | I | I"),
        "minor": ("i | VII | VI | VII", "i | VI | VII | i", "i | III | VII | iv", "VI | VII | i | i",
            "iv | i | VII | i"),
        "mixolydian": ("I | VII | IV | I", "I | I | VII | IV", "IV | I | VII | I"),
        "dorian": ("i | IV | i | IV", "i | VII | IV | i"),
    },
    "metal": {
        "minor": ("i | i | VI | VII", "i | VI | III | VII", "i | i | iv | V", "VI | VII | i | i",
            "i | VII | VI | V"),
        "phrygian": ("i | i | II | i", "i | II | i | vii", "i | VI | II | i"),
        "dorian": ("i | IV | i | VII", "i | III | IV | i"),
    },
    "blues": {
        "mixolydian": ("I7 | IV7 | I7 | I7 | IV7 | IV7 | I7 | I7 | V7 | IV7 | I7 | V7",
                       "I7 | I7 | I7 | I7 | IV7 | IV7 | I7 | I7 | V7 | IV7 | I7 | V7"),
        "minor": ("i7 | iv7 | i7 | i7 | iv7 | iv7 | i7 | i7 | VI7 | V7 | i7 | V7",
            "i7 | i7 | i7 | i7 | iv7 | iv7 | i7 | i7 | V7 | iv7 | i7 | V7"),
    },
    "jazz": {
        "major": ("Imaj7 | vi7 | ii7 | V7", "Imaj7 VI7 | ii7 V7 | iii7 VI7 | ii7 V7", "ii7 | V7 | Imaj7 | Imaj7",
            "Imaj7 | IVmaj7 | iii7 vi7 | ii7 V7",
                  "Imaj7 | V7/IV | IVmaj7 | ii7 V7", "I6 | VI7 | ii9 | V13", "ii9 | V13 | Imaj9 | vi7",
                  "Imaj7 | #ivm7b5 V7/iii | iii7 VI7 | ii7 V7"),
        "minor": ("i7 | iim7b5 V7 | i7 | iim7b5 V7", "i6 | VI7 | iim7b5 | V7b9", "iv7 | VII7 | IIImaj7 | VImaj7",
            "i7 | iv7 | iim7b5 V7 | i7",
                  "iim7b5 | V7b9 | i7 | i7"),
        "dorian": ("i7 | IV7 | i7 | IV7", "im9 | im9 | IV9 | IV9", "i7 | ii7 | i7 | ii7"),
    },
    "bossa": {
        "major": ("Imaj9 | Imaj9 | II7 | ii7 V7", "Imaj7 | vi7 | ii9 | V13", "ii7 | V7 | Imaj9 | VI7",
            "Imaj7 | iv6 | iii7 VI7 | ii7 V7",
                  "I6 | #idim7 | ii7 | V7"),
        "minor": ("im9 | iim7b5 V7b9 | im9 | V7b9", "i6 | iv7 | iim7b5 | V7", "iv7 | VII7 | IIImaj7 | iim7b5 V7"),
    },
    "lofi": {
        "major": ("Imaj7 | vi7 | ii9 | V13", "Imaj9 | iii7 | IVmaj7 | iv6", "IVmaj7 | iii7 | ii7 | Imaj7",
            "ii9 | V13 | Imaj9 | vi7", "Imaj9 | IVmaj9 | Imaj9 | IVmaj9",
                  "IVmaj9 | V7 | iii7 | vi7"),
        "minor": ("im9 | iv9 | im9 | V7b9", "i7 | VImaj7 | iv7 | V7", "VImaj7 | VII | im9 | im9",
            "im9 | VImaj9 | IIImaj7 | VII", "iv9 | VII7 | IIImaj7 | V7"),
        "dorian": ("im9 | IV9 | im9 | IV9", "im9 | ii7 | VIImaj7 | im9"),
    },
    "funk": {
        "dorian": ("i7 | IV9 | i7 | IV9", "im9 | im9 | IV9 | IV9", "i7 | i7 | i7 IV7 | i7"),
        "mixolydian": ("I9 | I9 | IV9 | I9", "I7 | I7 | I7 | IV7 I7", "IV9 | IV9 | I9 | I9"),
        "minor": ("i7 | i7 | iv7 | i7", "i7 | VI7 | V7 | i7"),
    },
    "reggae": {
        "major": ("I | IV | I | V", "I | V | vi | IV", "I | ii | I | ii", "vi | ii | IV | V", "I | IV | V | IV"),
        "minor": ("i | iv | i | VII", "i | VII | VI | VII", "i | iv | VII | III", "VI | VII | i | i"),
    },
    "house": {
        "minor": ("i7 | VImaj7 | iv7 | v7", "im9 | iv9 | im9 | iv9", "i | VI | III | VII", "VImaj7 | VII | i7 | i7",
            "i7 | III | VII | iv7", "iv9 | v7 | im9 | im9"),
        "major": ("Imaj7 | iii7 | IVmaj7 | V", "I | V | vi | IV", "IVmaj7 | V | vi7 | Imaj7"),
        "dorian": ("i7 | i7 | IV7 | i7", "im9 | im9 | VIImaj7 | i7"),
    },
    "techno": {
        "minor": ("i | i | i | i", "i | i | VI | VII", "i | i | iv | i", "i | VI | i | VII"),
        "phrygian": ("i | i | II | i", "i | i | i | II"),
        "dorian": ("i | i | IV | i", "i | i | VII | IV"),
    },
    "synthwave": {
        "minor": ("i | VI | III | VII", "i | VII | VI | VII", "VI | VII | i | i", "i | iv | VI | V",
            "i | VI | iv | VII"),
        "major": ("I | vi | IV | V", "I | V/3 | vi | IV", "IV | V | vi | I"),
        "dorian": ("i | IV | VII | i", "i | i | IV | VII"),
    },
    "ambient": {
        "major": ("Iadd9 | IVmaj7 | Iadd9 | IVmaj7", "Imaj7 | iii7 | IVmaj7 | Imaj7", "Iadd9 | vi7 | IVadd9 | Isus2",
            "IVmaj7 | Iadd9 | vi7 | Iadd9"),
        "minor": ("imadd9 | VImaj7 | IIImaj7 | VII", "im9 | iv7 | im9 | VImaj7", "VImaj7 | VII | im9 | im9"),
        "lydian": ("Imaj7 | II | Imaj7 | II", "Imaj7 | vi7 | II | Imaj7"),
        "dorian": ("im9 | IV | im9 | IV",),
    },
    "classical": {
        "major": ("I | V7/3 | I | V7", "I | IV | V7 | I", "I | vi | ii/3 | V7", "I V/3 | vi iii | IV I/3 | ii V7",
            "vi | ii | V7 | I", "I | ii/3 | I/5 V7 | I",
                  "V7 | I | V7/V | V7", "I | V7/vi | vi | ii V7"),
        "minor": ("i | V7/3 | i | V7", "i | iv | V7 | i", "i | VI | iim7b5 | V7", "i VII | VI V7 | i iv | V7",
            "III | VII | i | V7", "i | iv/3 | i/5 V7 | i",
                  "iv | i/3 | V7 | i"),
    },
    "romantic": {
        "major": ("I | iii | IV | V7", "I | V7/vi | vi | IV", "I | vi | iv6 | V7", "IV | V7/3 | iii vi | ii V7",
            "I | I/3 | IV | V7", "vi | iii | IV | I/3"),
        "minor": ("i | VI | iv | V7", "i | i/3 | iv | V7", "i | v/3 | VI | V7", "VI | III | iv | V7",
            "iv | VII | III | V7"),
    },
    "film": {
        "minor": ("i | VI | III | VII", "i | iv | VI | V", "i | VI | iv | V", "VI | VII | i | i",
            "i | III | VI | VII", "i | bII | i | V"),
        "major": ("I | V/3 | vi | IV", "I | bVI | bVII | I", "I | iii | IV | V", "vi | IV | I | V",
            "IV | I/3 | ii | V"),
        "lydian": ("I | II | I | II", "I | II | vi | II"),
        "dorian": ("i | IV | i | VII", "i | VII | IV | i"),
        "phrygian": ("i | II | i | II",),
    },
    "celtic": {
        "major": ("I | I | IV | V", "I | V | IV | V", "I | IV | I | V", "vi | V | IV | V"),
        "dorian": ("i | i | VII | VII", "i | VII | i | VII", "i | VII | III | VII", "i | i | VII | v"),
        "mixolydian": ("I | I | VII | VII", "I | VII | I | VII", "I | IV | VII | I"),
        "minor": ("i | VII | i | VII", "i | VI | VII | i"),
    },
    "country": {
        "major": ("I | I | IV | I", "I | IV | V7 | I", "I | V7 | I | V7", "IV | I | V7 | I", "I | I | V7 | I",
            "I | vi | IV | V7", "IV | I | V7/V | V7"),
        "mixolydian": ("I | VII | IV | I", "I | I | VII | I"),
    },
    "latin": {
        "minor": ("i | iv | V7 | i", "i | VII | VI | V7", "i | i | V7 | V7", "iv | i | V7 | i",
            "iv | VII | III | V7"),
        "major": ("I | IV | V7 | I", "I | vi | ii7 | V7", "I | I | V7 | V7", "ii7 | V7 | I | I", "I | IV | ii7 | V7"),
        "dorian": ("i7 | IV7 | i7 | IV7",),
    },
    "march": {
        "major": ("I | I | V7 | I", "I | IV | I/5 V7 | I", "I | V7 | I | V7", "IV | I | V7/V | V7",
            "I | vi | ii | V7", "V7 | I | V7 | I"),
        "minor": ("i | i | V7 | i", "i | iv | V7 | i", "III | VII | i | V7"),
    },
    "chip": {
        "major": ("I | V | vi | IV", "I | IV | V | I", "vi | IV | V | I", "I | iii | IV | V", "I | bVI | bVII | I",
            "IV | V | iii | vi"),
        "minor": ("i | VI | VII | i", "i | VII | VI | V", "VI | VII | i | i", "i | iv | VII | III",
            "i | III | VII | V"),
    },
    "hymn": {
        "major": ("I IV | I V | vi IV | V", "I V/3 | vi V | IV I/3 | ii V", "I | IV I | V7/V | V",
            "IV I | V vi | ii/3 V | I", "I vi | ii V | I/3 IV | V"),
        "minor": ("i iv | i V | VI iv | V", "i VII | III iv | i/5 V | i", "i v | VI VII | i iv | V",
            "III VII | i V | VI iv | V"),
    },
    "new age": {
        "major": ("I | V/3 | vi | IV", "Iadd9 | IVadd9 | Iadd9 | V", "I | iii | IV | V",
            "IVmaj7 | Iadd9 | IVmaj7 | V", "vi | IV | I | V", "I | Isus2 | IV | I/3"),
        "minor": ("i | VI | III | VII", "imadd9 | iv7 | VII | i", "VI | VII | i | v", "i | v/3 | VI | III"),
        "dorian": ("i | IV | i | IV",),
        "lydian": ("Imaj7 | II | Imaj7 | II",),
    },
    "ragtime": {
        "major": ("I | VI7 | II7 | V7", "I | I | V7 | V7", "I | V7/IV | IV iv | I V7", "II7 | V7 | I | I",
            "VI7 | II7 | V7 | I", "I | IV #ivdim7 | I/5 VI7 | II7 V7"),
    },
    "world": {
        "major": ("I | I | IV | I", "I | V | I | V", "I | vi | I | V"),
        "minor": ("i | i | iv | i", "i | VII | i | VII", "i | VI | VII | i"),
        "dorian": ("i | i | VII | i", "i | IV | i | VII"),
        "mixolydian": ("I | I | VII | I", "I | VII | I | VII"),
        "phrygian": ("i | II | i | II", "i | i | II | vii"),
    },
}  # fmt: skip

CADENCES: dict[str, dict[str, tuple[str, ...]]] = {
    "classical": {"major": ("ii/3 V7", "V7", "IV V7", "I/5 V7"), "minor": ("iv V7", "V7", "iim7b5 V7", "i/5 V7")},
    "jazz": {"major": ("ii7 V7", "ii9 V13", "V13"), "minor": ("iim7b5 V7b9", "V7b9", "iim7b5 V7")},
    "pop": {"major": ("V", "IV V", "IV", "Vsus4 V"), "minor": ("V", "VII", "iv V", "VI VII")},
    "modal": {"major": ("V", "V7", "IV V"), "minor": ("VII", "V", "v")},
    "power": {"major": ("V", "bVII"), "minor": ("V", "VII")},
    "blues": {"major": ("V7",), "minor": ("V7",)},
    "plagal": {"major": ("IV", "V", "IV V"), "minor": ("iv", "V", "iv V")},
}
