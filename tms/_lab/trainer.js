// A toy model of superposition and its training, without a page: the lab's worker runs it, and Node tests it.
//
// Weights are W [feature, hidden], row by row, as in Python. All arithmetic is in double precision.

import SETTINGS from "./settings.json" with { type: "json" };

/** Random numbers: xoshiro128**, seeded through splitmix32. */
export class Random {
  constructor(seed) {
    let x = seed >>> 0;
    const next = () => {
      x = (x + 0x9e3779b9) >>> 0;
      let z = x;
      z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
      z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
      return (z ^ (z >>> 15)) >>> 0;
    };
    this.a = next();
    this.b = next();
    this.c = next();
    this.d = next();
  }

  /** 32 random bits. */
  bits() {
    const product = Math.imul(this.b, 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9);
    const t = this.b << 9;
    this.c ^= this.a;
    this.d ^= this.b;
    this.b ^= this.c;
    this.a ^= this.d;
    this.c ^= t;
    this.d = (this.d << 11) | (this.d >>> 21);
    return result >>> 0;
  }

  /** Uniform on [0, 1). */
  uniform() {
    return this.bits() / 4294967296;
  }

  /** Standard normal (Box and Muller). */
  normal() {
    const radius = Math.sqrt(-2 * Math.log((this.bits() + 0.5) / 4294967296));
    return radius * Math.cos(2 * Math.PI * this.uniform());
  }
}

/**
 * Settings that can be used, made of settings that may be wrong.
 * @returns {{settings: object, problems: string[]}} what was wrong fell back to its default; each has a message.
 */
export function checked(given) {
  const settings = {};
  const problems = [];
  for (const [name, rule] of Object.entries(SETTINGS)) {
    settings[name] = rule.value;
    if (!(name in given)) continue;
    const value = given[name];
    if (rule.choices) {
      if (rule.choices.includes(value)) settings[name] = value;
      else problems.push(`${name} must be one of ${rule.choices.join(", ")}; got ${short(value)}. Using ${rule.value}.`);
    } else if (
      typeof value === "number" && value >= rule.low && value <= rule.high && (!rule.whole || Number.isInteger(value))
    ) {
      settings[name] = value;
    } else {
      const kind = rule.whole ? "a whole number" : "a number";
      problems.push(`${name} must be ${kind} from ${rule.low} to ${rule.high}; got ${short(value)}. Using ${rule.value}.`);
    }
  }
  for (const name of Object.keys(given)) {
    if (!(name in SETTINGS)) problems.push(`${short(name)} is not a setting.`);
  }
  return { settings, problems };
}

/** What a hand-edited address holds can be long. */
function short(value) {
  const text = String(value);
  return text.length > 40 ? `${text.slice(0, 39)}…` : text;
}

const SQRT_HALF = Math.SQRT1_2;
const DENSITY = 1 / Math.sqrt(2 * Math.PI);

/** The error function, to about 1e-15: its series near 0, a continued fraction further out. */
export function erf(x) {
  const a = Math.abs(x);
  if (a > 6) return Math.sign(x);
  if (a < 2.5) {
    let term = x;
    let sum = x;
    for (let k = 1; Math.abs(term) > 1e-17 * Math.abs(sum); k++) {
      term *= (-x * x) / k;
      sum += term / (2 * k + 1);
      if (k > 200) break;
    }
    return (2 / Math.sqrt(Math.PI)) * sum;
  }
  let fraction = 0;
  for (let k = 60; k > 0; k--) fraction = k / 2 / (a + fraction);
  const tail = Math.exp(-a * a) / ((a + fraction) * Math.sqrt(Math.PI));
  return Math.sign(x) * (1 - tail);
}

const LINEAR = 0;
const RELU = 1;
const GELU = 2;
const KINDS = { linear: LINEAR, relu: RELU, gelu: GELU };

