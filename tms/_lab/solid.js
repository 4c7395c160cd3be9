// Directions in space as arrows, with the edges of their convex hull, turned by hand. An anywidget.

const CAMERA = 4.5; // how far the eye is, in lengths of the longest direction
const STEP = 0.15; // how far a key turns
const TURNS = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
const HEAD = 0.14; // length of an arrow's head
const SVG = "http://www.w3.org/2000/svg";

/** A turn as a unit quaternion [w, x, y, z], turned on about the screen's axes: the front goes right and down. */
export function turned([w, x, y, z], right, down) {
  const angle = Math.hypot(right, down);
  const s = angle > 0 ? Math.sin(angle / 2) / angle : 0;
  const [a, b, c] = [Math.cos(angle / 2), down * s, right * s];
  const next = [a * w - b * x - c * y, a * x + b * w + c * z, a * y - b * z + c * w, a * z + b * y - c * x];
  const size = Math.hypot(...next); // rounding must not add up
  return next.map((part) => part / size);
}

/** The turn as a matrix, row by row. */
export function matrix([w, x, y, z]) {
  return [
    1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
    2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
    2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
  ];
}

/** Where a point is seen, in a picture of 100 units for length 1 with y downwards, and how near it is, from 0 to 1. */
export function seen(turn, [x, y, z]) {
  const depth = turn[6] * x + turn[7] * y + turn[8] * z;
  const scale = (100 * CAMERA) / (CAMERA - depth);
  return {
    x: scale * (turn[0] * x + turn[1] * y + turn[2] * z),
    y: -scale * (turn[3] * x + turn[4] * y + turn[5] * z),
    near: (depth + 1) / 2,
  };
}

// The first view: a little from the side and from above.
export const START = turned(turned([1, 0, 0, 0], 0.3, 0), 0, 0.3);

function element(tag, attributes = {}, ...children) {
  const node = tag in DRAWN ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}
const DRAWN = { svg: 1, g: 1, line: 1, polygon: 1, ellipse: 1, text: 1 };

const set = (node, values) => {
  for (const [name, value] of Object.entries(values)) {
    node.setAttribute(name, typeof value === "number" ? value.toFixed(2) : value);
  }
};

