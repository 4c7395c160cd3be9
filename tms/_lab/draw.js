// Pictures of a model on a canvas. Each takes a context, its size in CSS pixels, data and a palette.

// Viridis, nine points of it: readable with any kind of colour vision, and in grey.
const VIRIDIS = ["#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30", "#fde725"];

function mix(a, b, t) {
  const part = (hex, k) => parseInt(hex.slice(1 + 2 * k, 3 + 2 * k), 16);
  return `rgb(${[0, 1, 2].map((k) => Math.round(part(a, k) * (1 - t) + part(b, k) * t)).join(",")})`;
}

/** The colour of feature i of n, of those with a contrast of 3 or nearly so: no bright ones on white, no dark ones on black. */
export function featureColor(i, n, dark) {
  const t = ((n > 1 ? i / (n - 1) : 0) * 0.65 + (dark ? 0.35 : 0)) * (VIRIDIS.length - 1);
  const k = Math.min(Math.floor(t), VIRIDIS.length - 2);
  return mix(VIRIDIS[k], VIRIDIS[k + 1], t - k);
}

/** Blue for negative, white or black for none, orange for positive. */
export function signedColor(value, scale, dark) {
  if (!Number.isFinite(value)) return "#808080";
  const t = Math.max(-1, Math.min(1, value / scale));
  return mix(dark ? "#15181c" : "#ffffff", t < 0 ? "#2166ac" : "#d6604d", Math.abs(t));
}

