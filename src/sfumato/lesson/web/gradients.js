// From the gradient of the loss in each pixel to the gradient in each number of each Gaussian: the chain rule, by hand.
//
// Whatever the rendering, a Gaussian's shape is felt only through its values G(p). Let w(p) = ∂L/∂G(p) G(p). As
// G = exp(-(a² + b²) / 2), with a = ((p - μ)·U) / u and b = ((p - μ)·V) / v along the axes U and V,
//   ∂L/∂μ = (Σ w a / u) U + (Σ w b / v) V       ∂L/∂(log u) = Σ w a²       ∂L/∂(log v) = Σ w b²
//   ∂L/∂angle = Σ w a b (v / u - u / v), with its sign below: turning moves p along V by a u and along U by -b v.
// So five sums over the pixels are all that is needed: of w a, w b, w a², w b² and w a b.
import { opacity } from "./gaussians.js";
import { DENSEST } from "./render.js";

function shapeGradient(gradient, of, i, wa, wb, waa, wbb, wab) {
  const u = Math.exp(of.logU[i]), v = Math.exp(of.logV[i]);
  const cos = Math.cos(of.angle[i]), sin = Math.sin(of.angle[i]);
  gradient.x[i] = (wa / u) * cos - (wb / v) * sin;
  gradient.y[i] = (wa / u) * sin + (wb / v) * cos;
  gradient.logU[i] = waa;
  gradient.logV[i] = wbb;
  gradient.angle[i] = wab * (u / v - v / u);
}

// Additive: ∂L/∂c = Σ ∂L/∂C(p) G(p) and ∂L/∂G(p) = ∂L/∂C(p)·c.
export function gradientsOfSum(gaussians, boxes, size, ofImage, gradient) {
  const { of, count } = gaussians;
  const plane = size * size;
  for (let i = 0; i < count; i++) {
    const x = of.x[i], y = of.y[i], u = Math.exp(of.logU[i]), v = Math.exp(of.logV[i]);
    const cos = Math.cos(of.angle[i]), sin = Math.sin(of.angle[i]);
    const red = of.red[i], green = of.green[i], blue = of.blue[i];
    let wa = 0, wb = 0, waa = 0, wbb = 0, wab = 0, toRed = 0, toGreen = 0, toBlue = 0;
    for (let row = boxes.top[i]; row < boxes.bottom[i]; row++) {
      const dy = row + 0.5 - y;
      for (let column = boxes.left[i], p = row * size + column; column < boxes.right[i]; column++, p++) {
        const dx = column + 0.5 - x;
        const a = (dx * cos + dy * sin) / u, b = (dy * cos - dx * sin) / v;
        const value = Math.exp(-0.5 * (a * a + b * b));
        const r = ofImage[p] * value, g = ofImage[p + plane] * value, l = ofImage[p + 2 * plane] * value;
        toRed += r;
        toGreen += g;
        toBlue += l;
        const w = r * red + g * green + l * blue;
        wa += w * a;
        wb += w * b;
        waa += w * a * a;
        wbb += w * b * b;
        wab += w * a * b;
      }
    }
    shapeGradient(gradient, of, i, wa, wb, waa, wbb, wab);
    gradient.red[i] = toRed;
    gradient.green[i] = toGreen;
    gradient.blue[i] = toBlue;
    gradient.logit[i] = 0;
  }
}

// Alpha compositing. A Gaussian that becomes denser adds its own colour and hides what is behind it:
//   ∂C/∂α = c T - S / (1 - α),  where S = C - Σ c α T up to and with it is what comes from behind.
// S needs the finished picture and the sum so far, so that this goes front to back, as the rendering did.
export function gradientsOfOver(gaussians, boxes, size, ofImage, image, soFar, through, gradient) {
  const { of, count } = gaussians;
  const plane = size * size;
  soFar.fill(0);
  through.fill(1);
  for (let i = 0; i < count; i++) {
    const x = of.x[i], y = of.y[i], u = Math.exp(of.logU[i]), v = Math.exp(of.logV[i]);
    const cos = Math.cos(of.angle[i]), sin = Math.sin(of.angle[i]);
    const red = of.red[i], green = of.green[i], blue = of.blue[i], o = opacity(of, i);
    let wa = 0, wb = 0, waa = 0, wbb = 0, wab = 0, toRed = 0, toGreen = 0, toBlue = 0, toOpacity = 0;
    for (let row = boxes.top[i]; row < boxes.bottom[i]; row++) {
      const dy = row + 0.5 - y;
      for (let column = boxes.left[i], p = row * size + column; column < boxes.right[i]; column++, p++) {
        const dx = column + 0.5 - x;
        const a = (dx * cos + dy * sin) / u, b = (dy * cos - dx * sin) / v;
        const value = Math.exp(-0.5 * (a * a + b * b));
        const alpha = Math.min(DENSEST, o * value);
        const t = through[p], weight = alpha * t;
        const q = p + plane, s = q + plane;
        const r = ofImage[p], g = ofImage[q], l = ofImage[s];
        soFar[p] += red * weight;
        soFar[q] += green * weight;
        soFar[s] += blue * weight;
        toRed += r * weight;
        toGreen += g * weight;
        toBlue += l * weight;
        through[p] = t * (1 - alpha);
        if (o * value >= DENSEST) continue;
        const behind = r * (image[p] - soFar[p]) + g * (image[q] - soFar[q]) + l * (image[s] - soFar[s]);
        const toAlpha = (r * red + g * green + l * blue) * t - behind / (1 - alpha);
        toOpacity += toAlpha * value;
        const w = toAlpha * alpha;
        wa += w * a;
        wb += w * b;
        waa += w * a * a;
        wbb += w * b * b;
        wab += w * a * b;
      }
    }
    shapeGradient(gradient, of, i, wa, wb, waa, wbb, wab);
    gradient.red[i] = toRed;
    gradient.green[i] = toGreen;
    gradient.blue[i] = toBlue;
    gradient.logit[i] = toOpacity * o * (1 - o);
  }
}

// A round Gaussian has one size: what both of its axes ask for comes together.
export function roundGradients(gradient, count) {
  for (let i = 0; i < count; i++) {
    gradient.logU[i] += gradient.logV[i];
    gradient.logV[i] = gradient.angle[i] = 0;
  }
}
