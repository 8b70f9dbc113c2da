"""Transfer functions have the values of the standards, and tone-mapped pictures the right colours."""

import numpy as np
import pytest

from sfumato.footage import hdr


@pytest.mark.parametrize(
    ("signal", "nits"), [(0.0, 0.0), (0.5081, 100.0), (0.5807, 203.0), (0.7518, 1000.0), (1.0, 10000.0)]
)
def test_pq_has_the_values_of_the_standard(signal, nits):
    assert hdr.pq_to_nits(np.array(signal)) == pytest.approx(nits, rel=2e-3, abs=1e-9)


@pytest.mark.parametrize(("signal", "light"), [(0.0, 0.0), (0.5, 1 / 12), (0.75, 0.26496), (1.0, 1.0)])
def test_hlg_has_the_values_of_the_standard(signal, light):
    assert hdr.hlg_to_scene(np.array(signal)) == pytest.approx(light, rel=1e-4)


def test_the_tone_curve_keeps_the_dark_half_and_ends_at_white():
    light = np.linspace(0.0, 6.0, 6001)
    curve = hdr.tone_curve(light)
    steps = np.diff(curve) / np.diff(light)
    assert np.array_equal(curve[light <= 0.5], light[light <= 0.5])
    assert curve[light >= hdr.PEAK_NITS / hdr.WHITE_NITS] == pytest.approx(1.0)
    assert (steps >= -1e-9).all(), "never decreasing"
    assert np.abs(np.diff(steps[:4900])).max() < 0.01, "no kink"


def grey(signal):
    return np.full((3, 5, 3), round(signal * 65535), np.uint16)


@pytest.mark.parametrize(("transfer", "white"), [(hdr.PQ, 0.5807), (hdr.HLG, 0.75)])
def test_diffuse_white_is_bright_and_highlights_are_brighter(transfer, white):
    shown = [hdr.to_srgb(grey(signal), transfer) for signal in (0.0, 0.5 * white, white, 0.9, 1.0)]
    values = [int(picture[0, 0, 0]) for picture in shown]
    assert all((picture == picture[0, 0, 0]).all() for picture in shown), "grey stays grey"
    assert values[0] == 0 and values == sorted(values)
    assert 210 <= values[2] <= 235 and values[4] == 255


def test_wide_gamut_without_hdr_keeps_greys_and_increases_saturation():
    assert np.abs(hdr.to_srgb(grey(0.5), hdr.BT2020_SDR).astype(int) - 128).max() <= 1
    red, green, blue = hdr.to_srgb(np.array([[[40000, 20000, 20000]]], np.uint16), hdr.BT2020_SDR)[0, 0]
    assert red > 40000 / 257 and max(green, blue) < 20000 / 257 + 2


def test_tone_mapping_keeps_hues():
    # The same BT.709 orange, at 0.1 and at 3 times diffuse white.
    def encoded(scale):
        light = (
            np.linalg.inv(hdr._BT709_FROM_BT2020.astype(float)) @ [1.0, 0.5, 0.25] * scale * hdr.WHITE_NITS
        )
        signal = np.linspace(0, 1, 100001)
        return np.rint(np.interp(light, hdr.pq_to_nits(signal), signal) * 65535).astype(np.uint16)

    def decoded(pixel):
        srgb = hdr.to_srgb(pixel[None, None], hdr.PQ)[0, 0] / 255.0
        return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)

    dim, bright = decoded(encoded(0.1)), decoded(encoded(3.0))
    assert dim[0] == pytest.approx(0.1, rel=0.03) and 0.85 < bright[0] <= 1.0
    assert bright / bright[0] == pytest.approx(dim / dim[0], abs=0.02)
