import math

import numpy as np
import pytest

from gatewise.data import deltas, log_mel, mel_filters, mfcc
from gatewise.errors import ConfigError, DTypeError, NonFiniteError, ShapeError

RATE = 1000


@pytest.fixture
def signal(rng):
    return rng.normal(size=130)


def mel(hertz):
    return 2595 * math.log10(1 + hertz / 700)


def hertz(mels):
    return 700 * (10 ** (mels / 2595) - 1)


def log_mel_by_hand(signal, rate, bands, length, step, transform, low, high, preemphasis, floor):
    """The definitions, a number at a time.

    Frames, window, sums of a Fourier transform, triangles between edges in hertz.
    """
    lifted = [signal[0]] + [signal[t] - preemphasis * signal[t - 1] for t in range(1, len(signal))]
    edges = [hertz(mel(low) + (mel(high) - mel(low)) * k / (bands + 1)) for k in range(bands + 2)]
    rows, start = [], 0
    while start + length <= len(lifted):
        frame = [
            lifted[start + t] * (0.54 - 0.46 * math.cos(2 * math.pi * t / length))
            for t in range(length)
        ]
        row = [0.0] * bands
        for k in range(transform // 2 + 1):
            real = sum(frame[t] * math.cos(2 * math.pi * k * t / transform) for t in range(length))
            imaginary = sum(
                frame[t] * math.sin(2 * math.pi * k * t / transform) for t in range(length)
            )
            frequency = k * rate / transform
            for band in range(bands):
                left, middle, right = edges[band : band + 3]
                if left < frequency <= middle:
                    weight = (mel(frequency) - mel(left)) / (mel(middle) - mel(left))
                elif middle < frequency < right:
                    weight = (mel(right) - mel(frequency)) / (mel(right) - mel(middle))
                else:
                    continue
                row[band] += weight * (real**2 + imaginary**2)
        rows.append([math.log(max(energy, floor)) for energy in row])
        start += step
    return rows


class TestLogMel:
    @pytest.mark.parametrize(
        "low, high, preemphasis, transform, frame_length",
        [(0.0, None, 0.97, 32, 0.025), (40.0, 300.0, 0.0, 64, 0.033), (0.0, None, 0.5, 32, 0.032)],
    )
    def test_against_the_definition(self, signal, low, high, preemphasis, transform, frame_length):
        found = log_mel(
            signal,
            RATE,
            bands=5,
            low=low,
            high=high,
            preemphasis=preemphasis,
            frame_length=frame_length,
        )
        expected = log_mel_by_hand(
            signal.tolist(),
            RATE,
            5,
            round(frame_length * RATE),
            10,
            transform,
            low,
            high or RATE / 2,
            preemphasis,
            1e-10,
        )
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)

    def test_a_tone_is_in_its_band(self):
        time = np.arange(4000) / 8000
        for frequency in (300.0, 1000.0, 3000.0):
            features = log_mel(np.sin(2 * np.pi * frequency * time), 8000, bands=20)
            middles = np.linspace(0, mel(4000), 22)[1:-1]
            assert (features.argmax(axis=1) == np.abs(middles - mel(frequency)).argmin()).all()

    def test_silence_is_the_floor(self):
        np.testing.assert_array_equal(log_mel(np.zeros(300), RATE, bands=5, floor=0.5), np.log(0.5))

    @pytest.mark.parametrize(
        "samples, frames", [(1, 1), (24, 1), (25, 1), (34, 1), (35, 2), (130, 11)]
    )
    def test_number_of_frames(self, samples, frames):
        assert log_mel(np.ones(samples), RATE, bands=5).shape == (frames, 5)

    def test_a_short_signal_is_filled_up(self, signal):
        np.testing.assert_array_equal(
            log_mel(signal[:20], RATE, bands=5, preemphasis=0),
            log_mel(np.append(signal[:20], [0] * 5), RATE, bands=5, preemphasis=0),
        )

    def test_types(self, signal):
        single = log_mel(signal.astype(np.float32), RATE, bands=5)
        assert single.dtype == np.float32
        np.testing.assert_allclose(single, log_mel(signal, RATE, bands=5), atol=1e-4)
        whole = (signal * 1000).astype(np.int16)
        np.testing.assert_array_equal(
            log_mel(whole, RATE, bands=5), log_mel(whole.astype(float), RATE, bands=5)
        )

    def test_the_input_is_not_changed(self, signal):
        signal.flags.writeable = False
        before = signal.copy()
        log_mel(signal, RATE, bands=5)
        np.testing.assert_array_equal(signal, before)

    @pytest.mark.parametrize(
        "options, error, match",
        [
            ({"bands": 0}, ConfigError, "bands"),
            ({"bands": 40}, ConfigError, "fewer bands"),
            ({"frame_length": 1e-5}, ConfigError, "less than a sample"),
            ({"frame_step": 0}, ConfigError, "frame_step"),
            ({"low": 600}, ConfigError, "low"),
            ({"high": 501}, ConfigError, "high"),
            ({"floor": 0}, ConfigError, "floor"),
            ({"preemphasis": 1}, ConfigError, "preemphasis"),
            ({"window": "glass"}, ConfigError, "glass"),
            ({"window": 3j}, ConfigError, "window"),
            ({"bands": 2.5}, DTypeError, "bands"),
        ],
    )
    def test_options_are_checked(self, signal, options, error, match):
        with pytest.raises(error, match=match):
            log_mel(signal, RATE, **{"bands": 5, **options})

    @pytest.mark.parametrize(
        "bad, error",
        [
            (np.zeros((5, 2)), ShapeError),
            (np.zeros(0), ShapeError),
            (["a"], DTypeError),
            ([0.0, np.nan], NonFiniteError),
        ],
    )
    def test_signals_are_checked(self, bad, error):
        with pytest.raises(error, match="signal"):
            log_mel(bad, RATE)


