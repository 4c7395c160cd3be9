// Read directions that theory proposes for the present write vectors, beside those of the model. Only labs that are
// asked to compare have this part.

import { featureColor } from "./draw.js";

// As in tms.discrimination: eigenvalues below this, relative to the largest, are rounding.
const RANK = 1e-10;
// An output that responds less than this to its own feature is lost, and so is its direction.
const HEARD = 0.01;
// How each is drawn: its name, the dashes of its ray, and the outline of its mark.
const RULES = {
  dual: { words: "dual frame", drawn: "dotted, triangle", dash: [1, 3], outline: [[0, -5], [4.6, 3.5], [-4.6, 3.5]], at: 0.9 },
  pretty_good: { words: "pretty-good measurement", drawn: "dash-dotted, diamond", dash: [7, 3, 1, 3],
    outline: [[0, -5.5], [4.5, 0], [0, 5.5], [-4.5, 0]], at: 1 },
};

/** Eigenvalues and eigenvectors (in columns) of a symmetric m × m matrix, row by row: Jacobi's rotations. */
export function symmetricEigen(matrix, m) {
  const a = Float64Array.from(matrix);
  const vectors = Float64Array.from({ length: m * m }, (_, k) => (k % (m + 1) === 0 ? 1 : 0));
  const rounding = 2 ** -60 * Math.hypot(...a);
  for (let sweep = 0, turned = true; turned && sweep < 50; sweep++) {
    turned = false;
    for (let p = 0; p < m; p++) {
      for (let q = p + 1; q < m; q++) {
        const off = a[p * m + q];
        if (!(Math.abs(off) > rounding)) continue;
        turned = true;
        const theta = (a[q * m + q] - a[p * m + p]) / (2 * off);
        const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
        const c = 1 / Math.sqrt(t * t + 1);
        const s = t * c;
        for (let k = 0; k < m; k++) rotate(a, k * m + p, k * m + q, c, s);
        for (let k = 0; k < m; k++) rotate(a, p * m + k, q * m + k, c, s);
        for (let k = 0; k < m; k++) rotate(vectors, k * m + p, k * m + q, c, s);
        a[p * m + q] = a[q * m + p] = 0;
      }
    }
  }
  return { values: Float64Array.from({ length: m }, (_, k) => a[k * (m + 1)]), vectors };
}

function rotate(array, i, j, c, s) {
  const [x, y] = [array[i], array[j]];
  array[i] = c * x - s * y;
  array[j] = s * x + c * y;
}

/** Dual frame S⁺ W_i and pretty-good measurement S^(−1/2) W_i with S = Σ_j W_j W_jᵀ, flat as W is; null without numbers. */
export function proposedReads(W, m) {
  const n = W.length / m;
  const square = new Float64Array(m * m);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < m; j++) for (let k = 0; k < m; k++) square[j * m + k] += W[i * m + j] * W[i * m + k];
  }
  // What is missing in a replay counts as 0 above.
  if (!W.every(Number.isFinite) || !square.every(Number.isFinite)) return null;
  const { values, vectors } = symmetricEigen(square, m);
  const largest = Math.max(...values);
  const raise = (power) => {
    const scale = values.map((value) => (value > RANK * largest ? value ** power : 0));
    const found = new Array(n * m).fill(0);
    for (let i = 0; i < n; i++) {
      for (let e = 0; e < m; e++) {
        let along = 0;
        for (let k = 0; k < m; k++) along += W[i * m + k] * vectors[k * m + e];
        for (let k = 0; k < m; k++) found[i * m + k] += along * scale[e] * vectors[k * m + e];
      }
    }
    return found;
  };
  return { dual: raise(-1), pretty_good: raise(-0.5) };
}

