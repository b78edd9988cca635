"""A picture of a sound: its wave above its spectrogram."""

import os

import numpy as np

from toccata.errors import InputError, OutputError

try:
    from matplotlib import pyplot
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
except ImportError:
    raise InputError("plotting needs matplotlib: pip install 'toccata[plot]'") from None

_WINDOW = 2048
_COLUMNS = 800


def plot(samples_CN: np.ndarray, rate: int, title: str, path: str | os.PathLike[str] | None = None) -> Figure:
    """Draw (channels, samples) at ``rate`` Hz, and write the picture to ``path`` where one is given.

    Frequencies are on a logarithmic axis, levels in decibels below the loudest. Raises ``OutputError`` where the
    picture cannot be written.
    """
    figure, (wave, spectrum) = pyplot.subplots(2, 1, sharex=True, figsize=(9, 5), layout="constrained")
    pyplot.close(figure)  # so that a notebook shows the returned figure once
    mono = samples_CN.mean(axis=0)
    seconds = len(mono) / rate
    _draw_wave(wave, mono, seconds)
    _draw_spectrum(spectrum, mono, rate, seconds)
    wave.set_title(title, parse_math=False, wrap=True, fontsize="medium")
    if path is not None:
        try:
            figure.savefig(path)
        except (OSError, ValueError) as error:
            raise OutputError(f"{path} cannot be written: {error}") from None
    return figure


def _draw_wave(axes: Axes, mono: np.ndarray, seconds: float) -> None:
    columns = np.array_split(mono, min(_COLUMNS, max(len(mono), 1)))
    times = np.linspace(0, seconds, len(columns))
    low, high = ([edge(column, initial=0.0) for column in columns] for edge in (np.min, np.max))
    axes.fill_between(times, low, high, linewidth=0.5)
    axes.set(ylim=(-1, 1), ylabel="amplitude")


def _draw_spectrum(axes: Axes, mono: np.ndarray, rate: int, seconds: float) -> None:
    padded = np.pad(mono, _WINDOW // 2 + 1)
    starts = np.linspace(0, len(padded) - _WINDOW, _COLUMNS).astype(int)
    frames = padded[starts[:, None] + np.arange(_WINDOW)] * np.hanning(_WINDOW)
    power = np.abs(np.fft.rfft(frames)) ** 2
    decibels = 10 * np.log10(np.maximum(power, 1e-10) / max(power.max(), 1e-10))
    frequencies = np.fft.rfftfreq(_WINDOW, 1 / rate)
    times = np.linspace(0, seconds, _COLUMNS)
    axes.pcolormesh(times, frequencies[1:], decibels.T[1:], vmin=-80, vmax=0, shading="nearest", rasterized=True)
    axes.set(yscale="log", ylim=(40, rate / 2), ylabel="frequency (Hz)", xlabel="time (s)")