class TestFilters:
    def test_triangles_add_up_to_one_between_the_first_and_the_last_middle(self):
        filters = mel_filters(10, 512, 8000)
        assert filters.shape == (10, 257)
        frequencies = np.arange(257) * 8000 / 512
        middles = hertz(np.linspace(0, mel(4000), 12))
        inside = (frequencies >= middles[1]) & (frequencies <= middles[10])
        np.testing.assert_allclose(filters.sum(axis=0)[inside], 1, atol=1e-12)
        assert inside.sum() > 100


class TestMfcc:
    def test_against_the_definition(self, signal):
        energies = log_mel(signal, RATE, bands=6)
        expected = np.zeros((len(energies), 4))
        for k in range(4):
            scale = math.sqrt((1 if k == 0 else 2) / 6)
            for band in range(6):
                expected[:, k] += (
                    scale * energies[:, band] * math.cos(math.pi * k * (band + 0.5) / 6)
                )
        found = mfcc(signal, RATE, coefficients=4, bands=6)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
        assert found.flags.c_contiguous

    def test_dtype(self, signal):
        assert mfcc(signal.astype(np.float32), RATE, coefficients=3, bands=5).dtype == np.float32

    def test_more_coefficients_than_bands(self, signal):
        with pytest.raises(ConfigError, match="coefficients is 6; expected 1 to 5"):
            mfcc(signal, RATE, coefficients=6, bands=5)


class TestDeltas:
    @pytest.mark.parametrize("width", [1, 2, 3])
    def test_the_slope_of_a_fitted_line(self, rng, width):
        features = rng.normal(size=(9, 2))
        repeated = np.concatenate([features[:1]] * width + [features] + [features[-1:]] * width)
        expected = [
            np.polyfit(np.arange(2 * width + 1), repeated[t : t + 2 * width + 1], 1)[0]
            for t in range(9)
        ]
        np.testing.assert_allclose(deltas(features, width), expected, rtol=0, atol=1e-12)

    @pytest.mark.parametrize("frames", [0, 1, 2])
    def test_few_frames(self, frames):
        assert deltas(np.ones((frames, 3), np.float32)).tolist() == [[0, 0, 0]] * frames

    def test_dtype(self):
        assert deltas(np.ones((4, 3), np.float32)).dtype == np.float32

    def test_errors(self):
        with pytest.raises(ShapeError, match="frames"):
            deltas(np.zeros(3))
        with pytest.raises(ConfigError, match="width"):
            deltas(np.zeros((3, 1)), 0)


def test_bits_do_not_depend_on_threads(rng):
    threadpoolctl = pytest.importorskip("threadpoolctl")
    signal = rng.normal(size=30_000)
    results = []
    for limit in (1, 2, 3):
        with threadpoolctl.threadpool_limits(limit):
            results.append(mfcc(signal, 16_000))
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])
