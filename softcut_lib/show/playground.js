// The playground: scribble on a picture and watch its circuit settle (chapters 1 to 3).
//
// Every pixel p is a node. Neighbors are joined by w = max(exp(-|dI|^2 / 2 sigma^2), 1e-4); a wire
// of conductance g leads to a battery of t volts, the vote of the pixel's color, and a scribbled
// pixel hangs on one more battery of +1 or -1 volt by a wire of conductance s:
//
//     (g + s) x_p + sum_q w_pq (x_p - x_q) = score_p = g t_p + s sign_p          (s off the seeds: 0)
//
// The soft cut solves this; the minimum cut takes the same scores and weights; the random walker
// holds the seeds (s without bound) and has no ground. In the page all is computed here; in a
// notebook the Python library answers (playground_page.py) and is compared with what is computed
// here. The file asks for nothing from outside.

// ---------------------------------------------------------------- numbers: the picture's circuit

export const FOREGROUND = 1, BACKGROUND = 0, FREE = 255;
const LEAST = 1e-4; // a walk must be able to leave every pixel
const BINS = 24;

/** A field of h x w numbers with a row of zeros before and after, so that no neighbor is missing. */
const padded = (h, w) => new Float64Array((h + 2) * w);

/** Everything that the solvers keep between frames for a picture of h x w pixels. */
export function makeCircuit(rgb, h, w) {
  const field = () => padded(h, w);
  return {
    h, w, n: h * w, rgb, right: field(), down: field(), votes: field(), scores: field(),
    ground: field(), x: field(), sigma: null, top: null, solver: null, held: null, flow: null,
    steps: 0, settled: true,
  };
}

/** Conductances to the right and down, zero at the borders; rgb holds bytes. */
export function setWeights(circuit, sigma) {
  if (circuit.sigma === sigma) return;
  const { h, w, rgb, right, down } = circuit, factor = -1 / (2 * sigma * sigma * 255 * 255);
  const between = (a, b) => {
    const r = rgb[3 * a] - rgb[3 * b], g = rgb[3 * a + 1] - rgb[3 * b + 1];
    const b_ = rgb[3 * a + 2] - rgb[3 * b + 2];
    return Math.max(Math.exp(factor * (r * r + g * g + b_ * b_)), LEAST);
  };
  for (let i = 0, p = 0; i < h; i++) {
    for (let j = 0; j < w; j++, p++) {
      right[p + w] = j + 1 < w ? between(p, p + 1) : 0;
      down[p + w] = i + 1 < h ? between(p, p + w) : 0;
    }
  }
  circuit.sigma = sigma;
}

/** Votes 2 P(foreground | color) - 1 from the smoothed color histograms of the seeds. */
export function setVotes(circuit, seeds, wanted) {
  const { n, w, rgb, votes } = circuit;
  votes.fill(0);
  if (!wanted) return;
  const cell = new Int32Array(n), size = BINS ** 3;
  const counts = [new Float64Array(size), new Float64Array(size)], total = [0, 0];
  for (let p = 0; p < n; p++) {
    for (let c = 0; c < 3; c++) {
      cell[p] = cell[p] * BINS + Math.floor(rgb[3 * p + c] / 255 * (BINS - 1e-3));
    }
    if (seeds[p] !== FREE) { counts[seeds[p]][cell[p]]++; total[seeds[p]]++; }
  }
  const [back, front] = counts.map((count, k) => smooth(count.map((v) => v / total[k])));
  for (let p = 0; p < n; p++) {
    const f = front[cell[p]] + 1e-6, b = back[cell[p]] + 1e-6;
    votes[p + w] = 2 * f / (f + b) - 1;
  }
}

/** Gaussian of standard deviation 1 along the three axes of a histogram, reflected at its ends. */
function smooth(values) {
  const kernel = Array.from({ length: 9 }, (_, k) => Math.exp(-((k - 4) ** 2) / 2));
  const sum = kernel.reduce((a, b) => a + b), inside = (k) => (k < 0 ? -1 - k : k >= BINS ? 2 * BINS - 1 - k : k);
  let from = values;
  for (const stride of [BINS * BINS, BINS, 1]) {
    const to = new Float64Array(from.length);
    for (let p = 0; p < from.length; p++) { // sparse: few colors are scribbled on
      if (from[p] === 0) continue;
      const at = Math.floor(p / stride) % BINS, zero = p - at * stride;
      for (let k = -4; k <= 4; k++) {
        // reflection is symmetric: p reaches `to` directly and by its images beyond the ends
        for (const image of [at, -1 - at, 2 * BINS - 1 - at]) {
          const target = image + k;
          if (target >= 0 && target < BINS) to[zero + target * stride] += kernel[k + 4] / sum * from[p];
        }
      }
    }
    from = to;
  }
  return from;
}

/** Scores and ground of the soft cut and the minimum cut. */
export function setScores(circuit, seeds, { ground, strength }) {
  const { n, w, votes, scores } = circuit;
  for (let p = 0; p < n; p++) {
    const sign = seeds[p] === FREE ? 0 : seeds[p] === FOREGROUND ? 1 : -1;
    scores[p + w] = ground * votes[p + w] + strength * sign;
    circuit.ground[p + w] = ground + (sign ? strength : 0);
  }
}

// ---------------------------------------------------------- the linear system: soft cut and walker

/** One circuit of the hierarchy (chapter 6): links to the east, south, south-east, south-west. */
function makeLevel(h, w) {
  const pitch = w + 1, field = () => new Float64Array((h + 2) * pitch + 2);
  const level = {
    h, w, pitch, first: pitch + 1, ground: field(), east: field(), south: field(),
    southEast: field(), southWest: field(), diagonal: field(), inverse: field(), b: field(),
    z: field(), t: field(), y: field(), nine: false, // nine: there are diagonal links
  };
  if (h * w <= 64) return { ...level, factor: new Float64Array((h * w) ** 2) };
  return { ...level, parts: new Float64Array(4 * ((h + 2) * pitch + 2)),
    below: { ...makeLevel((h + 1) >> 1, (w + 1) >> 1), nine: true } };
}

/** Interpolation and coarse circuits, from the finest level down. */
function build(level) {
  const { h, w, pitch, first, ground, east, south, southEast, southWest, diagonal, below } = level;
  for (let i = 0; i < h; i++) {
    for (let p = first + i * pitch, stop = p + w; p < stop; p++) {
      diagonal[p] = ground[p] + east[p] + east[p - 1] + south[p] + south[p - pitch] + southEast[p]
        + southEast[p - pitch - 1] + southWest[p] + southWest[p - pitch + 1];
    }
  }
  if (!below) return factorize(level);
  const { inverse } = level; // of the pivots when the links that elimination adds are left out
  for (let i = 0; i < h; i++) {
    for (let p = first + i * pitch, stop = p + w; p < stop; p++) {
      const pivot = diagonal[p] - east[p - 1] ** 2 * inverse[p - 1]
        - south[p - pitch] ** 2 * inverse[p - pitch]
        - southEast[p - pitch - 1] ** 2 * inverse[p - pitch - 1]
        - southWest[p - pitch + 1] ** 2 * inverse[p - pitch + 1];
      inverse[p] = 1 / (pivot > 1e-9 * diagonal[p] ? pivot : diagonal[p]);
    }
  }
  interpolate(level);
  for (const name of ["ground", "east", "south", "southEast", "southWest"]) below[name].fill(0);
  // With x_a = sum_c P_ac X_c a link's power w (sum_c k_c X_c)^2, k_c = P_ac - P_bc, is that of links
  // -w k_c k_d between the coarse nodes c and d and of grounds w k_c sum_d k_d: exactly P' A P.
  const { parts } = level, G = below.ground, E = below.east, S = below.south;
  const SE = below.southEast, SW = below.southWest, P = below.pitch;
  const add = (c, weight, a, b, d, e) => {
    const s = weight * (a + b + d + e);
    G[c] += s * a; G[c + 1] += s * b; G[c + P] += s * d; G[c + P + 1] += s * e;
    E[c] -= weight * a * b; E[c + P] -= weight * d * e;
    S[c] -= weight * a * d; S[c + 1] -= weight * b * e;
    SE[c] -= weight * a * e; SW[c + 1] -= weight * b * d;
  };
  // the parts of pixel q, seen from the cell of a pixel one column and/or row before it
  const link = (c, weight, p, down, right, q, downQ, rightQ) => {
    const a = 4 * p, b = 4 * q;
    let k0 = 0, k1 = 0, k2 = 0, k3 = 0;
    if (down && right) k3 = parts[a];
    else if (right) { k1 = parts[a]; k3 = parts[a + 2]; }
    else if (down) { k2 = parts[a]; k3 = parts[a + 1]; }
    else { k0 = parts[a]; k1 = parts[a + 1]; k2 = parts[a + 2]; k3 = parts[a + 3]; }
    if (downQ && rightQ) k3 -= parts[b];
    else if (rightQ) { k1 -= parts[b]; k3 -= parts[b + 2]; }
    else if (downQ) { k2 -= parts[b]; k3 -= parts[b + 1]; }
    else { k0 -= parts[b]; k1 -= parts[b + 1]; k2 -= parts[b + 2]; k3 -= parts[b + 3]; }
    add(c, weight, k0, k1, k2, k3);
  };
  for (let i = 0; i < h; i++) {
    const odd = i & 1;
    for (let j = 0; j < w; j++) {
      const p = first + i * pitch + j, c = below.first + (i >> 1) * P + (j >> 1), right = j & 1;
      add(c, ground[p], parts[4 * p], parts[4 * p + 1], parts[4 * p + 2], parts[4 * p + 3]);
      if (east[p]) link(c, east[p], p, 0, 0, p + 1, 0, right);
      if (south[p]) link(c, south[p], p, 0, 0, p + pitch, odd, 0);
      if (southEast[p]) link(c, southEast[p], p, 0, 0, p + pitch + 1, odd, right);
      if (southWest[p + 1]) link(c, southWest[p + 1], p + 1, 0, right, p + pitch, odd, 0);
    }
  }
  // Elimination is safe where no conductance is negative; the few that P' A P brings are dropped.
  for (const field of [G, E, S, SE, SW]) {
    for (let p = 0; p < field.length; p++) if (field[p] < 0) field[p] = 0;
  }
  build(below);
}