/** One solid: its picture, and a function that turns it. */
function solid({ name, points, edges, faces, labels, colors }, title) {
  const hull = faces.length ? ` The hull has ${faces.length} faces and ${edges.length} edges.` : "";
  const words = `${name || title}: ${points.length} direction${points.length > 1 ? "s" : ""} in space.${hull}`;
  const layer = element("g");
  const far = labels.length ? 128 : 112;
  const svg = element("svg", { viewBox: `${-far} ${-far} ${2 * far} ${2 * far}`, role: "img", tabindex: "0",
    "aria-label": `${words} The arrow keys turn it.` }, layer);
  const planes = faces.map(() => element("polygon", { class: "solid-face" }));
  const lines = edges.map(() => element("line", { class: "solid-edge" }));
  const arrows = points.map((_, i) => {
    const parts = { line: element("line"), base: element("ellipse"), tip: element("polygon") };
    const node = element("g", { class: "solid-arrow" }, parts.line, parts.base, parts.tip);
    node.style.setProperty("--day", colors[i][0]);
    node.style.setProperty("--night", colors[i][1]);
    return { node, ...parts };
  });
  const texts = labels.map((label) => element("text", {}, label));
  let turn = START;
  let waiting = false;

  function show() {
    waiting = false;
    const by = matrix(turn);
    const ends = points.map((point) => seen(by, point));
    const order = [];
    faces.forEach((face, k) => {
      set(planes[k], { points: face.map((i) => `${ends[i].x.toFixed(2)},${ends[i].y.toFixed(2)}`).join(" ") });
      order.push([face.reduce((sum, i) => sum + ends[i].near, 0) / face.length, planes[k]]);
    });
    edges.forEach(([i, j], k) => {
      const near = (ends[i].near + ends[j].near) / 2;
      set(lines[k], { x1: ends[i].x, y1: ends[i].y, x2: ends[j].x, y2: ends[j].y,
        "stroke-width": 0.8 + 1.2 * near, opacity: 0.25 + 0.75 * near });
      order.push([near, lines[k]]);
    });
    arrows.forEach(({ node, line, base, tip }, i) => {
      const end = ends[i];
      const size = Math.hypot(...points[i]);
      const head = Math.min(HEAD, size);
      const from = seen(by, points[i].map((x) => (size > 0 ? x * (1 - head / size) : 0)));
      const [dx, dy] = [end.x - from.x, end.y - from.y];
      const away = Math.hypot(dx, dy);
      const wide = (4 + 1.6 * end.near) * (head / HEAD);
      const [nx, ny] = away > 0 ? [(-dy / away) * wide, (dx / away) * wide] : [0, 0];
      set(line, { x1: 0, y1: 0, x2: from.x, y2: from.y, "stroke-width": 1.4 + 1.6 * end.near });
      // The head is a cone, and this the rim of its base.
      const flat = wide * Math.sqrt(Math.max(0, 1 - (away / (100 * HEAD)) ** 2));
      set(base, { rx: flat, ry: wide,
        transform: `translate(${from.x.toFixed(2)} ${from.y.toFixed(2)}) rotate(${((Math.atan2(dy, dx) * 180) / Math.PI).toFixed(1)})` });
      set(tip, { points: [[end.x, end.y], [from.x + nx, from.y + ny], [from.x - nx, from.y - ny]]
        .map((at) => at.map((value) => value.toFixed(2)).join(",")).join(" ") });
      set(node, { opacity: 0.4 + 0.6 * end.near });
      order.push([(0.5 + end.near) / 2, node]);
    });
    texts.forEach((text, i) => {
      const away = Math.hypot(ends[i].x, ends[i].y) || 1;
      set(text, { x: ends[i].x * (1 + 13 / away), y: ends[i].y * (1 + 13 / away) + 4, opacity: 0.5 + 0.5 * ends[i].near });
    });
    // What is further away is drawn first.
    layer.replaceChildren(...order.sort((a, b) => a[0] - b[0]).map(([, node]) => node), ...texts);
  }
  function turnTo(next) {
    turn = next;
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(show);
  }
  const turnBy = (right, down) => turnTo(turned(turn, right, down));

  svg.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Home") turnTo(START);
    else if (event.key in TURNS) turnBy(...TURNS[event.key]);
    else return;
    event.preventDefault();
  });
  let held = null; // where the pointer was
  svg.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    svg.setPointerCapture(event.pointerId);
    held = { id: event.pointerId, x: event.clientX, y: event.clientY };
  });
  svg.addEventListener("pointermove", (event) => {
    if (held?.id !== event.pointerId) return;
    // From one side to the other is half a turn.
    const scale = Math.PI / svg.clientWidth;
    turnBy((event.clientX - held.x) * scale, (event.clientY - held.y) * scale);
    held = { id: event.pointerId, x: event.clientX, y: event.clientY };
  });
  // A finger that goes up or down scrolls the page, and the pointer is cancelled.
  for (const kind of ["pointerup", "pointercancel"]) svg.addEventListener(kind, () => { held = null; });
  show();
  const caption = name ? [element("figcaption", { "aria-hidden": "true" }, name)] : [];
  return { figure: element("figure", {}, svg, ...caption), turnBy, reset: () => turnTo(START) };
}

export function render({ model, el }) {
  const title = model.get("title");
  const all = model.get("solids").map((one) => solid(one, title));
  const button = (sign, label, act) => element("button", { type: "button", "aria-label": label, onclick: act }, sign);
  const turn = (key) => () => all.forEach(({ turnBy }) => turnBy(...TURNS[key]));
  const row = element("div", { class: "solid-row" }, ...all.map(({ figure }) => figure));
  // At most four side by side, and the rows equally long where that can be.
  row.style.setProperty("--columns", Math.ceil(all.length / Math.ceil(all.length / 4)));
  const root = element("section", { class: "solid", "aria-label": title }, row,
    element("div", { class: "solid-bar", role: "group", "aria-label": all.length > 1 ? "Turn all solids" : "Turn the solid" },
      button("←", "Turn left", turn("ArrowLeft")), button("→", "Turn right", turn("ArrowRight")),
      button("↑", "Turn up", turn("ArrowUp")), button("↓", "Turn down", turn("ArrowDown")),
      button("Reset", "Reset the view", () => all.forEach(({ reset }) => reset()))),
    element("p", {}, `Drag to turn${all.length > 1 ? " one" : ""}, or use the arrow keys${all.length > 1 ? "; the buttons turn all" : ""}.`));
  if (model.get("name")) root.id = model.get("name");
  el.replaceChildren(root);
  // The picture that Python made for where scripts are off steps back.
  const stills = [...(root.closest(".cell_output, .jp-OutputArea")?.querySelectorAll(".lab-still") ?? [])];
  stills.forEach((still) => still.classList.add("lab-live"));
  root.classList.toggle("solid-has-still", stills.length > 0);
  return () => stills.forEach((still) => still.classList.remove("lab-live"));
}

export default { render };
