import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from toccata.audio.io import write

NOTES = {"low": 110.0, "middle": 330.0, "high": 990.0}
RATE = 8000


@pytest.fixture
def manifest(tmp_path) -> Callable[[Callable[[int], float]], Path]:
    """Writes twelve sounds of three kinds, the ``index``-th of ``seconds(index)``, and the manifest that names them."""

    def written(seconds: Callable[[int], float]) -> Path:
        rows = []
        for index in range(12):
            name = list(NOTES)[index % 3]
            time = np.arange(round(seconds(index) * RATE)) / RATE
            wave = 0.3 * np.sin(time * 2 * np.pi * NOTES[name] * (1 + index / 100))
            write(tmp_path / f"{index}.wav", wave[None].astype(np.float32), RATE, {})
            rows.append({"path": f"{index}.wav", "captions": [f"{name} flute", f"a {name} note"]})
        (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, rows)))
        return tmp_path / "m.jsonl"

    return written