/** A pixel's voltage from the coarse nodes at the corners of its cell: what Kirchhoff's law says. */
function interpolate({ h, w, pitch, first, ground, east, south, southEast, southWest, parts }) {
  const most = (v) => (v > 0 ? v : 0);
  const row = (p) => { // between two coarse nodes of a row
    const a = most(east[p - 1] + southEast[p - pitch - 1] + southWest[p]);
    const b = most(east[p] + southEast[p] + southWest[p - pitch + 1]);
    const sum = a + b + most(ground[p]) || 1;
    parts[4 * p] = a / sum;
    parts[4 * p + 1] = b / sum;
  };
  const column = (p) => {
    const a = most(south[p - pitch] + southEast[p - pitch - 1] + southWest[p - pitch + 1]);
    const b = most(south[p] + southEast[p] + southWest[p]);
    const sum = a + b + most(ground[p]) || 1;
    parts[4 * p] = a / sum;
    parts[4 * p + 2] = b / sum;
  };
  for (let i = 0; i < h; i += 2) {
    for (let j = 0; j < w; j++) {
      const p = first + i * pitch + j;
      if (j & 1) row(p); else parts[4 * p] = 1;
    }
  }
  for (let i = 1; i < h; i += 2) {
    for (let j = 0; j < w; j += 2) column(first + i * pitch + j);
    for (let j = 1; j < w; j += 2) {
      const p = first + i * pitch + j, n = 4 * (p - pitch), s = 4 * (p + pitch);
      const v = 4 * (p - 1), e = 4 * (p + 1);
      const N = most(south[p - pitch]), S = most(south[p]), W = most(east[p - 1]), E = most(east[p]);
      const nw = most(southEast[p - pitch - 1]), se = most(southEast[p]);
      const ne = most(southWest[p - pitch + 1]), sw = most(southWest[p]);
      const sum = N + S + W + E + nw + se + ne + sw + most(ground[p]) || 1;
      parts[4 * p] = (nw + N * parts[n] + W * parts[v]) / sum;
      parts[4 * p + 1] = (ne + N * parts[n + 1] + E * parts[e]) / sum;
      parts[4 * p + 2] = (sw + S * parts[s] + W * parts[v + 2]) / sum;
      parts[4 * p + 3] = (se + S * parts[s + 1] + E * parts[e + 2]) / sum;
    }
  }
}

/** Cholesky factor of the coarsest circuit, at most 64 nodes. */
function factorize({ h, w, pitch, first, diagonal, east, south, southEast, southWest, factor: f }) {
  const n = h * w;
  f.fill(0);
  for (let i = 0; i < h; i++) {
    for (let j = 0; j < w; j++) {
      const p = first + i * pitch + j, k = i * w + j;
      f[k * n + k] = diagonal[p];
      if (j + 1 < w) f[(k + 1) * n + k] = -east[p];
      if (i + 1 < h) f[(k + w) * n + k] = -south[p];
      if (i + 1 < h && j + 1 < w) f[(k + w + 1) * n + k] = -southEast[p];
      if (i + 1 < h && j) f[(k + w - 1) * n + k] = -southWest[p];
    }
  }
  for (let a = 0; a < n; a++) {
    for (let b = 0; b <= a; b++) {
      let sum = f[a * n + b];
      for (let c = 0; c < b; c++) sum -= f[a * n + c] * f[b * n + c];
      f[a * n + b] = a === b ? Math.sqrt(sum) : sum / f[b * n + b];
    }
  }
}

/** out = M^-1 b: incomplete elimination forwards and back. */
function smoothen({ h, w, pitch, first, inverse, east, south, southEast, southWest, y, nine }, b, out) {
  for (let i = 0; i < h; i++) {
    const start = first + i * pitch, stop = start + w;
    for (let p = start; p < stop; p++) {
      let sum = b[p] + south[p - pitch] * y[p - pitch] + east[p - 1] * y[p - 1];
      if (nine) {
        sum += southEast[p - pitch - 1] * y[p - pitch - 1]
          + southWest[p - pitch + 1] * y[p - pitch + 1];
      }
      y[p] = sum * inverse[p];
    }
  }
  for (let i = h - 1; i >= 0; i--) {
    const start = first + i * pitch;
    for (let p = start + w - 1; p >= start; p--) {
      let sum = south[p] * out[p + pitch] + east[p] * out[p + 1];
      if (nine) sum += southEast[p] * out[p + pitch + 1] + southWest[p] * out[p + pitch - 1];
      out[p] = y[p] + sum * inverse[p];
    }
  }
}

/** t = b - A z. */
function remainder({ h, w, pitch, first, diagonal, east, south, southEast, southWest, b, z, t, nine }) {
  for (let i = 0; i < h; i++) {
    const start = first + i * pitch, stop = start + w;
    for (let p = start; p < stop; p++) {
      let sum = b[p] - diagonal[p] * z[p] + east[p] * z[p + 1] + east[p - 1] * z[p - 1]
        + south[p] * z[p + pitch] + south[p - pitch] * z[p - pitch];
      if (nine) {
        sum += southEast[p] * z[p + pitch + 1] + southEast[p - pitch - 1] * z[p - pitch - 1]
          + southWest[p] * z[p + pitch - 1] + southWest[p - pitch + 1] * z[p - pitch + 1];
      }
      t[p] = sum;
    }
  }
}

/** z = V b: smooth, let the coarse circuit correct, smooth what is left. */
function cycle(level) {
  const { h, w, pitch, first, b, z, t, below } = level;
  if (!below) return direct(level);
  smoothen(level, b, z);
  remainder(level);
  const { parts } = level, { b: B, z: Z, pitch: P } = below;
  B.fill(0);
  for (let i = 0; i < h; i++) {
    for (let j = 0, p = first + i * pitch, c = below.first + (i >> 1) * P; j < w; j++, p++) {
      B[c] += parts[4 * p] * t[p];
      B[c + 1] += parts[4 * p + 1] * t[p];
      B[c + P] += parts[4 * p + 2] * t[p];
      B[c + P + 1] += parts[4 * p + 3] * t[p];
      c += j & 1;
    }
  }
  cycle(below);
  for (let i = 0; i < h; i++) {
    for (let j = 0, p = first + i * pitch, c = below.first + (i >> 1) * P; j < w; j++, p++) {
      z[p] += parts[4 * p] * Z[c] + parts[4 * p + 1] * Z[c + 1] + parts[4 * p + 2] * Z[c + P]
        + parts[4 * p + 3] * Z[c + P + 1];
      c += j & 1;
    }
  }
  remainder(level);
  smoothen(level, t, t);
  for (let i = 0; i < h; i++) {
    for (let p = first + i * pitch, stop = p + w; p < stop; p++) z[p] += t[p];
  }
}