/** A model's parameters, its gradient, and the place to compute it. */
export class Model {
  constructor(settings) {
    const { n_features: n, n_hidden: m, tied, bias } = settings;
    this.settings = settings;
    this.n = n;
    this.m = m;
    this.kind = KINDS[settings.activation];
    this.hiddenKind = KINDS[settings.hidden_activation];
    this.tied = tied;
    this.crossEntropy = settings.loss === "cross_entropy";
    this.endBias = bias === "end" || bias === "both";
    this.hiddenBias = bias === "hidden" || bias === "both";
    const size = n * m * (tied ? 1 : 2) + (this.endBias ? n : 0) + (this.hiddenBias ? m : 0);
    this.parameters = new Float64Array(size);
    this.gradient = new Float64Array(size);
    const views = (array) => {
      const W = array.subarray(0, n * m);
      const out = tied ? W : array.subarray(n * m, 2 * n * m);
      let next = n * m * (tied ? 1 : 2);
      const b = this.endBias ? array.subarray(next, (next += n)) : new Float64Array(n);
      const bHidden = this.hiddenBias ? array.subarray(next, next + m) : new Float64Array(m);
      return { W, out, b, bHidden };
    };
    Object.assign(this, views(this.parameters));
    this.d = views(this.gradient);
    this.importance = Float64Array.from({ length: n }, (_, i) => settings.importance_decay ** i);
    this.h = new Float64Array(m);
    this.slope = new Float64Array(m);
    this.dh = new Float64Array(m);
    this.x = new Float64Array(n);
    this.y = new Float64Array(n);
    this.derivative = new Float64Array(n);
  }

  /** Xavier: normal with standard deviation sqrt(2 / (n + m)); biases 0. */
  initialise(random) {
    const scale = Math.sqrt(2 / (this.n + this.m));
    this.parameters.fill(0);
    for (let i = 0; i < this.W.length; i++) this.W[i] = scale * random.normal();
    if (!this.tied) for (let i = 0; i < this.out.length; i++) this.out[i] = scale * random.normal();
  }

  /**
   * Add one sample's gradient, `weight` times, and return its loss, as often.
   * The sample's active features are index[from … to − 1], with these values; the others are 0.
   */
  add(index, value, from, to, weight) {
    return this.crossEntropy || this.kind === GELU || this.hiddenKind !== LINEAR
      ? this.addAny(index, value, from, to, weight)
      : this.addPlain(index, value, from, to, weight);
  }

  /** Squared error, linear or ReLU at the end, nothing in the middle: outputs that are cut off cost nothing more. */
  addPlain(index, value, from, to, weight) {
    const { n, m, W, out, b, bHidden, h, dh, x, importance, kind } = this;
    const { W: dW, out: dOut, b: db, bHidden: dbHidden } = this.d;
    for (let j = 0; j < m; j++) {
      h[j] = bHidden[j];
      dh[j] = 0;
    }
    for (let e = from; e < to; e++) {
      const v = value[e];
      const row = index[e] * m;
      x[index[e]] = v;
      for (let j = 0; j < m; j++) h[j] += v * W[row + j];
    }
    let loss = 0;
    for (let i = 0, row = 0; i < n; i++, row += m) {
      let z = b[i];
      for (let j = 0; j < m; j++) z += out[row + j] * h[j];
      if (kind === RELU && z <= 0) {
        const missed = x[i];
        if (missed !== 0) loss += importance[i] * missed * missed;
        continue;
      }
      const error = z - x[i];
      loss += importance[i] * error * error;
      const dz = 2 * weight * importance[i] * error;
      db[i] += dz;
      for (let j = 0; j < m; j++) {
        dOut[row + j] += dz * h[j];
        dh[j] += dz * out[row + j];
      }
    }
    for (let e = from; e < to; e++) {
      const v = value[e];
      const row = index[e] * m;
      x[index[e]] = 0;
      for (let j = 0; j < m; j++) dW[row + j] += v * dh[j];
    }
    if (this.hiddenBias) for (let j = 0; j < m; j++) dbHidden[j] += dh[j];
    return weight * loss;
  }