/** Make a canvas as sharp as the screen and return its context and size. */
export function prepare(canvas) {
  const ratio = globalThis.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

const rows = (flat, m) => Array.from({ length: flat.length / m }, (_, i) => flat.slice(i * m, i * m + m));
const length = (v) => Math.hypot(...v);

/** How far a picture of directions reaches. */
export function reach(model, m) {
  const all = [...rows(model.W, m), ...(model.out ? rows(model.out, m) : [])];
  const longest = Math.max(...all.map(length).filter(Number.isFinite), 0);
  return Math.max(1.15, 1.1 * longest);
}

/**
 * Directions in one, two or three dimensions. `turn` is {yaw, pitch} for three. Read directions are dashed.
 * @returns what one needs to draw more into the picture
 */
export function directions(canvas, model, m, { dark, turn, faint }) {
  const { context: c, width, height } = prepare(canvas);
  const far = reach(model, m);
  const unit = Math.max(0, Math.min(width, height) / 2 - 6) / far; // a canvas may have no size yet
  const x0 = width / 2;
  const y0 = height / 2;
  const project = (v) => {
    if (m === 1) return [x0 + unit * v[0], y0, 0];
    if (m === 2) return [x0 + unit * v[0], y0 - unit * v[1], 0];
    const [cy, sy, cp, sp] = [Math.cos(turn.yaw), Math.sin(turn.yaw), Math.cos(turn.pitch), Math.sin(turn.pitch)];
    const x = cy * v[0] + sy * v[2];
    const z = -sy * v[0] + cy * v[2];
    return [x0 + unit * x, y0 - unit * (cp * v[1] - sp * z), sp * v[1] + cp * z];
  };
  c.strokeStyle = faint;
  c.lineWidth = 1;
  c.beginPath();
  if (m === 1) {
    c.moveTo(x0 - unit * far, y0);
    c.lineTo(x0 + unit * far, y0);
    for (const one of [-1, 1]) {
      c.moveTo(x0 + one * unit, y0 - 6);
      c.lineTo(x0 + one * unit, y0 + 6);
    }
  } else {
    c.arc(x0, y0, unit, 0, 2 * Math.PI);
  }
  c.stroke();

  const write = rows(model.W, m);
  if (m === 3) edges(write).forEach(([a, b]) => line(c, project(write[a]), project(write[b]), faint, 1));
  const draw = (vectors, dashed) => {
    const order = vectors.map((v, i) => [project(v), i]).sort((a, b) => a[0][2] - b[0][2]);
    for (const [end, i] of order) {
      const color = featureColor(i, vectors.length, dark);
      const lift = m === 1 ? [end[0], y0 - 4 - (30 * (i + 1)) / vectors.length] : end;
      c.setLineDash(dashed ? [4, 3] : []);
      if (m > 1) line(c, [x0, y0], end, color, 2);
      else line(c, [lift[0], y0], lift, color, 2);
      c.setLineDash([]);
      c.fillStyle = color;
      c.beginPath();
      if (dashed) c.rect(lift[0] - 3, lift[1] - 3, 6, 6);
      else c.arc(lift[0], lift[1], 4, 0, 2 * Math.PI);
      c.fill();
    }
  };
  draw(write, false);
  if (model.out) draw(rows(model.out, m), true);
  return { context: c, project, far };
}

function line(c, from, to, color, width) {
  c.strokeStyle = color;
  c.lineWidth = width;
  c.beginPath();
  c.moveTo(from[0], from[1]);
  c.lineTo(to[0], to[1]);
  c.stroke();
}

/** Edges of the convex hull of points in space: of every triangle with all other points on one side. */
export function edges(points) {
  const n = points.length;
  const found = new Map();
  const minus = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
  const size = Math.max(...points.map(length));
  for (let i = 0; i < n; i++) {
    for (let j = i + 1; j < n; j++) {
      for (let k = j + 1; k < n; k++) {
        const [u, v] = [minus(points[j], points[i]), minus(points[k], points[i])];
        const normal = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
        const scale = length(normal);
        if (!(scale > 1e-3 * size * size)) continue;
        let above = false;
        let below = false;
        for (let l = 0; l < n && !(above && below); l++) {
          if (l === i || l === j || l === k) continue;
          const w = minus(points[l], points[i]);
          const side = (normal[0] * w[0] + normal[1] * w[1] + normal[2] * w[2]) / scale;
          if (side > 0.03 * size) above = true;
          if (side < -0.03 * size) below = true;
        }
        if (!(above && below)) for (const [a, b] of [[i, j], [i, k], [j, k]]) found.set(a * n + b, [a, b]);
      }
    }
  }
  return [...found.values()];
}

/** Gram matrix (read times write) with the bias in a column beside it. */
export function gram(canvas, model, m, { dark }) {
  const { context: c, width, height } = prepare(canvas);
  const write = rows(model.W, m);
  const read = model.out ? rows(model.out, m) : write;
  const n = write.length;
  const columns = model.b ? n + 1.5 : n;
  const cell = Math.min(width / columns, height / n);
  const value = (i, j) => read[i].reduce((sum, v, k) => sum + v * write[j][k], 0);
  let scale = 1;
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) scale = Math.max(scale, Math.abs(value(i, j)) || 0); // none of what is no number
  }
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      c.fillStyle = signedColor(value(i, j), scale, dark);
      c.fillRect(j * cell, i * cell, cell - (cell > 6 ? 1 : 0), cell - (cell > 6 ? 1 : 0));
    }
    if (model.b) {
      c.fillStyle = signedColor(model.b[i], scale, dark);
      c.fillRect((n + 0.5) * cell, i * cell, cell - (cell > 6 ? 1 : 0), cell - (cell > 6 ? 1 : 0));
    }
  }
}

/** Feature dimensionality |W_i|² / Σ_j (Ŵ_i · W_j)², as Elhage et al. (2022) define it. */
export function dimensionalities(flat, m) {
  const vectors = rows(flat, m);
  return vectors.map((v) => {
    const square = v.reduce((sum, x) => sum + x * x, 0);
    if (square === 0) return 0;
    const total = vectors.reduce((sum, w) => sum + w.reduce((dot, x, k) => dot + x * v[k], 0) ** 2, 0);
    return square ** 2 / total;
  });
}