function direct({ h, w, pitch, first, b, z, factor: f }) {
  const n = h * w, at = (k) => first + Math.floor(k / w) * pitch + (k % w);
  for (let a = 0; a < n; a++) {
    let sum = b[at(a)];
    for (let c = 0; c < a; c++) sum -= f[a * n + c] * z[at(c)];
    z[at(a)] = sum / f[a * n + a];
  }
  for (let a = n - 1; a >= 0; a--) {
    let sum = z[at(a)];
    for (let c = a + 1; c < n; c++) sum -= f[c * n + a] * z[at(c)];
    z[at(a)] = sum / f[a * n + a];
  }
}

/** Conjugate gradients preconditioned by a V-cycle, from the last frame's x. */
function settle(circuit, right, down, ground, rhs, most = 200) {
  const { h, w, n, x } = circuit;
  const top = circuit.top ??= makeLevel(h, w), { pitch, first } = top;
  const size = top.b.length;
  const s = circuit.solver ??= {
    x: new Float64Array(size), d: new Float64Array(size), q: new Float64Array(size),
  };
  const { x: v, d, q } = s, { b: r, z, east, south, diagonal } = top;
  for (let i = 0; i < h; i++) {
    for (let j = 0, k = first + i * pitch, p = w + i * w; j < w; j++, k++, p++) {
      top.ground[k] = ground[p];
      east[k] = right[p];
      south[k] = down[p];
      v[k] = x[p];
    }
  }
  build(top);
  const multiply = (u, out) => {
    let product = 0;
    for (let i = 0; i < h; i++) {
      for (let p = first + i * pitch, stop = p + w; p < stop; p++) {
        out[p] = diagonal[p] * u[p] - east[p] * u[p + 1] - east[p - 1] * u[p - 1]
          - south[p] * u[p + pitch] - south[p - pitch] * u[p - pitch];
        product += u[p] * out[p];
      }
    }
    return product;
  };
  multiply(v, q);
  for (let i = 0; i < h; i++) {
    for (let j = 0, k = first + i * pitch, p = w + i * w; j < w; j++, k++, p++) r[k] = rhs[p] - q[k];
  }
  const precondition = () => {
    cycle(top);
    let product = 0;
    for (let p = 0; p < size; p++) product += r[p] * z[p];
    return product;
  };
  // V is close to A^-1, so <r, V r> is close to the power <e, A e> of the error e. A wrong volt at any
  // pixel costs at least the conductance of a path from there to a seed, LEAST / (h + w) at the very
  // worst; that bound is met with 1e-3 volt, and the error seen is a thousandth of the bound.
  const target = 1e-3 ** 2 * LEAST / (h + w);
  let rz = precondition(), steps = 0;
  d.set(z);
  while (rz > target && steps < most) {
    const alpha = rz / multiply(d, q);
    for (let p = 0; p < size; p++) {
      v[p] += alpha * d[p];
      r[p] -= alpha * q[p];
    }
    const before = rz;
    rz = precondition();
    const beta = rz / before;
    for (let p = 0; p < size; p++) d[p] = z[p] + beta * d[p];
    steps++;
  }
  circuit.steps = steps;
  circuit.settled = rz <= target;
  for (let i = 0; i < h; i++) x.set(v.subarray(first + i * pitch, first + i * pitch + w), w + i * w);
}

/** The random walker's system: seeds held at +1 and -1 volt, their wires moved to the right. */
function heldSystem(circuit, seeds) {
  const { h, w, n, right, down } = circuit;
  const k = circuit.held ??= {
    right: padded(h, w), down: padded(h, w), ground: padded(h, w), rhs: padded(h, w),
  };
  k.ground.fill(0);
  k.rhs.fill(0);
  const sign = (p) => (seeds[p] === FOREGROUND ? 1 : -1);
  const join = (out, weight, p, q) => {
    const a = seeds[p] !== FREE, b = seeds[q] !== FREE;
    out[p + w] = a || b ? 0 : weight;
    if (a !== b) {
      const [free, seed] = a ? [q, p] : [p, q];
      k.ground[free + w] += weight;
      k.rhs[free + w] += weight * sign(seed);
    }
  };
  for (let p = 0; p < n; p++) {
    if (right[p + w]) join(k.right, right[p + w], p, p + 1); else k.right[p + w] = 0;
    if (down[p + w]) join(k.down, down[p + w], p, p + w); else k.down[p + w] = 0;
    if (seeds[p] !== FREE) { k.ground[p + w] = 1; k.rhs[p + w] = sign(p); }
  }
  return k;
}

// ------------------------------------------------------------------- the minimum cut, by max-flow

const NONE = -1, TERMINAL = 4, ORPHAN = 5; // parents besides the directions 0 .. 3
const SOURCE = 1, SINK = 2;

/**
 * Boykov and Kolmogorov's algorithm on the grid; x becomes +1 or -1. The flow of the last frame stays:
 * scores may change at will, and where a conductance falls below its flow the surplus is given back
 * to the pixel that it came from and taken from the one it went to (Kohli and Torr 2007).
 */