  /** Any activations, either loss. */
  addAny(index, value, from, to, weight) {
    const { n, m, W, out, b, bHidden, h, slope, dh, x, y, derivative, importance } = this;
    const { W: dW, out: dOut, b: db, bHidden: dbHidden } = this.d;
    for (let j = 0; j < m; j++) h[j] = bHidden[j];
    for (let e = from; e < to; e++) {
      const v = value[e];
      const row = index[e] * m;
      x[index[e]] = v;
      for (let j = 0; j < m; j++) h[j] += v * W[row + j];
    }
    activate(this.hiddenKind, h, slope);
    for (let i = 0, row = 0; i < n; i++, row += m) {
      let z = b[i];
      for (let j = 0; j < m; j++) z += out[row + j] * h[j];
      y[i] = z;
    }
    activate(this.kind, y, derivative);
    let loss = 0;
    // y becomes the gradient with respect to the outputs.
    if (this.crossEntropy) {
      let largest = -Infinity;
      let mass = 0;
      for (let i = 0; i < n; i++) {
        if (y[i] > largest || Number.isNaN(y[i])) largest = y[i];
        mass += x[i];
      }
      let normaliser = 0;
      for (let i = 0; i < n; i++) normaliser += Math.exp(y[i] - largest);
      const logarithm = largest + Math.log(normaliser);
      for (let i = 0; i < n; i++) {
        loss += x[i] * (logarithm - y[i]);
        y[i] = mass * Math.exp(y[i] - logarithm) - x[i];
      }
    } else {
      for (let i = 0; i < n; i++) {
        const error = y[i] - x[i];
        loss += importance[i] * error * error;
        y[i] = 2 * importance[i] * error;
      }
    }
    dh.fill(0);
    for (let i = 0, row = 0; i < n; i++, row += m) {
      const dz = weight * y[i] * derivative[i];
      db[i] += dz;
      for (let j = 0; j < m; j++) {
        dOut[row + j] += dz * h[j];
        dh[j] += dz * out[row + j];
      }
    }
    for (let j = 0; j < m; j++) dh[j] *= slope[j];
    for (let e = from; e < to; e++) {
      const v = value[e];
      const row = index[e] * m;
      x[index[e]] = 0;
      for (let j = 0; j < m; j++) dW[row + j] += v * dh[j];
    }
    if (this.hiddenBias) for (let j = 0; j < m; j++) dbHidden[j] += dh[j];
    return weight * loss;
  }

  /** What a batch's sum is divided by. */
  divisor(samples) {
    const { reduction } = this.settings;
    if (reduction === "sum") return 1;
    return reduction === "mean" && !this.crossEntropy ? samples * this.n : samples;
  }
}

function activate(kind, values, slopes) {
  for (let i = 0; i < values.length; i++) {
    const z = values[i];
    if (kind === LINEAR) {
      slopes[i] = 1;
    } else if (kind === RELU) {
      slopes[i] = z <= 0 ? 0 : 1;
      if (z <= 0) values[i] = 0;
    } else {
      const below = 0.5 * (1 + erf(z * SQRT_HALF));
      values[i] = z * below;
      slopes[i] = below + z * DENSITY * Math.exp(-0.5 * z * z);
    }
  }
}

/** Loss and gradient on given samples: X is an array of rows. For tests, and for anybody who wants to check. */
export function lossAndGradient(model, X) {
  model.gradient.fill(0);
  let total = 0;
  for (const row of X) {
    const index = [];
    const value = [];
    row.forEach((v, i) => {
      if (v !== 0) {
        index.push(i);
        value.push(v);
      }
    });
    total += model.add(index, value, 0, index.length, 1);
  }
  const divisor = model.divisor(X.length);
  for (let i = 0; i < model.gradient.length; i++) model.gradient[i] /= divisor;
  return { loss: total / divisor, gradient: model.gradient };
}

// Below this probability the gaps between active features are drawn, rather than a number for each feature.
const SPARSE = 0.25;

/** One model, trained step by step. */
export class Trainer {
  /** @param {object} given settings; see `checked`. What is wrong falls back to its default. */
  constructor(given = {}) {
    const { settings, problems } = checked(given);
    this.settings = settings;
    this.problems = problems;
    this.random = new Random(settings.seed);
    this.model = new Model(settings);
    this.model.initialise(this.random);
    const size = this.model.parameters.length;
    this.first = new Float64Array(size);
    this.second = new Float64Array(size);
    this.steps = 0;
    this.loss = NaN;
    this.index = new Int32Array(settings.n_features);
    this.value = new Float64Array(settings.n_features);
  }

