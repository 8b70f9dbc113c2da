"""L1 (or squared) plus SSIM loss and its gradient, one number of the image per lane, in four passes.

An image row of w pixels is a run of 3 w numbers with interleaved channels: neighbouring pixels are 3 numbers
apart. SSIM needs four blurred maps (x, y, x^2 + y^2, x y); its gradient blurs three more. Each blur
is a pass along rows and one along columns.
"""

import triton
import triton.language as tl

from sfumato.ops import constants

C1, C2 = tl.constexpr(constants.SSIM_C1), tl.constexpr(constants.SSIM_C2)
RADIUS = tl.constexpr(constants.SSIM_WINDOW_PX // 2)
TAPS = tl.constexpr(constants.SSIM_WINDOW_PX)


@triton.jit
def _place(n, run, BLOCK: tl.constexpr):
    """Index of a lane's number, whether it exists, its row, and its index in the row of ``run`` numbers."""
    k = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    return k, k < n, k // run, k % run


@triton.jit
def _weighted(image, weight, k, mask, WEIGHTED: tl.constexpr):
    """Numbers of an image times the weight of their pixel."""
    value = tl.load(image + k, mask=mask, other=0.0)
    if WEIGHTED:
        value = value * tl.load(weight + k // 3, mask=mask, other=0.0)
    return value


@triton.jit(do_not_specialize=["n"])
def ssim_along_rows(image, target, weight, taps, maps, run, n, WEIGHTED: tl.constexpr, BLOCK: tl.constexpr):
    """Blur x, y, x^2 + y^2 and x y along rows into the four planes of ``maps``."""
    k, here, _, place = _place(n, run, BLOCK)
    mean_x = tl.zeros([BLOCK], tl.float32)
    mean_y = tl.zeros([BLOCK], tl.float32)
    squares = tl.zeros([BLOCK], tl.float32)
    product = tl.zeros([BLOCK], tl.float32)
    for tap in tl.static_range(TAPS):
        away = 3 * (tap - RADIUS)
        inside = here & (place + away >= 0) & (place + away < run)
        x = _weighted(image, weight, k + away, inside, WEIGHTED)
        y = _weighted(target, weight, k + away, inside, WEIGHTED)
        share = tl.load(taps + tap)
        mean_x += share * x
        mean_y += share * y
        squares += share * (x * x + y * y)
        product += share * (x * y)
    tl.store(maps + k, mean_x, mask=here)
    tl.store(maps + n + k, mean_y, mask=here)
    tl.store(maps + 2 * n + k, squares, mask=here)
    tl.store(maps + 3 * n + k, product, mask=here)


@triton.jit(do_not_specialize=["n"])
def ssim_statistics(maps, taps, ssim, slopes, run, height, n, BLOCK: tl.constexpr):
    """Blur along columns, then SSIM and its derivatives with respect to the blurred x, x^2 and x y."""
    k, here, row, _ = _place(n, run, BLOCK)
    mean_x = tl.zeros([BLOCK], tl.float32)
    mean_y = tl.zeros([BLOCK], tl.float32)
    squares = tl.zeros([BLOCK], tl.float32)
    product = tl.zeros([BLOCK], tl.float32)
    for tap in tl.static_range(TAPS):
        away = tap - RADIUS
        inside = here & (row + away >= 0) & (row + away < height)
        at = maps + k + away * run
        share = tl.load(taps + tap)
        mean_x += share * tl.load(at, mask=inside, other=0.0)
        mean_y += share * tl.load(at + n, mask=inside, other=0.0)
        squares += share * tl.load(at + 2 * n, mask=inside, other=0.0)
        product += share * tl.load(at + 3 * n, mask=inside, other=0.0)
    mean_xy, mean_squares = mean_x * mean_y, mean_x * mean_x + mean_y * mean_y
    luminance, structure = 2.0 * mean_xy + C1, 2.0 * (product - mean_xy) + C2
    inverse_1, inverse_2 = 1.0 / (mean_squares + C1), 1.0 / (squares - mean_squares + C2)
    both = inverse_1 * inverse_2
    value = luminance * structure * both
    to_mean = mean_y * (structure - luminance) * both + value * mean_x * (inverse_2 - inverse_1)
    tl.store(ssim + k, value, mask=here)
    tl.store(slopes + k, 2.0 * to_mean, mask=here)
    tl.store(slopes + n + k, -value * inverse_2, mask=here)
    tl.store(slopes + 2 * n + k, 2.0 * luminance * both, mask=here)


@triton.jit(do_not_specialize=["n"])
def slopes_along_rows(slopes, weight, taps, maps, run, n, WEIGHTED: tl.constexpr, BLOCK: tl.constexpr):
    """Blur the three derivatives, multiplied by pixel weights, along rows into ``maps``."""
    k, here, _, place = _place(n, run, BLOCK)
    to_mean = tl.zeros([BLOCK], tl.float32)
    to_square = tl.zeros([BLOCK], tl.float32)
    to_product = tl.zeros([BLOCK], tl.float32)
    for tap in tl.static_range(TAPS):
        away = 3 * (tap - RADIUS)
        inside = here & (place + away >= 0) & (place + away < run)
        share = tl.load(taps + tap)
        if WEIGHTED:
            share = share * tl.load(weight + (k + away) // 3, mask=inside, other=0.0)
        to_mean += share * tl.load(slopes + k + away, mask=inside, other=0.0)
        to_square += share * tl.load(slopes + n + k + away, mask=inside, other=0.0)
        to_product += share * tl.load(slopes + 2 * n + k + away, mask=inside, other=0.0)
    tl.store(maps + k, to_mean, mask=here)
    tl.store(maps + n + k, to_square, mask=here)
    tl.store(maps + 2 * n + k, to_product, mask=here)


@triton.jit(do_not_specialize=["n"])
def photometric_gradient(
    image, target, weight, ssim, maps, taps, share_of_number, ssim_weight, pixel_weight,
    gradient, losses, run, height, n,
    WEIGHTED: tl.constexpr, ABSOLUTE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """The gradient of the image, and each program's share of the loss.

    Args:
        share_of_number: [] share of each number in the loss for weights of 1.
        losses: [programs], written.
    """
    k, here, row, _ = _place(n, run, BLOCK)
    to_mean = tl.zeros([BLOCK], tl.float32)
    to_square = tl.zeros([BLOCK], tl.float32)
    to_product = tl.zeros([BLOCK], tl.float32)
    for tap in tl.static_range(TAPS):
        away = tap - RADIUS
        inside = here & (row + away >= 0) & (row + away < height)
        at = maps + k + away * run
        share = tl.load(taps + tap)
        to_mean += share * tl.load(at, mask=inside, other=0.0)
        to_square += share * tl.load(at + n, mask=inside, other=0.0)
        to_product += share * tl.load(at + 2 * n, mask=inside, other=0.0)
    x, y = tl.load(image + k, mask=here, other=0.0), tl.load(target + k, mask=here, other=0.0)
    own = tl.where(here, 1.0, 0.0)
    if WEIGHTED:
        own = tl.load(weight + k // 3, mask=here, other=0.0)
    difference = x - y
    if ABSOLUTE:
        value = tl.abs(difference)
        slope = tl.where(difference > 0, 1.0, tl.where(difference < 0, -1.0, 0.0))
    else:
        value, slope = difference * difference, 2.0 * difference
    of_number = tl.load(share_of_number)
    of_ssim, of_pixel = of_number * ssim_weight, of_number * pixel_weight
    # The maps are the blurred derivatives with respect to x, x^2 and x y of the weighted images.
    to_image = to_mean + own * (2.0 * x * to_square + y * to_product)
    tl.store(gradient + k, own * (of_pixel * slope - of_ssim * to_image), mask=here)
    loss = own * (of_pixel * value + of_ssim * (1.0 - tl.load(ssim + k, mask=here, other=0.0)))
    tl.store(losses + tl.program_id(0), tl.sum(loss))