function cut(circuit) {
  const { h, w, n, right, down, scores, x } = circuit, size = n + 2 * w, end = n + w;
  const step = [1, -1, w, -w];
  const f = circuit.flow ??= {
    left: new Float64Array(4 * size), terminal: padded(h, w), tree: new Uint8Array(size),
    parent: new Int8Array(size), stamp: new Int32Array(size), far: new Int32Array(size),
    queue: new Int32Array(size), waiting: new Uint8Array(size), orphans: new Int32Array(2 * size),
    right: padded(h, w), down: padded(h, w), scores: padded(h, w),
  };
  const { left, terminal, tree, parent, stamp, far, queue, waiting, orphans } = f;
  const change = (p, d, by) => {
    const q = p + step[d], there = 4 * p + d, back = 4 * q + (d ^ 1);
    left[there] += by;
    left[back] += by;
    const surplus = Math.min(left[there], left[back]);
    if (surplus < 0) {
      const sign = left[there] < 0 ? 1 : -1;
      left[there] = left[there] < 0 ? 0 : left[there] + surplus;
      left[back] = left[back] < 0 ? 0 : left[back] + surplus;
      terminal[p] -= sign * surplus;
      terminal[q] += sign * surplus;
    }
  };
  for (let p = w; p < end; p++) {
    terminal[p] += scores[p] - f.scores[p];
    if (right[p] !== f.right[p]) change(p, 0, right[p] - f.right[p]);
    if (down[p] !== f.down[p]) change(p, 2, down[p] - f.down[p]);
  }
  f.scores.set(scores);
  f.right.set(right);
  f.down.set(down);
  tree.fill(0); parent.fill(NONE); stamp.fill(0); far.fill(0); waiting.fill(0);
  let first = 0, last = 0, count = 0, time = 0;
  const wake = (p) => {
    if (waiting[p]) return;
    waiting[p] = 1;
    queue[last] = p;
    last = last + 1 === size ? 0 : last + 1;
    count++;
  };
  for (let p = w; p < end; p++) {
    if (terminal[p]) {
      tree[p] = terminal[p] > 0 ? SOURCE : SINK;
      parent[p] = TERMINAL;
      far[p] = 1;
      wake(p);
    }
  }
  let bottom = 0, top = 0; // the orphans between them, in a ring
  const ring = orphans.length;
  const orphan = (p) => {
    parent[p] = ORPHAN;
    orphans[top] = p;
    top = top + 1 === ring ? 0 : top + 1;
  };
  // what an arc of the tree can still carry: towards p in the source's tree, away in the sink's
  const room = (p, d, kind) => (kind === SOURCE ? left[4 * (p + step[d]) + (d ^ 1)] : left[4 * p + d]);

  const augment = (p, d) => {
    const q = p + step[d];
    let most = left[4 * p + d], k = p;
    for (; parent[k] !== TERMINAL; k += step[parent[k]]) most = Math.min(most, room(k, parent[k], SOURCE));
    most = Math.min(most, terminal[k]);
    for (k = q; parent[k] !== TERMINAL; k += step[parent[k]]) most = Math.min(most, room(k, parent[k], SINK));
    most = Math.min(most, -terminal[k]);
    left[4 * p + d] -= most;
    left[4 * q + (d ^ 1)] += most;
    for (const [start, kind] of [[p, SOURCE], [q, SINK]]) {
      let here = start;
      while (parent[here] !== TERMINAL) {
        const up = parent[here], above = here + step[up];
        const away = 4 * here + up, back = 4 * above + (up ^ 1);
        const [used, freed] = kind === SOURCE ? [back, away] : [away, back];
        left[used] -= most;
        left[freed] += most;
        if (left[used] <= 0) orphan(here);
        here = above;
      }
      terminal[here] += kind === SOURCE ? -most : most;
      if (terminal[here] === 0) orphan(here);
    }
  };

  const adopt = () => {
    while (bottom !== top) {
      const p = orphans[bottom], kind = tree[p];
      bottom = bottom + 1 === ring ? 0 : bottom + 1;
      let best = NONE, nearest = Infinity;
      for (let d = 0; d < 4; d++) {
        const q = p + step[d];
        if (!(room(p, d, kind) > 0) || tree[q] !== kind) continue;
        let k = q, length = 0;
        for (;;) { // does the tree lead from q to its terminal?
          if (stamp[k] === time) { length += far[k]; break; }
          length++;
          if (parent[k] === TERMINAL) { stamp[k] = time; far[k] = 1; break; }
          if (parent[k] === ORPHAN) { length = Infinity; break; }
          k += step[parent[k]];
        }
        if (length === Infinity) continue;
        if (length < nearest) { best = d; nearest = length; }
        for (k = q; stamp[k] !== time; k += step[parent[k]]) { stamp[k] = time; far[k] = length--; }
      }
      if (best !== NONE) {
        parent[p] = best;
        stamp[p] = time;
        far[p] = nearest + 1;
        continue;
      }
      for (let d = 0; d < 4; d++) {
        const q = p + step[d];
        if (tree[q] !== kind) continue;
        if (room(p, d, kind) > 0) wake(q);
        if (parent[q] === (d ^ 1)) orphan(q);
      }
      parent[p] = NONE;
      tree[p] = 0;
    }
  };

  let current = NONE;
  for (;;) {
    if (current === NONE || tree[current] === 0) {
      current = NONE;
      while (count && current === NONE) {
        const p = queue[first];
        first = first + 1 === size ? 0 : first + 1;
        count--;
        waiting[p] = 0;
        if (tree[p]) current = p;
      }
      if (current === NONE) break;
    }
    const p = current, kind = tree[p];
    let meeting = NONE;
    for (let d = 0; d < 4; d++) {
      const q = p + step[d];
      const open = kind === SOURCE ? left[4 * p + d] : left[4 * q + (d ^ 1)];
      if (!(open > 0)) continue;
      if (tree[q] === 0) {
        tree[q] = kind;
        parent[q] = d ^ 1;
        stamp[q] = stamp[p];
        far[q] = far[p] + 1;
        wake(q);
      } else if (tree[q] !== kind) {
        meeting = d;
        break;
      } else if (stamp[q] <= stamp[p] && far[q] > far[p] && parent[q] < TERMINAL) {
        parent[q] = d ^ 1; // a shorter way to the terminal
        stamp[q] = stamp[p];
        far[q] = far[p] + 1;
      }
    }
    time++;
    if (meeting === NONE) { current = NONE; continue; }
    if (kind === SOURCE) augment(p, meeting); else augment(p + step[meeting], meeting ^ 1);
    adopt();
  }
  // of several minimum cuts the one with the fewest foreground pixels: what the source still reaches
  for (let p = w; p < end; p++) x[p] = tree[p] === SOURCE ? 1 : -1;
  circuit.settled = true;
}

/** What a labeling costs: scores that it speaks against, and conductances that it cuts (chapter 1). */
export function cutEnergy({ w, n, right, down, scores }, x) {
  let energy = 0;
  for (let p = 0, q = w; p < n; p++, q++) {
    const here = x[p] > 0;
    if (here !== scores[q] > 0) energy += Math.abs(scores[q]);
    if (right[q] && here !== x[p + 1] > 0) energy += right[q];
    if (down[q] && here !== x[p + w] > 0) energy += down[q];
  }
  return energy;
}

/** How far the page's answer is from another one: volts, or for a cut, where ties may be broken
 * differently, the relative difference in cost. */
export function distance(circuit, x, method) {
  if (method === "min-cut") {
    const cost = cutEnergy(circuit, x);
    return Math.abs(cutEnergy(circuit, plain(circuit)) - cost) / (cost || 1);
  }
  return x.reduce((most, v, p) => Math.max(most, Math.abs(v - circuit.x[p + circuit.w])), 0);
}

/** Solve a circuit for its seeds and options; the answer is in circuit.x. */
export function answer(circuit, seeds, options) {
  setWeights(circuit, options.sigma);
  const walker = options.method === "random-walker";
  setVotes(circuit, seeds, options.colors && !walker);
  setScores(circuit, seeds, options);
  if (options.method === "min-cut") return cut(circuit);
  if (!walker) return settle(circuit, circuit.right, circuit.down, circuit.ground, circuit.scores);
  const held = heldSystem(circuit, seeds);
  settle(circuit, held.right, held.down, held.ground, held.rhs);
}

/** The answer as a plain field of h x w numbers. */
export const plain = (circuit) => circuit.x.slice(circuit.w, circuit.w + circuit.n);

// ------------------------------------------------------------------------------- colors and drawing

// red in the foreground, blue in the background, as in all figures of the book
const SIGNED = [[5, 48, 97], [33, 102, 172], [67, 147, 195], [146, 197, 222], [209, 229, 240],
  [247, 247, 247], [253, 219, 199], [244, 165, 130], [214, 96, 77], [178, 24, 43], [103, 0, 31]];
const CONDUCTING = [[0, 34, 78], [18, 53, 112], [59, 73, 108], [87, 93, 109], [112, 113, 115],
  [138, 134, 120], [165, 156, 116], [195, 179, 105], [225, 204, 85], [254, 232, 56]];

/** 256 colors of a scale, as words of an image. */
function scale(stops) {
  const table = new Uint32Array(256);
  for (let k = 0; k < 256; k++) {
    const at = k / 255 * (stops.length - 1), low = Math.min(Math.floor(at), stops.length - 2);
    const [r, g, b] = stops[low].map((v, c) => Math.round(v + (at - low) * (stops[low + 1][c] - v)));
    table[k] = (255 << 24) | (b << 16) | (g << 8) | r;
  }
  return table;
}

const RED_BLUE = scale(SIGNED), CIVIDIS = scale(CONDUCTING);
const css = (table, value) => {
  const v = table[Math.max(0, Math.min(255, Math.round(value)))];
  return `rgb(${v & 255},${(v >> 8) & 255},${(v >> 16) & 255})`;
};
const voltColor = (x) => css(RED_BLUE, 127.5 + 127.5 * x);

/** A small picture of one field. */
function makeMap(canvas, h, w) {
  canvas.width = w;
  canvas.height = h;
  const context = canvas.getContext("2d"), image = context.createImageData(w, h);
  const words = new Uint32Array(image.data.buffer);
  return { canvas, words, show: () => context.putImageData(image, 0, 0) };
}

/** The line between foreground and background: where x, linear along the edges, is zero. */
function outline({ h, w, x }, sx, sy) {
  const path = new Path2D();
  for (let i = 0; i + 1 < h; i++) {
    for (let j = 0; j + 1 < w; j++) {
      const p = w + i * w + j, a = x[p], b = x[p + 1], c = x[p + w + 1], d = x[p + w];
      const cell = (a > 0) | ((b > 0) << 1) | ((c > 0) << 2) | ((d > 0) << 3);
      if (cell === 0 || cell === 15) continue;
      const points = [];
      if ((a > 0) !== (b > 0)) points.push(j + a / (a - b), i);
      if ((b > 0) !== (c > 0)) points.push(j + 1, i + b / (b - c));
      if ((c > 0) !== (d > 0)) points.push(j + d / (d - c), i + 1);
      if ((d > 0) !== (a > 0)) points.push(j, i + a / (a - d));
      for (let k = 0; k < points.length; k += 4) {
        path.moveTo((points[k] + 0.5) * sx, (points[k + 1] + 0.5) * sy);
        path.lineTo((points[k + 2] + 0.5) * sx, (points[k + 3] + 0.5) * sy);
      }
    }
  }
  return path;
}