/** Bars for the feature dimensionalities, with lines at 1, 1/2 and 2/5. */
export function dimensions(canvas, model, m, { dark, ink, faint }) {
  const { context: c, width, height } = prepare(canvas);
  const values = dimensionalities(model.W, m);
  const left = 26;
  const y = (value) => height - 4 - (height - 12) * Math.min(value, 1.1) / 1.1;
  c.font = "11px system-ui, sans-serif";
  c.textAlign = "right";
  c.textBaseline = "middle";
  for (const [value, label] of [[1, "1"], [0.5, "1/2"], [0.4, "2/5"]]) {
    line(c, [left, y(value)], [width, y(value)], faint, 1);
    c.fillStyle = ink;
    c.fillText(label, left - 4, y(value) + (label === "2/5" ? 4 : label === "1/2" ? -3 : 0));
  }
  const step = (width - left) / values.length;
  values.forEach((value, i) => {
    c.fillStyle = featureColor(i, values.length, dark);
    c.fillRect(left + step * (i + 0.15), y(value), step * 0.7, height - 4 - y(value));
  });
}

/** Ticks of a log axis: powers of ten, few of them. */
export function decades(low, high) {
  const first = Math.ceil(Math.log10(low) - 1e-9);
  const last = Math.floor(Math.log10(high) + 1e-9);
  const step = Math.max(1, Math.ceil((last - first) / 5));
  const ticks = [];
  for (let k = first; k <= last; k += step) ticks.push(k);
  return ticks;
}

/** Loss curves on a log axis, the chosen one strong, and theory's values as dashed lines with their names. */
export function losses(canvas, curves, chosen, lines, { ink, faint, other, accent, theory }) {
  const { context: c, width, height } = prepare(canvas);
  const left = 40;
  const bottom = 20;
  const positive = [...curves.flatMap((curve) => curve.values), ...lines.map((l) => l.value)].filter((v) => v > 0 && Number.isFinite(v));
  const low = Math.max(Math.min(...positive, 1) * 0.7, 1e-12);
  const high = Math.max(...positive, low * 10) * 1.4;
  const last = Math.max(...curves.map((curve) => curve.steps.at(-1) ?? 1), 10);
  const x = (step) => left + ((width - left - 6) * step) / last;
  const y = (value) => {
    const t = Math.log(Math.max(value, low) / low) / Math.log(high / low);
    return height - bottom - (height - bottom - 6) * Math.min(t, 1);
  };
  c.font = "11px system-ui, sans-serif";
  c.textBaseline = "middle";
  c.textAlign = "right";
  for (const k of decades(low, high)) {
    line(c, [left, y(10 ** k)], [width - 6, y(10 ** k)], faint, 1);
    c.fillStyle = ink;
    c.fillText(k >= -2 && k <= 2 ? String(+(10 ** k).toFixed(2)) : `1e${k}`, left - 5, y(10 ** k));
  }
  c.textBaseline = "alphabetic";
  c.textAlign = "right";
  c.fillText(`${last.toLocaleString("en")} steps`, width - 6, height - 5);
  c.textAlign = "left";
  c.fillText("0", left, height - 5);
  curves.forEach((curve, s) => {
    if (s !== chosen) path(c, curve, x, y, other, 1.2);
  });
  if (curves[chosen]) path(c, curves[chosen], x, y, accent, 1.8);
  c.setLineDash([5, 4]);
  for (const l of lines) {
    line(c, [left, y(l.value)], [width - 6, y(l.value)], theory, 1.4);
    c.fillStyle = theory;
    c.textAlign = "right";
    c.fillText(l.label, width - 8, y(l.value) - 4);
  }
  c.setLineDash([]);
}

function path(c, curve, x, y, color, width) {
  c.strokeStyle = color;
  c.lineWidth = width;
  c.beginPath();
  let open = false; // where a loss is no number, the line has a gap
  curve.values.forEach((value, i) => {
    const drawn = Number.isFinite(value);
    if (drawn) c[open ? "lineTo" : "moveTo"](x(curve.steps[i]), y(value));
    open = drawn;
  });
  c.stroke();
}