  /** Change inputs, importance, learning rate or batch size, and go on from the present weights. */
  change(given) {
    for (const name of Object.keys(given)) {
      if (!SETTINGS[name]?.live) throw new Error(`${name} needs a new start`);
    }
    const { settings, problems } = checked({ ...this.settings, ...given });
    const old = this.model;
    this.settings = settings;
    this.model = new Model(settings);
    this.model.parameters.set(old.parameters);
    this.problems = problems;
  }

  /** Whether loss and weights are still numbers. */
  get finite() {
    return (this.steps === 0 || Number.isFinite(this.loss)) && this.model.parameters.every(Number.isFinite);
  }

  /** Do some steps; the loss is that of the last one's batch, before its update. */
  run(count) {
    for (let s = 0; s < count; s++) this.step();
  }

  step() {
    const { model, settings } = this;
    model.gradient.fill(0);
    const total = settings.inputs === "one_hot" ? this.oneHot() : this.sparseUniform();
    const samples = settings.inputs === "one_hot" ? settings.n_features : settings.batch_size;
    this.loss = total / model.divisor(samples);
    this.update(1 / model.divisor(samples));
    this.steps++;
  }

  oneHot() {
    const { index, value, model } = this;
    let total = 0;
    value[0] = 1;
    for (let i = 0; i < model.n; i++) {
      index[0] = i;
      total += model.add(index, value, 0, 1, 1);
    }
    return total;
  }

  /** Samples without an active feature are all alike, and are done together. */
  sparseUniform() {
    const { index, value, model, random } = this;
    const n = model.n;
    const batch = this.settings.batch_size;
    const p = this.settings.feature_probability;
    let total = 0;
    let empty = 0;
    if (p >= SPARSE) {
      const limit = p * 4294967296;
      for (let t = 0; t < batch; t++) {
        let active = 0;
        for (let i = 0; i < n; i++) {
          const draw = random.bits();
          if (draw < limit) {
            index[active] = i;
            value[active++] = draw / limit;
          }
        }
        if (active === 0) empty++;
        else total += model.add(index, value, 0, active, 1);
      }
    } else {
      const factor = 1 / Math.log1p(-p);
      const end = batch * n;
      let place = -1;
      let sample = -1;
      let done = 0;
      let active = 0;
      for (;;) {
        place += 1 + Math.floor(Math.log((random.bits() + 0.5) / 4294967296) * factor);
        const next = place < end ? Math.floor(place / n) : batch;
        if (next !== sample && active > 0) {
          total += model.add(index, value, 0, active, 1);
          done++;
          active = 0;
        }
        if (next === batch) break;
        sample = next;
        index[active] = place - sample * n;
        value[active++] = random.uniform();
      }
      empty = batch - done;
    }
    if (empty > 0) total += model.add(index, value, 0, 0, empty);
    return total;
  }

  /** Adam as Kingma and Ba (2015) have it, or gradient descent with momentum as in Python. */
  update(scale) {
    const { first, second, settings } = this;
    const { parameters, gradient } = this.model;
    const { lr, momentum } = settings;
    if (settings.optimizer === "sgd") {
      for (let i = 0; i < parameters.length; i++) {
        first[i] = momentum * first[i] + scale * gradient[i];
        parameters[i] -= lr * first[i];
      }
      return;
    }
    const step = this.steps + 1;
    const rate = lr / (1 - 0.9 ** step);
    const root = 1 / Math.sqrt(1 - 0.999 ** step);
    for (let i = 0; i < parameters.length; i++) {
      const g = scale * gradient[i];
      first[i] = 0.9 * first[i] + 0.1 * g;
      second[i] = 0.999 * second[i] + 0.001 * g * g;
      parameters[i] -= (rate * first[i]) / (Math.sqrt(second[i]) * root + 1e-8);
    }
  }
}