/** Resistors, sources and voltages around one pixel, as the lines of an SVG drawing. */
function circuitDrawing(circuit, seeds, p, options) {
  const { h, w, x, right, down, votes, flow } = circuit;
  const i = Math.floor(p / w), j = p % w, here = x[p + w], hard = options.method === "min-cut";
  const walker = options.method === "random-walker", seed = seeds[p] !== FREE;
  const sign = seeds[p] === FOREGROUND ? 1 : -1;
  const number = (v) => (Math.abs(v) < 5e-7 ? "0" : Math.abs(v) >= 0.01 ? v.toFixed(3) : v.toExponential(1)).replace(/-/g, "−");
  const out = [], text = (a, b, words, kind = "", anchor = "middle") => out.push(
    `<text x="${a}" y="${b}" class="${kind}" text-anchor="${anchor}">${words}</text>`);
  const node = (a, b, v, radius) => {
    out.push(`<circle cx="${a}" cy="${b}" r="${radius}" fill="${voltColor(v)}" class="node"/>`);
    text(a, b + 4, hard ? (v > 0 ? "F" : "B") : v.toFixed(2), Math.abs(v) > 0.55 ? "inside" : "dark");
  };
  const resistor = (x0, y0, x1, y1, weight) => { // a zigzag between two points
    const dx = x1 - x0, dy = y1 - y0, length = Math.hypot(dx, dy), ux = dx / length, uy = dy / length;
    const points = [[x0, y0], [x0 + dx * 0.2, y0 + dy * 0.2]];
    for (let k = 0; k < 6; k++) {
      const at = 0.2 + 0.6 * (k + 0.5) / 6, side = k % 2 ? 5 : -5;
      points.push([x0 + dx * at - uy * side, y0 + dy * at + ux * side]);
    }
    points.push([x0 + dx * 0.8, y0 + dy * 0.8], [x1, y1]);
    out.push(`<polyline points="${points.map(([a, b]) => `${a.toFixed(1)},${b.toFixed(1)}`).join(" ")}" `
      + `class="wire" stroke-width="${(1 + 3 * Math.min(weight, 1)).toFixed(2)}"/>`);
  };
  let sum = 0;
  const rows = [];
  const current = (name, weight, value) => { sum += value; rows.push([name, weight, value]); };
  const cx = 150, cy = 118, reach = 92;
  const around = [["right", 1, 0, j + 1 < w, p + 1, right[p + w], 0],
    ["left", -1, 0, j > 0, p - 1, j > 0 ? right[p + w - 1] : 0, 1],
    ["down", 0, 1, i + 1 < h, p + w, down[p + w], 2],
    ["up", 0, -1, i > 0, p - w, i > 0 ? down[p] : 0, 3]];
  for (const [name, dx, dy, there, q, weight, direction] of around) {
    if (!there) continue;
    const value = hard ? weight - flow.left[4 * (p + w) + direction] : weight * (here - x[q + w]);
    const qx = cx + reach * dx * 1.25, qy = cy + reach * dy;
    resistor(cx + 24 * dx, cy + 24 * dy, qx - 20 * dx, qy - 20 * dy, weight);
    node(qx, qy, x[q + w], 19);
    const mx = cx + (dx ? 58 * dx : 0), my = cy + 47 * dy;
    const arrow = value > 0 ? (dx > 0 ? "→" : dx < 0 ? "←" : dy > 0 ? "↓" : "↑")
      : (dx > 0 ? "←" : dx < 0 ? "→" : dy > 0 ? "↑" : "↓");
    if (dx) {
      text(mx, cy - 13, `w ${number(weight)}`, "small");
      text(mx, cy + 21, `${arrow} ${number(Math.abs(value))}`, "current");
    } else {
      text(cx + 12, my - 1, `w ${number(weight)}`, "small", "start");
      text(cx + 12, my + 13, `${arrow} ${number(Math.abs(value))}`, "current", "start");
    }
    current(name, weight, value);
  }
  node(cx, cy, here, 24);
  if (hard) {
    const drained = circuit.scores[p + w] - flow.terminal[p + w];
    current("terminal", circuit.scores[p + w], -drained);
  } else if (!(walker && seed)) {
    if (!walker) current("ground", options.ground, options.ground * (here - votes[p + w]));
    if (seed && !walker) current("seed", options.strength, options.strength * (here - sign));
  }
  return { svg: out.join(""), rows, sum: walker && seed ? null : sum, i, j, number, votes: votes[p + w],
    seed: seed ? sign : 0 };
}

// ----------------------------------------------------------------------------------------- the page

const PIXELS = 160 * 120, SHORTEST = 8; // of a picture's grid
const LARGEST = 50e6, HEAVIEST = 60e6; // pixels and bytes of a file that is still opened
const METHODS = {
  "soft-cut": ["Soft cut", "voltages", "The voltages settle where all currents balance; above zero is foreground."],
  "min-cut": ["Min cut", "labels", "The cheapest cut between the same scores: labels, no voltages. Arrows show the maximum flow."],
  "random-walker": ["Random walker", "voltages", "Strokes are held at ±1 V and nothing leads to ground: which stroke does a walk meet first?"],
};
const SLIDERS = {
  sigma: ["Edge contrast σ", 0.03, 0.5, "color difference at which a resistor has lost 39 % of its conductance"],
  ground: ["Ground conductance g", 1e-4, 1, "how firmly a pixel holds on to the vote of its own color"],
  strength: ["Seeds’ strength s", 1e-2, 1e2, "conductance of the wire from a scribbled pixel to its battery"],
};
const START = { method: "soft-cut", sigma: 0.08, ground: 1e-3, strength: 10, colors: true };

const STYLE = `
:host { display: block; container-type: inline-size; --line: #c9ced6; --soft: #f3f5f8; --ink: #1d232b;
  --dim: #59636f; --accent: #0b62a8; --on: #fff; --warn: #8a3b00; --warnsoft: #fff1e3;
  color: var(--ink); font: 15px/1.45 system-ui, sans-serif; }
:host([data-mode="dark"]) { --line: #454d58; --soft: #242a32; --ink: #e8ebef; --dim: #a7b0bb;
  --accent: #6db9f2; --on: #10161d; --warn: #ffc48a; --warnsoft: #3a2a1a; }
* { box-sizing: border-box; }
.picture { max-width: 14em; text-overflow: ellipsis; }
.bar { display: flex; flex-wrap: wrap; gap: 8px 10px; align-items: center; margin: 0 0 10px; }
fieldset { border: 0; margin: 0; padding: 0; display: inline-flex; border-radius: 8px; min-width: 0; }
fieldset.joined { border: 1px solid var(--line); overflow: hidden; }
legend, .spoken { position: absolute; margin: 0; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.joined label { position: relative; padding: 7px 10px; cursor: pointer; border-left: 1px solid var(--line);
  display: flex; align-items: center; gap: 7px; white-space: nowrap; }
.joined label:first-of-type { border-left: 0; }
.joined input { position: absolute; opacity: 0; inset: 0; margin: 0; cursor: pointer; }
.joined label:has(:checked) { background: var(--accent); color: var(--on); }
.joined label:has(:focus-visible), button:focus-visible, .file:has(:focus-visible), canvas:focus-visible,
select:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.dot { width: 12px; height: 12px; border-radius: 50%; border: 1.5px solid #fff; box-shadow: 0 0 0 1px #0005; }
button, .file, select { font: inherit; color: inherit; background: var(--soft); border: 1px solid var(--line);
  border-radius: 8px; padding: 7px 10px; cursor: pointer; }
button:disabled { opacity: 0.45; cursor: default; }
.file { position: relative; overflow: hidden; }
.file input { position: absolute; inset: 0; opacity: 0; cursor: pointer; font-size: 0; }
select option { background: var(--soft); color: var(--ink); }
.message { background: var(--warnsoft); color: var(--warn); border-radius: 8px; padding: 8px 12px; margin: 0 0 10px; }
.message:empty { display: none; }
.main { display: grid; grid-template-columns: minmax(0, 1fr); gap: 14px; }
.stage canvas { width: 100%; display: block; border-radius: 8px; touch-action: none; cursor: crosshair; }
.maps { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 10px; margin: 12px 0; }
.maps figure { margin: 0; } .maps canvas { width: 100%; display: block; border-radius: 6px; }
figcaption { font-size: 13px; color: var(--dim); margin-top: 3px; }
figcaption b { color: var(--ink); font-weight: 600; display: block; }
.sliders { display: grid; gap: 4px 22px; grid-template-columns: minmax(0, 1fr); }
.slider { display: grid; grid-template-columns: 1fr auto; align-items: baseline; font-size: 14px; align-content: start; }
.slider input { grid-column: 1 / 3; width: 100%; accent-color: var(--accent); height: 26px; margin: 0; }
.slider small { grid-column: 1 / 3; color: var(--dim); font-size: 12.5px; line-height: 1.3; }
.slider output { font-variant-numeric: tabular-nums; }
.slider.off { opacity: 0.45; }
.check { display: flex; gap: 8px; align-items: center; cursor: pointer; }
.check input { width: 17px; height: 17px; accent-color: var(--accent); }
.says { color: var(--dim); font-size: 14px; margin: 0 0 10px; }
.status { color: var(--dim); font-size: 13px; font-variant-numeric: tabular-nums; margin: 8px 0 0; }
.circuit { background: var(--soft); border-radius: 8px; padding: 8px; }
.circuit h4 { margin: 2px 4px 0; font-size: 14px; font-weight: 600; }
svg { width: 100%; max-width: 330px; display: block; margin: 0 auto; }
svg text { font: 12px system-ui, sans-serif; fill: var(--ink); font-variant-numeric: tabular-nums; }
svg .small { fill: var(--dim); font-size: 11px; } svg .inside { fill: #fff; } svg .dark { fill: #1d232b; }
svg .current { fill: #0b7a4b; font-weight: 600; } :host([data-mode="dark"]) svg .current { fill: #63d6a0; }
svg .wire { fill: none; stroke: var(--dim); stroke-linejoin: round; } svg .node { stroke: var(--dim); }
table { width: 100%; border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
td, th { padding: 1px 4px; text-align: right; font-weight: 400; white-space: nowrap; }
td:first-child, th:first-child { text-align: left; white-space: normal; }
tr.sum td { border-top: 1px solid var(--line); font-weight: 600; } th { color: var(--dim); }
.hint { color: var(--dim); font-size: 13px; margin: 6px 0 0; }
kbd { font: inherit; border: 1px solid var(--line); border-radius: 4px; padding: 0 4px; background: var(--soft); }
@container (min-width: 620px) {
  .main { grid-template-columns: minmax(0, 1.6fr) minmax(250px, 1fr); }
  .maps { grid-template-columns: repeat(4, minmax(0, 1fr)); }
  .sliders { grid-template-columns: repeat(3, minmax(0, 1fr)); }
}`;

