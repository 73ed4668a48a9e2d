"""Sound as frames of features: log mel energies, cepstral coefficients, their change over time.

Each function takes one recording: recordings differ in length, and estimators take a list of
results.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.fft import dct, rfft
from scipy.signal import get_window

from gatewise.checks import finite, fits_memory, number, whole_number
from gatewise.errors import ConfigError, ShapeError
from gatewise.memory import names_memory

from .sequences import real_array

if TYPE_CHECKING:
    from gatewise._typing import Array, ArrayLike

__all__ = ["deltas", "log_mel", "mel_filters", "mfcc"]


@names_memory
def log_mel(
    signal: ArrayLike,
    rate: float,
    *,
    bands: int = 40,
    frame_length: float = 0.025,
    frame_step: float = 0.010,
    low: float = 0.0,
    high: float | None = None,
    window: str | tuple[Any, ...] = "hamming",
    preemphasis: float = 0.97,
    floor: float = 1e-10,
) -> Array:
    """Return the logarithms of the energy in mel bands, a row for each frame.

    A frame is `frame_length` seconds of the signal times a window, filled up with zeros to the next
    power of two; the squared magnitudes of its Fourier transform are weighted by the triangles of
    :func:`mel_filters` and summed (Davis and Mermelstein 1980).

    Parameters
    ----------
    signal : array_like of shape (samples,)
        One channel. Whole numbers, as in WAV files, are taken as they are: a factor in the signal
        adds a constant to each result. A signal shorter than a frame is filled up with zeros;
        samples left over at the end give no frame.
    rate : float
        Samples per second.
    bands : int, default 40
        Number of mel bands, the features of a frame.
    frame_length, frame_step : float, default 0.025 and 0.010
        Length of a frame, and distance from the start of one frame to the start of the next, in
        seconds. Both are rounded to whole samples.
    low, high : float, default 0 and half the rate
        The bands are between these frequencies, in hertz.
    window : str or tuple, default "hamming"
        Any periodic window of ``scipy.signal.get_window``.
    preemphasis : float in [0, 1), default 0.97
        ``signal[t] - preemphasis * signal[t - 1]`` is analysed, which lifts high frequencies. 0:
        the signal as it is.
    floor : float, default 1e-10
        Smaller energies are replaced by it: the logarithm of silence is not finite.

    Returns
    -------
    ndarray of shape (frames, bands), float32 for a float32 signal, else float64
        Natural logarithms; ``frames = 1 + (samples - length) // step`` in samples, at least 1.

    Raises
    ------
    ShapeError
        The signal has another rank, or no sample.
    ConfigError
        A number is outside its range, a frame has no sample, the window is unknown, or bands are so
        narrow that one of them holds no frequency of the transform.
    DTypeError, NonFiniteError
        The signal is not made of finite real numbers.
    SizeError
        The frames do not fit into memory.

    References
    ----------
    S. Davis, P. Mermelstein. Comparison of parametric representations for monosyllabic word
    recognition in continuously spoken sentences. IEEE Transactions on Acoustics, Speech, and Signal
    Processing 28(4), 1980.

    Examples
    --------
    >>> second = np.arange(8000) / 8000
    >>> features = log_mel(np.sin(2 * np.pi * 440 * second), rate=8000, bands=20)
    >>> features.shape
    (98, 20)
    """
    samples = _signal(signal)
    rate = number(rate, "rate", 0, open_low=True)
    floor = number(floor, "floor", 0, open_low=True)
    preemphasis = number(preemphasis, "preemphasis", 0, 1, open_high=True)
    length = _samples(frame_length, rate, "frame_length")
    step = _samples(frame_step, rate, "frame_step")
    transform = 1 << (length - 1).bit_length()
    filters = mel_filters(bands, transform, rate, low, high)
    try:
        shape = get_window(window, length)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"window is {window!r}: {error}") from error

    dtype = samples.dtype
    samples = samples.astype(np.float64, copy=False)
    samples = np.concatenate([samples[:1], samples[1:] - preemphasis * samples[:-1]])
    frames = _frames(samples, length, step) * shape
    energies = np.abs(rfft(frames, transform, axis=1)) ** 2
    # Not by BLAS, whose results may depend on the number of threads.
    in_bands = np.einsum("fk,bk->fb", energies, filters)
    return np.log(np.maximum(in_bands, floor)).astype(dtype)


@names_memory
def mfcc(signal: ArrayLike, rate: float, *, coefficients: int = 13, **options: Any) -> Array:
    """Return mel-frequency cepstral coefficients: the cosine transform of :func:`log_mel`.

    Parameters
    ----------
    signal : array_like of shape (samples,)
        One channel.
    rate : float
        Samples per second.
    coefficients : int, default 13
        How many are kept, from the 0th on (the mean energy, times the root of the number of bands).
        At most `bands`.
    **options
        Options of :func:`log_mel`.

    Returns
    -------
    ndarray of shape (frames, coefficients), float32 for a float32 signal, else float64
        Coefficients of the orthonormal type II transform, for k > 0
        ``sqrt(2 / bands) * sum_b log_mel[b] * cos(pi * k * (b + 1/2) / bands)``.

    Raises
    ------
    ShapeError, ConfigError, DTypeError, NonFiniteError, SizeError
        As in :func:`log_mel`; also if there are more coefficients than bands.

    Examples
    --------
    >>> second = np.arange(8000) / 8000
    >>> mfcc(np.sin(2 * np.pi * 440 * second), rate=8000, bands=20).shape
    (98, 13)
    """
    energies = log_mel(signal, rate, **options)
    coefficients = whole_number(coefficients, "coefficients", high=energies.shape[1])
    return np.ascontiguousarray(dct(energies, type=2, norm="ortho", axis=1)[:, :coefficients])


@names_memory
def deltas(features: ArrayLike, width: int = 2) -> Array:
    """Return the slope of each feature over a frame and `width` frames on either side.

    ``sum_k k * (features[t + k] - features[t - k]) / (2 * sum_k k**2)``, k from 1 to `width`; the
    first and the last frame are repeated past the ends (Young et al., The HTK Book, section 5.9).
    Deltas of deltas are accelerations.

    Parameters
    ----------
    features : array_like of shape (frames, features)
        Such as :func:`log_mel` and :func:`mfcc` return.
    width : int, default 2
        Number of frames on either side.

    Returns
    -------
    ndarray of shape (frames, features), float32 or float64
        Change from frame to frame.

    Raises
    ------
    ShapeError, ConfigError, DTypeError, NonFiniteError

    Examples
    --------
    >>> deltas([[0.0], [1.0], [2.0], [3.0]], width=1)[:, 0]
    array([0.5, 1. , 1. , 0.5])
    """
    values = real_array(features, "features")
    if values.ndim != 2:
        raise ShapeError(f"features has shape {values.shape}; expected (frames, features)")
    width = whole_number(width, "width")
    finite(values, "features")
    frames = len(values)
    if frames == 0:
        return values.copy()
    at = np.arange(frames)
    slope = np.zeros_like(values)
    for k in range(1, width + 1):
        slope += k * (values[np.minimum(at + k, frames - 1)] - values[np.maximum(at - k, 0)])
    return slope / values.dtype.type(2 * sum(k * k for k in range(1, width + 1)))


@names_memory
def mel_filters(
    bands: int, transform: int, rate: float, low: float = 0.0, high: float | None = None
) -> Array:
    """Return triangles over the frequencies of a Fourier transform, equally wide in mel.

    Neighbours overlap by half.

    ``mel = 2595 * log10(1 + hertz / 700)`` (O'Shaughnessy 1987; The HTK Book, section 5.4). Each
    triangle rises from 0 at the middle of the one before it to 1 at its own middle, and falls to 0
    at the middle of the next; the sides are straight lines in mel.

    Parameters
    ----------
    bands : int
        Number of triangles.
    transform : int
        Number of samples of the transform; it has ``transform // 2 + 1`` frequencies.
    rate : float
        Samples per second.
    low, high : float, default 0 and half the rate
        Frequencies at which the first triangle begins and the last one ends, in hertz.

    Returns
    -------
    ndarray of shape (bands, transform // 2 + 1), float64
        Weight of each frequency in each band.

    Raises
    ------
    ConfigError
        A number is outside its range, or a band holds no frequency of the transform.
    DTypeError
        `bands` or `transform` is not a whole number, or another argument is not a number.

    Examples
    --------
    >>> mel_filters(bands=3, transform=8, rate=8000).round(1)
    array([[0. , 0.1, 0. , 0. , 0. ],
           [0. , 0.9, 0.2, 0. , 0. ],
           [0. , 0. , 0.8, 0.5, 0. ]])
    """
    bands, transform = whole_number(bands, "bands"), whole_number(transform, "transform")
    rate = number(rate, "rate", 0, open_low=True)
    high = number(rate / 2 if high is None else high, "high", 0, rate / 2, open_low=True)
    low = number(low, "low", 0, high, open_high=True)
    fits_memory(bands * (transform // 2 + 1), "float64", "filters")
    edges = np.linspace(_mel(low), _mel(high), bands + 2)
    frequencies = _mel(np.arange(transform // 2 + 1) * (rate / transform))
    left, middle, right = edges[:-2, np.newaxis], edges[1:-1, np.newaxis], edges[2:, np.newaxis]
    rising, falling = (
        (frequencies - left) / (middle - left),
        (right - frequencies) / (right - middle),
    )
    filters = np.maximum(0.0, np.minimum(rising, falling))
    empty = np.flatnonzero(~filters.any(axis=1))
    if empty.size:
        raise ConfigError(
            f"band {empty[0]} of {bands} holds none of the {transform // 2 + 1} frequencies up to"
            f" {rate / 2:g} Hz; take fewer bands or longer frames"
        )
    return filters


def _mel(hertz: Any) -> Any:
    return 2595.0 * np.log10(1.0 + np.asarray(hertz) / 700.0)


def _signal(given: Any) -> Array:
    signal = real_array(given, "signal")
    if signal.ndim != 1 or signal.size == 0:
        raise ShapeError(
            f"signal has shape {signal.shape}; expected (samples,), at least one: if there"
            " are several channels, pass one of them or their mean"
        )
    return finite(signal, "signal")


def _samples(seconds: float, rate: float, name: str) -> int:
    samples = round(number(seconds, name, 0, open_low=True) * rate)
    if samples == 0:
        raise ConfigError(f"{name} is {seconds} seconds, less than a sample at a rate of {rate:g}")
    return whole_number(samples, f"{name} in samples")


def _frames(signal: Array, length: int, step: int) -> Array:
    """(frames, length) views; at least one frame."""
    if len(signal) < length:
        signal = np.pad(signal, (0, length - len(signal)))
    count = 1 + (len(signal) - length) // step
    fits_memory(count * length, "float64", "an array of frames")
    return np.lib.stride_tricks.sliding_window_view(signal, length)[::step]