/** Mean angle in degrees between reads and other directions, over the features that are read, and how many those are. */
export function meanAngle(read, other, W, m) {
  let sum = 0;
  let count = 0;
  for (let i = 0; i < W.length; i += m) {
    let [response, dot, a, b] = [0, 0, 0, 0];
    for (let k = i; k < i + m; k++) {
      response += read[k] * W[k];
      dot += read[k] * other[k];
      a += read[k] ** 2;
      b += other[k] ** 2;
    }
    if (!(response > HEARD) || !(a * b > 0)) continue;
    sum += Math.acos(Math.max(-1, Math.min(1, dot / Math.sqrt(a * b))));
    count++;
  }
  return { degrees: count > 0 ? ((sum / count) * 180) / Math.PI : NaN, count };
}

/** The legend with its numbers, and what draws the marks; `names` are keys of RULES. */
export function comparison(names, element, redraw) {
  const rows = names.map((name) => {
    const { words, drawn, dash, outline } = RULES[name];
    const box = element("input", { type: "checkbox", onchange: redraw });
    box.checked = true;
    const sign = element("span", { class: "lab-sign", "aria-hidden": "true" });
    const points = outline.map(([x, y]) => `${x + 30},${y + 8}`).join(" ");
    sign.innerHTML = `<svg width="38" height="16" fill="none" stroke="currentColor" stroke-width="1.3">
<path d="M1 8H25" stroke-dasharray="${dash}"/><polygon points="${points}"/></svg>`;
    const angle = element("span", { class: "lab-angle" });
    const row = element("li", {}, element("label", {}, box, sign, `${words} (${drawn})`), angle);
    return { name, box, angle, row, words };
  });
  const note = element("p", {});
  const legend = element("div", { class: "lab-compare", role: "group", "aria-label": "Read directions that theory proposes" },
    element("ul", {}, ...rows.map(({ row }) => row)), note);
  const write = (node, text) => {
    if (node.textContent !== text) node.textContent = text;
  };

  /** `at` is what the picture of the directions gave back, if there is one. Returns the angles in words. */
  function show(one, m, at, dark) {
    const found = proposedReads(one.W, m);
    const read = one.out ?? one.W;
    const n = one.W.length / m;
    let said = "";
    let heard = 0;
    for (const { name, box, angle, words } of rows) {
      const { degrees, count } = found ? meanAngle(read, found[name], one.W, m) : { degrees: NaN, count: 0 };
      const number = count > 0 ? `${degrees.toFixed(1)}°` : "none";
      write(angle, number);
      said += ` Mean angle of reads and ${words}: ${number}.`;
      heard = count;
      if (found && at && box.checked) mark(at, found[name], one.W, m, RULES[name], dark);
    }
    write(note, `Mean angle to the read vectors of the ${heard} of ${n} features that are read (Rᵢ · Wᵢ > ${HEARD}).`);
    return said;
  }
  return { legend, show };
}

/** Thin rays to the rim of the picture, with open marks. */
function mark({ context: c, project, far }, vectors, W, m, { dash, outline, at }, dark) {
  const n = W.length / m;
  for (let i = 0; i < n; i++) {
    const v = vectors.slice(i * m, i * m + m);
    const size = Math.hypot(...v);
    // A feature that is hardly written has a direction, but nobody can see of what.
    if (!(size > 0) || !(Math.hypot(...W.slice(i * m, i * m + m)) > HEARD)) continue;
    const [from, end] = [project(v.map(() => 0)), project(v.map((x) => (at * far * x) / size))];
    if (m === 1) from[1] = end[1] = from[1] - 4 - (30 * (i + 1)) / n;
    c.strokeStyle = featureColor(i, n, dark);
    c.lineWidth = 1.2;
    c.setLineDash(dash);
    c.beginPath();
    c.moveTo(from[0], from[1]);
    c.lineTo(end[0], end[1]);
    c.stroke();
    c.setLineDash([]);
    c.beginPath();
    for (const [x, y] of outline) c.lineTo(end[0] + x, end[1] + y);
    c.closePath();
    c.stroke();
  }
}