const BODY = `
<div class="bar">
  <label>Picture <select class="picture"></select></label>
  <span class="file">Your own … <input type="file" accept="image/*" aria-label="Open a picture of your own"></span>
  <fieldset class="joined methods"><legend>Method</legend></fieldset>
</div>
<p class="says"></p>
<div class="message" role="alert"></div>
<div class="main">
  <div class="stage">
    <div class="bar">
      <fieldset class="joined pens"><legend>Pen</legend></fieldset>
      <button class="undo" type="button" aria-label="Undo" title="Undo">↶</button><button class="clear" type="button">Clear</button>
    </div>
    <canvas class="scribble" tabindex="0" role="application"></canvas>
    <p class="hint">Draw with mouse or finger. Keys: arrows move (<kbd>Shift</kbd> faster), hold <kbd>Space</kbd>
      to draw, <kbd>F</kbd> <kbd>B</kbd> <kbd>E</kbd> choose the pen, <kbd>Ctrl</kbd> <kbd>Z</kbd> undoes.</p>
  </div>
  <div class="circuit"><h4></h4><svg viewBox="0 0 300 236" role="img"></svg><table></table></div>
</div>
<div class="maps"></div>
<div class="sliders"></div>
<p class="status"></p><p class="spoken" role="status"></p>`;

const PENS = [["Foreground", FOREGROUND, "#d6453a"], ["Background", BACKGROUND, "#2b7fd0"], ["Eraser", FREE, "#8b95a1"]];

/**
 * Put a playground into an element of a page.
 *
 * @param {HTMLElement} host is emptied first.
 * @param {{pictures: {name, url, strokes}[], send?: function}} options: send(request, buffers), where a
 *   notebook's kernel answers; it returns a promise of {x} or {error}.
 * @returns the playground: {state, seeds, circuit, openFile, change, remove}.
 */
