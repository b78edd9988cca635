"""Judges that know nothing of toccata: tempo and key by librosa, and when a verdict fits what was asked for."""

from dataclasses import dataclass

import librosa
import numpy as np

# Krumhansl and Kessler's probe-tone ratings (1982), from the tonic upwards.
_MAJOR = np.array([6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88])
_MINOR = np.array([6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17])
_MINOR_MODES = {"minor", "dorian", "phrygian", "aeolian", "locrian"}
_RATE = 22050
_HOP = 512


@dataclass(frozen=True)
class Key:
    """A tonic 0-11 (0 = C) and whether its mode has a minor third."""

    tonic: int
    minor: bool

    @classmethod
    def of(cls, tonic: int, mode: str) -> "Key":
        """The key that a Krumhansl judge can tell apart: dorian and phrygian count as minor, the others as major."""
        return cls(tonic % 12, mode in _MINOR_MODES)

    def related(self, other: "Key") -> bool:
        """The same key, its relative, or a fifth away in the same mode."""
        if self.minor == other.minor:
            return (self.tonic - other.tonic) % 12 in (0, 5, 7)
        major, minor = (other, self) if self.minor else (self, other)
        return (major.tonic - minor.tonic) % 12 == 3


def judge_tempo(wave_N: np.ndarray, sample_rate: int) -> float:
    """Beats a minute by librosa's beat tracker (Ellis 2007), 0 where it finds no beat. The octave is uncertain."""
    wave = _resampled(wave_N, sample_rate)
    onsets = librosa.onset.onset_strength(y=wave, sr=_RATE, hop_length=_HOP)
    tempo, beats = librosa.beat.beat_track(onset_envelope=onsets, sr=_RATE, hop_length=_HOP, trim=False)
    steps = np.diff(np.asarray(beats))
    if len(steps) < 3:
        return float(np.atleast_1d(tempo)[0])
    # The tracker's tempo is as coarse as its frames; the mean step of the beats that it found is finer.
    steady = steps[np.abs(steps / np.median(steps) - 1) < 0.2]
    return float(60 * _RATE / _HOP / steady.mean())


def judge_key(wave_N: np.ndarray, sample_rate: int) -> Key:
    """The key whose Krumhansl profile fits the chroma of the wave's harmonic part best; C major in silence."""
    if not np.abs(wave_N).max(initial=0.0) > 1e-4:
        return Key(0, minor=False)
    wave = librosa.effects.harmonic(_resampled(wave_N, sample_rate), margin=2.0)
    chroma = librosa.feature.chroma_cqt(y=wave, sr=_RATE, hop_length=2048).mean(1)
    scores = {
        Key(tonic, profile is _MINOR): float(np.corrcoef(np.roll(profile, tonic), chroma)[0, 1])
        for profile in (_MAJOR, _MINOR)
        for tonic in range(12)
    }
    return max(scores, key=lambda key: np.nan_to_num(scores[key], nan=-1.0))


def tempo_fits(judged: float, asked: float, tolerance: float = 0.08) -> bool:
    """Within ``tolerance`` of the tempo asked for, or of half or twice as many beats a minute."""
    return any(abs(judged / (asked * octave) - 1) <= tolerance for octave in (0.5, 1.0, 2.0))


def pace_fits(judged: float, slowest: float, fastest: float, tolerance: float = 0.08) -> bool:
    """Within a range such as "slow" means. Octaves do not count here, for twice as fast is not slow."""
    return slowest * (1 - tolerance) <= judged <= fastest * (1 + tolerance)


def percussion(wave_N: np.ndarray, sample_rate: int) -> np.ndarray:
    """Six figures that tell drums from other sounds, for a probe to weigh.

    Share of the energy that is percussive (Fitzgerald 2010) below and above 4 kHz, peaks of the onset strength over
    its mean, the same above 5 kHz, the logarithm of that, mean spectral flatness in dB.
    """
    wave = _resampled(wave_N, sample_rate)
    spectrum = np.abs(librosa.stft(wave, n_fft=2048, hop_length=_HOP))
    harmonic, percussive = librosa.decompose.hpss(spectrum)
    high = librosa.fft_frequencies(sr=_RATE, n_fft=2048) >= 4000
    shares = [_share(percussive[rows], harmonic[rows]) for rows in (~high, high)]
    onsets = librosa.onset.onset_strength(S=librosa.amplitude_to_db(spectrum, ref=1.0), sr=_RATE)
    mel = librosa.feature.melspectrogram(S=spectrum**2, sr=_RATE, n_mels=40, fmin=5000)
    hats = librosa.onset.onset_strength(S=librosa.power_to_db(mel, ref=1.0), sr=_RATE)
    flatness = librosa.power_to_db(librosa.feature.spectral_flatness(S=spectrum + 1e-6)).mean()
    return np.array([*shares, _peakiness(onsets), _peakiness(hats), np.log(hats.mean() + 1e-3), flatness])


def _share(part: np.ndarray, rest: np.ndarray) -> float:
    one, other = float(np.square(part).sum()), float(np.square(rest).sum())
    return one / max(one + other, 1e-12)


def _peakiness(strength_T: np.ndarray) -> float:
    return float(np.percentile(strength_T, 95) / max(float(strength_T.mean()), 1e-6))


def _resampled(wave_N: np.ndarray, sample_rate: int) -> np.ndarray:
    return librosa.resample(wave_N.astype(np.float32), orig_sr=sample_rate, target_sr=_RATE, res_type="soxr_hq")
