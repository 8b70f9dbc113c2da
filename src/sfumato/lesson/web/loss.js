// How far the picture C is from the target Ĉ: L = (1 - λ) L1 + λ D-SSIM, and its gradient in each pixel.
//   L1 is the mean of |C - Ĉ|; D-SSIM = 1 - SSIM, where SSIM is the mean structural similarity of C and Ĉ:
//   per pixel and colour, with means m and t, variances vm and vt and the covariance vmt of C and Ĉ under a Gaussian
//   window around the pixel, SSIM = (2 m t + C1) (2 vmt + C2) / ((m² + t² + C1) (vm + vt + C2))   (Wang et al., 2004)
const C1 = 0.01 ** 2, C2 = 0.03 ** 2;
const HALF = 5, SIGMA = 1.5;
// The window is 11 pixels wide and symmetric: W[d] is the weight at a distance of d pixels.
const W = (() => {
  const weights = Array.from({ length: HALF + 1 }, (_, d) => Math.exp(-0.5 * (d / SIGMA) ** 2));
  const sum = 2 * weights.reduce((a, b) => a + b) - weights[0];
  return weights.map((weight) => weight / sum);
})();

// A function that gives weighted means over the window around each pixel; beyond the border everything is 0.
function createBlur(size) {
  const [w0, w1, w2, w3, w4, w5] = W;
  const line = new Float64Array(size + 2 * HALF), between = new Float64Array((size + 2 * HALF) * size);
  return (plane, out) => {
    for (let row = 0; row < size; row++) {
      for (let column = 0; column < size; column++) line[column + HALF] = plane[row * size + column];
      for (let column = 0, q = (row + HALF) * size; column < size; column++, q++) {
        const c = column + HALF;
        between[q] = w0 * line[c] + w1 * (line[c - 1] + line[c + 1]) + w2 * (line[c - 2] + line[c + 2])
          + w3 * (line[c - 3] + line[c + 3]) + w4 * (line[c - 4] + line[c + 4]) + w5 * (line[c - 5] + line[c + 5]);
      }
    }
    const s = size, s2 = 2 * s, s3 = 3 * s, s4 = 4 * s, s5 = 5 * s;
    for (let p = 0, q = HALF * size; p < size * size; p++, q++) {
      out[p] = w0 * between[q] + w1 * (between[q - s] + between[q + s]) + w2 * (between[q - s2] + between[q + s2])
        + w3 * (between[q - s3] + between[q + s3]) + w4 * (between[q - s4] + between[q + s4])
        + w5 * (between[q - s5] + between[q + s5]);
    }
  };
}

// A loss for one target; measure() says how far an image is, and writes ∂L/∂C(p) into a gradient.
export function createLoss(target, size) {
  const plane = size * size, count = 3 * plane;
  const numbers = () => new Float64Array(plane);
  const product = numbers(), blur = createBlur(size);
  const mean = numbers(), square = numbers(), cross = numbers();
  const toMean = numbers(), toSquare = numbers(), toCross = numbers();
  const channels = [0, 1, 2].map((k) => {
    const values = target.subarray(k * plane, (k + 1) * plane), own = { values, mean: numbers(), square: numbers() };
    blur(values, own.mean);
    blur(values.map((value) => value * value), own.square);
    return own;
  });

  function absolute(image, share, gradient) {
    let sum = 0;
    for (let j = 0; j < count; j++) {
      const residual = image[j] - target[j];
      sum += Math.abs(residual);
      gradient[j] = (share / count) * Math.sign(residual);
    }
    return sum / count;
  }

  // Adds one colour's part of the gradient of the mean SSIM, times a share, and gives the sum of SSIM over its pixels.
  function similarity(channel, image, share, gradient) {
    const { values, mean: meanT, square: squareT } = channel;
    const multiplied = (other) => {
      for (let p = 0; p < plane; p++) product[p] = image[p] * other[p];
      return product;
    };
    blur(image, mean);
    blur(multiplied(image), square);
    blur(multiplied(values), cross);
    let sum = 0;
    for (let p = 0; p < plane; p++) {
      const m = mean[p], t = meanT[p];
      const a1 = 2 * m * t + C1, a2 = 2 * (cross[p] - m * t) + C2;
      const b1 = m * m + t * t + C1, b2 = square[p] - m * m + squareT[p] - t * t + C2;
      const ssim = (a1 * a2) / (b1 * b2);
      sum += ssim;
      // SSIM depends on C through the window's means of C, C² and C Ĉ.
      toMean[p] = (2 * t * (a2 - a1)) / (b1 * b2) - 2 * m * ssim * (1 / b1 - 1 / b2);
      toSquare[p] = -ssim / b2;
      toCross[p] = (2 * a1) / (b1 * b2);
    }
    // The window is symmetric: going back from means to pixels is the same blur.
    blur(toMean, mean);
    blur(toSquare, square);
    blur(toCross, cross);
    for (let p = 0; p < plane; p++) {
      gradient[p] += (share / count) * (mean[p] + 2 * image[p] * square[p] + values[p] * cross[p]);
    }
    return sum;
  }

  function measure(image, lambda, gradient) {
    const l1 = absolute(image, 1 - lambda, gradient);
    let ssim = 0;
    for (let k = 0; k < 3; k++) {
      const from = k * plane, to = from + plane;
      ssim += similarity(channels[k], image.subarray(from, to), -lambda, gradient.subarray(from, to));
    }
    const dssim = 1 - ssim / count;
    return { loss: (1 - lambda) * l1 + lambda * dssim, l1, dssim };
  }
  return { measure };
}

// Peak signal-to-noise ratio in decibels, of the picture as it is shown: between 0 and 1.
export function psnr(image, target) {
  let sum = 0;
  for (let j = 0; j < target.length; j++) sum += (Math.min(1, Math.max(0, image[j])) - target[j]) ** 2;
  return -10 * Math.log10(Math.max(sum / target.length, 1e-10));
}