export function mount(host, { pictures, send = null }) {
  const root = host.shadowRoot ?? host.attachShadow({ mode: "open" });
  root.innerHTML = `<style>${STYLE}</style>${BODY}`;
  const $ = (name) => root.querySelector(name);
  const make = (tag, properties = {}, parent = null) => {
    const element = Object.assign(document.createElement(tag), properties);
    parent?.append(element);
    return element;
  };
  const state = { ...START, pen: FOREGROUND, at: null };
  const play = { state, circuit: null, seeds: null, work: [], gap: null }; // gap: to the library's answer
  let photo = null, maps = null, undo = [], dirty = 0, waiting = null, version = 0, milliseconds = 0, lost = "";

  // ---- controls
  const identity = Math.random().toString(36).slice(2);
  const joined = (place, name, entries, chosen, change) => entries.map(([label, value, color]) => {
    const line = make("label", {}, $(place));
    const input = make("input", { type: "radio", name: `${name}${identity}`, checked: value === chosen }, line);
    if (color) make("span", { className: "dot", style: `background:${color}` }, line);
    line.append(label);
    input.addEventListener("change", () => change(value));
    return [value, input];
  });
  const pens = new Map(joined(".pens", "pen", PENS, state.pen, (value) => { state.pen = value; }));
  joined(".methods", "method", Object.entries(METHODS).map(([key, [label]]) => [label, key]), state.method,
    (value) => { state.method = value; describe(); change(); });
  const sliders = {};
  for (const [name, [label, low, high, about]] of Object.entries(SLIDERS)) {
    const line = make("label", { className: "slider" }, $(".sliders"));
    make("span", { textContent: label }, line);
    const output = make("output", {}, line);
    const input = make("input", { type: "range", min: 0, max: 200, step: 1 }, line);
    make("small", { textContent: about }, line);
    const toValue = () => low * (high / low) ** (input.value / 200);
    const show = () => {
      output.textContent = Number(state[name].toPrecision(2)).toFixed(Math.max(0, 1 - Math.floor(Math.log10(state[name]))));
      input.setAttribute("aria-valuetext", output.textContent);
    };
    input.value = Math.round(200 * Math.log(state[name] / low) / Math.log(high / low));
    input.addEventListener("input", () => { state[name] = toValue(); show(); change(); });
    input.dataset.name = name;
    show();
    sliders[name] = [line, input];
  }
  const votes = make("label", { className: "check" }, $(".sliders"));
  const colors = make("input", { type: "checkbox", checked: state.colors }, votes);
  votes.append("Colors vote");
  colors.addEventListener("change", () => { state.colors = colors.checked; change(); });
  for (const key of ["scores", "conductances", "voltages", "mask"]) {
    const figure = make("figure", {}, $(".maps"));
    make("canvas", { className: key }, figure).setAttribute("role", "img");
    make("figcaption", {}, figure);
  }
  const select = $(".picture");
  const listed = []; // the bundled pictures, then those of the reader
  const list = (picture) => make("option", { value: listed.push(picture) - 1, textContent: picture.name }, select);
  pictures.forEach(list);
  select.addEventListener("change", () => load(listed[select.value]));
  $(".file input").addEventListener("change", (event) => {
    const [file] = event.target.files;
    if (file) openFile(file);
    event.target.value = "";
  });
  $(".undo").addEventListener("click", () => back());
  $(".clear").addEventListener("click", () => { remember(); play.seeds.fill(FREE); change(); });

  function describe() {
    const [, result, about] = METHODS[state.method], walker = state.method === "random-walker";
    $(".says").textContent = about;
    for (const name of ["ground", "strength"]) {
      sliders[name][0].classList.toggle("off", walker);
      sliders[name][1].disabled = walker;
    }
    colors.disabled = walker;
    votes.classList.toggle("off", walker);
    const captions = {
      scores: ["scores p", walker ? "only the strokes count" : "full color at ±g"],
      conductances: ["conductances w", "dark: an edge"],
      voltages: [`${result} x`, "blue −1, red +1"],
      mask: ["mask", state.method === "min-cut" ? "source’s side" : "x > 0"],
    };
    for (const [key, [title, more]] of Object.entries(captions)) {
      const caption = $(`canvas.${key}`).nextElementSibling;
      caption.replaceChildren(make("b", { textContent: title }), more);
      $(`canvas.${key}`).setAttribute("aria-label", `Map of the ${title}: ${more}.`);
    }
  }

  // ---- pictures
  const say = (text) => { $(".message").textContent = text; };
  function setPicture(image, width, height, name, strokes = []) {
    const shrink = Math.min(1, Math.sqrt(PIXELS / (width * height)));
    const w = Math.round(width * shrink), h = Math.round(height * shrink);
    if (Math.min(w, h) < SHORTEST) {
      say(`“${name}” has ${width} × ${height} pixels: too narrow. Every side must keep at least `
        + `${SHORTEST} of the ${PIXELS} pixels that the playground works on. Choose another picture.`);
      return false;
    }
    const draw = (a, b) => {
      const canvas = make("canvas", { width: a, height: b });
      const context = canvas.getContext("2d", { willReadFrequently: true });
      context.imageSmoothingQuality = "high";
      context.fillStyle = "#fff"; // behind what is transparent
      context.fillRect(0, 0, a, b);
      context.drawImage(image, 0, 0, a, b);
      return [canvas, context];
    };
    const bytes = draw(w, h)[1].getImageData(0, 0, w, h).data, rgb = new Uint8Array(3 * w * h);
    for (let p = 0; p < w * h; p++) for (let c = 0; c < 3; c++) rgb[3 * p + c] = bytes[4 * p + c];
    play.circuit = makeCircuit(rgb, h, w);
    play.seeds = new Uint8Array(w * h).fill(FREE);
    [photo] = draw(3 * w, 3 * h);
    undo = [];
    state.at = Math.floor(h * 0.45) * w + Math.floor(w * 0.69);
    maps = {};
    for (const key of ["scores", "conductances", "voltages", "mask"]) maps[key] = makeMap($(`canvas.${key}`), h, w);
    maps.strokes = makeMap(make("canvas"), h, w);
    maps.shade = makeMap(make("canvas"), h, w);
    const stage = $(".scribble");
    stage.width = 3 * w;
    stage.height = 3 * h;
    stage.setAttribute("aria-label", `Picture “${name}”, ${w} by ${h} pixels, to scribble on. `
      + "Arrow keys move the point, space draws.");
    for (const [label, points] of strokes) {
      for (let k = 0; k + 1 < points.length || k === 0; k++) {
        const [a, b] = [points[k], points[Math.min(k + 1, points.length - 1)]];
        stroke(a[0] * w, a[1] * h, b[0] * w, b[1] * h, label);
      }
    }
    say("");
    change();
    return true;
  }
  let loading = null; // the picture that was asked for last
  function load(picture) {
    const { url, name, strokes } = picture, image = new Image();
    loading = picture;
    image.onload = () => {
      const { naturalWidth: width, naturalHeight: height } = image;
      if (picture !== loading) return;
      if (width * height > LARGEST) {
        return say(`“${name}” has ${width} × ${height} pixels, more than the ${LARGEST / 1e6} million that are `
          + "opened here. Shrink it first.");
      }
      if (!setPicture(image, width, height, name, strokes)) return;
      if (!listed.includes(picture)) list(picture);
      select.value = listed.indexOf(picture);
    };
    image.onerror = () => say(`“${name}” could not be read as a picture: it is damaged, far too large, or of a `
      + "kind that this browser does not know. PNG and JPEG of usual sizes always work.");
    image.src = url;
  }
  function openFile(file) {
    if (file.size > HEAVIEST) {
      return say(`“${file.name}” weighs ${Math.round(file.size / 1e6)} MB, more than the ${HEAVIEST / 1e6} MB `
        + "that are opened here. Shrink it first.");
    }
    const reader = new FileReader(); // a data URL: nothing leaves the page
    reader.onerror = () => say(`“${file.name}” could not be read from the disk.`);
    reader.onload = () => load({ url: reader.result, name: file.name, strokes: [] });
    reader.readAsDataURL(file.type ? file : new Blob([file], { type: "image/png" }));
  }

  // ---- scribbling
  function remember() {
    undo.push(play.seeds.slice());
    if (undo.length > 50) undo.shift();
  }
  function back() {
    if (undo.length) { play.seeds = undo.pop(); change(); }
  }
  function stroke(x0, y0, x1, y1, label = state.pen) {
    const { h, w } = play.circuit, radius = Math.max(1.4, Math.sqrt(h * w) / 70) * (label === FREE ? 2 : 1);
    const steps = Math.ceil(Math.hypot(x1 - x0, y1 - y0)) || 1;
    for (let k = 0; k <= steps; k++) {
      const x = x0 + (x1 - x0) * k / steps, y = y0 + (y1 - y0) * k / steps;
      for (let i = Math.max(0, Math.floor(y - radius)); i <= Math.min(h - 1, y + radius); i++) {
        for (let j = Math.max(0, Math.floor(x - radius)); j <= Math.min(w - 1, x + radius); j++) {
          if (Math.hypot(j + 0.5 - x, i + 0.5 - y) <= radius) play.seeds[i * w + j] = label;
        }
      }
    }
  }
  const stage = $(".scribble");
  let last = null;
  const place = (event) => {
    const box = stage.getBoundingClientRect(), { h, w } = play.circuit;
    return [(event.clientX - box.left) / box.width * w, (event.clientY - box.top) / box.height * h];
  };
  const lookAt = ([x, y]) => {
    const { h, w } = play.circuit;
    state.at = Math.max(0, Math.min(h - 1, Math.floor(y))) * w + Math.max(0, Math.min(w - 1, Math.floor(x)));
  };
  stage.addEventListener("pointerdown", (event) => {
    if (!play.circuit || event.button) return;
    event.preventDefault();
    stage.focus({ preventScroll: true });
    stage.setPointerCapture(event.pointerId);
    remember();
    last = place(event);
    stroke(...last, ...last);
    lookAt(last);
    change();
  });
  stage.addEventListener("pointermove", (event) => {
    if (!play.circuit) return;
    const here = place(event);
    lookAt(here);
    if (last) { stroke(...last, ...here); last = here; change(); } else redraw();
  });
  for (const name of ["pointerup", "pointercancel"]) stage.addEventListener(name, () => { last = null; });
  let down = false;
  stage.addEventListener("keydown", (event) => {
    if (!play.circuit) return;
    const { h, w } = play.circuit, far = event.shiftKey ? 5 : 1, key = event.key;
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
    const from = [state.at % w + 0.5, Math.floor(state.at / w) + 0.5];
    if (move) {
      const to = [Math.max(0.5, Math.min(w - 0.5, from[0] + far * move[0])),
        Math.max(0.5, Math.min(h - 0.5, from[1] + far * move[1]))];
      lookAt(to);
      if (down) { stroke(...from, ...to); change(); } else redraw();
      const volts = play.circuit.x[state.at + w].toFixed(2);
      $(".spoken").textContent = `Row ${Math.floor(state.at / w)}, column ${state.at % w}: ${volts}`;
    } else if (key === " " || key === "Enter") {
      if (!down) { remember(); stroke(...from, ...from); change(); }
      down = key === " ";
    } else if (key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey)) back();
    else if ("fbe".includes(key.toLowerCase()) && !event.ctrlKey && !event.metaKey && !event.altKey) {
      state.pen = { f: FOREGROUND, b: BACKGROUND, e: FREE }[key.toLowerCase()];
      pens.get(state.pen).checked = true;
    } else return;
    event.preventDefault();
  });
  for (const name of ["keyup", "blur"]) {
    stage.addEventListener(name, (event) => { if (name === "blur" || event.key === " ") down = false; });
  }

  // ---- frames: solve and draw once for all that happened since the last one
  function change() { version++; schedule(2); }
  function redraw() { schedule(1); }
  function schedule(level) {
    if (!dirty) requestAnimationFrame(frame);
    dirty = Math.max(dirty, level);
  }
  const missing = () => {
    const front = play.seeds.includes(FOREGROUND), rear = play.seeds.includes(BACKGROUND);
    if (front && rear) return "";
    if (front) return "Now mark some background: choose the blue pen and draw where the object is not.";
    if (rear) return "Now mark the object: choose the red pen and draw on it.";
    return "Nothing is marked yet: draw on the object with the red pen, then on the background with the blue one.";
  };
  function frame() {
    const level = dirty, start = performance.now();
    dirty = 0;
    if (!play.circuit) return;
    const lacking = missing();
    if (level === 2) {
      if (lacking) {
        setWeights(play.circuit, state.sigma);
        for (const name of ["scores", "votes", "x", "ground"]) play.circuit[name].fill(0);
      } else {
        answer(play.circuit, play.seeds, state);
        play.gap = null;
        if (send) ask();
      }
      const stuck = "The circuit has not settled in 200 steps: raise σ or g a little.";
      say(lacking || (play.circuit.settled ? "" : stuck));
    }
    draw(lacking);
    const took = performance.now() - start;
    if (level === 2) {
      play.work.push(took);
      milliseconds = took;
    }
    report(lacking);
  }
  function report(lacking) {
    const { circuit } = play;
    const parts = lacking ? ["waiting for strokes"] : [`${circuit.w} × ${circuit.h} nodes`,
      `solved and drawn in ${milliseconds.toFixed(0)} ms`];
    if (!lacking && state.method !== "min-cut") parts.push(`${circuit.steps} steps`);
    if (play.gap !== null) parts.push(`softcut_lib answers; this page differs by ${play.gap.toExponential(0)}`);
    if (lost) parts.push(lost);
    $(".undo").disabled = !undo.length;
    $(".status").textContent = parts.join(" · ");
  }
  async function ask() { // one question at a time; the newest state is asked about when it is answered
    if (waiting) return;
    const { circuit, seeds } = play, about = version;
    const { method, sigma, ground, strength, colors: voting } = state;
    const options = { method, sigma, ground, strength, colors: voting };
    waiting = send({ ...options, height: circuit.h, width: circuit.w }, [circuit.rgb, seeds.slice()]);
    try {
      const { x, error } = await waiting;
      if (error) say(`softcut_lib says: ${error}`);
      else if (about === version && circuit === play.circuit) {
        play.gap = distance(circuit, x, method);
        circuit.x.set(x, circuit.w);
        redraw();
      }
    } catch (error) {
      lost = `the kernel did not answer (${error.message}): computed in this page`;
      send = null;
      redraw();
    }
    waiting = null;
    if (send && about !== version && !missing()) ask();
  }

  function draw(lacking) {
    const { circuit, seeds } = play, { h, w, n, x, scores, right, down: south } = circuit;
    const walker = state.method === "random-walker", full = walker ? 1 : state.ground;
    const color = (table, v) => table[v <= 0 ? 0 : v >= 255 ? 255 : v | 0];
    for (let p = 0, q = w; p < n; p++, q++) {
      const score = walker ? (seeds[p] === FREE ? 0 : seeds[p] === FOREGROUND ? 1 : -1) : scores[q] / full;
      maps.scores.words[p] = color(RED_BLUE, 127.5 + 127.5 * score);
      maps.conductances.words[p] = color(CIVIDIS, 255 * Math.min(right[q] || 1, south[q] || 1));
      maps.voltages.words[p] = color(RED_BLUE, 127.5 + 127.5 * x[q]);
      maps.mask.words[p] = x[q] > 0 ? 0xffe8f1f4 : 0xff2c2420;
      maps.shade.words[p] = lacking || x[q] > 0 ? 0 : 0x80180f0a;
      maps.strokes.words[p] = seeds[p] === FREE ? 0 : seeds[p] === FOREGROUND ? 0xf03a45d6 : 0xf0d07f2b;
    }
    for (const map of Object.values(maps)) map.show();
    const canvas = $(".scribble"), context = canvas.getContext("2d");
    context.drawImage(photo, 0, 0);
    context.drawImage(maps.shade.canvas, 0, 0, canvas.width, canvas.height);
    if (!lacking) {
      const path = outline(circuit, canvas.width / w, canvas.height / h);
      for (const [width, ink] of [[4, "#000a"], [2, "#ffe45c"]]) {
        context.lineWidth = width;
        context.strokeStyle = ink;
        context.stroke(path);
      }
    }
    context.drawImage(maps.strokes.canvas, 0, 0, canvas.width, canvas.height);
    const cx = 3 * (state.at % w) + 1.5, cy = 3 * Math.floor(state.at / w) + 1.5;
    for (const [width, ink] of [[4, "#000c"], [1.6, "#fff"]]) {
      context.lineWidth = width;
      context.strokeStyle = ink;
      context.beginPath();
      context.arc(cx, cy, 7, 0, 7);
      context.stroke();
    }
    inspect(lacking);
  }
  function inspect(lacking) {
    const heading = $(".circuit h4"), svg = $("svg"), table = $("table");
    if (lacking) {
      heading.textContent = "The circuit at the pointer";
      svg.innerHTML = table.innerHTML = "";
      return;
    }
    const seen = circuitDrawing(play.circuit, play.seeds, state.at, state), { number } = seen;
    const kind = seen.seed ? (seen.seed > 0 ? ", foreground stroke" : ", background stroke") : "";
    heading.textContent = `Pixel in row ${seen.i}, column ${seen.j}${kind}`;
    svg.innerHTML = seen.svg;
    const hard = state.method === "min-cut", what = hard ? "flow" : "current";
    const lines = seen.rows.map(([name, weight, value]) => {
      const words = { ground: `color ${number(seen.votes)} V`, seed: `stroke ${number(seen.seed)} V`,
        terminal: "score" }[name] ?? name;
      return `<tr><td>${words}</td><td>${number(weight)}</td><td>${number(value)}</td></tr>`;
    });
    const total = seen.sum === null ? `<tr class="sum"><td colspan="2">the battery supplies</td><td>${
      number(seen.rows.reduce((a, r) => a + r[2], 0))}</td></tr>`
      : `<tr class="sum"><td colspan="2">sum (Kirchhoff: 0)</td><td>${number(seen.sum)}</td></tr>`;
    table.innerHTML = `<tr><th>outgoing</th><th>${hard ? "capacity" : "conductance"}</th><th>${what}</th></tr>`
      + lines.join("") + total;
    svg.setAttribute("aria-label", `${heading.textContent}: ${hard ? "label" : "voltage"} `
      + `${play.circuit.x[state.at + play.circuit.w].toFixed(3)}; ` + seen.rows.map(([name, weight, value]) =>
      `${name}: ${number(weight)}, ${what} ${number(value)}`).join("; ") + ".");
  }

  // ---- light and dark follow the page around
  const follow = () => {
    const found = getComputedStyle(host.parentElement ?? host).color.match(/[\d.]+/g);
    if (!found) return requestAnimationFrame(follow); // a notebook attaches the element later
    const [r, g, b] = found.map(Number);
    host.dataset.mode = 0.3 * r + 0.6 * g + 0.1 * b > 140 ? "dark" : "light";
  };
  const watcher = new MutationObserver(follow), preference = matchMedia("(prefers-color-scheme: dark)");
  for (const element of [document.documentElement, document.body]) watcher.observe(element, { attributes: true });
  preference.addEventListener("change", follow);
  follow();

  play.remove = () => {
    watcher.disconnect();
    preference.removeEventListener("change", follow);
    root.innerHTML = "";
  };
  Object.assign(play, { openFile, change });
  describe();
  load(listed[0]);
  host.playground = play;
  return play;
}

// ---------------------------------------------------------------------------------- in a notebook

/** anywidget: the kernel's library answers what the page asks (playground_page.py). */
function render({ model, el }) {
  const open = new Map();
  let number = 0;
  const receive = (message, buffers) => {
    const resolve = open.get(message.id);
    open.delete(message.id);
    if (!resolve) return;
    if (message.error) return resolve({ error: message.error });
    const [view] = buffers; // a copy, since eight-byte numbers must start at a multiple of eight
    const bytes = view.buffer ? new Uint8Array(view.buffer, view.byteOffset, view.byteLength) : new Uint8Array(view);
    resolve({ x: new Float64Array(bytes.slice().buffer) });
  };
  model.on("msg:custom", receive);
  const send = (request, buffers) => new Promise((resolve, reject) => {
    const id = ++number;
    open.set(id, resolve);
    setTimeout(() => { if (open.delete(id)) reject(new Error("20 seconds have passed")); }, 20000);
    model.send({ ...request, id }, undefined, buffers);
  });
  const host = document.createElement("div");
  el.append(host);
  const play = mount(host, { pictures: model.get("pictures"), send });
  return () => { model.off("msg:custom", receive); play.remove(); };
}

export default { render };
