// The lab on a page: controls and pictures around a worker that trains. An anywidget.

import SETTINGS from "./settings.json" with { type: "json" };
import { checked } from "./trainer.js";
import { serve } from "./session.js";
import * as draw from "./draw.js";

// The worker's program, as text: a worker can only be started from a Blob where pages are read from disk.
const WORKER_SOURCE = globalThis.TMS_LAB_WORKER ?? "";
// `comparison` of compare.js, in labs that compare.
const COMPARISON = globalThis.TMS_LAB_COMPARISON;

const GROUPS = [
  ["Model", ["n_features", "n_hidden", "tied", "bias", "activation", "hidden_activation"]],
  ["Inputs and loss", ["inputs", "feature_probability", "importance_decay", "loss", "reduction"]],
  ["Training", ["optimizer", "lr", "momentum", "batch_size", "seed"]],
];
const WORDS = {
  true: "yes", false: "no", none: "none", hidden: "hidden", end: "end", both: "both", linear: "linear", relu: "ReLU",
  gelu: "GELU", mse: "squared error", cross_entropy: "cross-entropy", mean: "samples and features",
  feature_sum: "samples", sum: "nothing (sum)", sparse_uniform: "sparse uniform", one_hot: "one-hot", adam: "Adam",
  sgd: "SGD",
};
const SPEEDS = [["1 step a frame", 1], ["10 steps a frame", 10], ["100 steps a frame", 100], ["as fast as it goes", Infinity]];
const KEY = "lab";
const REPLAY_FRAMES_A_SECOND = 6;
const PUBLISH_EVERY = 250; // milliseconds
const NO_NUMBERS = "no numbers any more: the learning rate is too high. Lower it and restart.";
const TURNS = { ArrowLeft: [-0.15, 0], ArrowRight: [0.15, 0], ArrowUp: [0, 0.15], ArrowDown: [0, -0.15] };

// The view whose models Python sees. Every widget has this module to itself, so its views, where it is displayed
// more than once, share this: the one that the reader touched last.
let publisher = null;

/** A settings object as it stands in an address, and back: name=value pairs of what is not everybody's default. */
export function toAddress(settings) {
  return Object.entries(settings)
    .filter(([name, value]) => value !== SETTINGS[name].value)
    .map(([name, value]) => `${name}=${value}`)
    .join(",");
}
export function fromAddress(text) {
  const given = {};
  for (const pair of text.split(",").filter(Boolean)) {
    const [name, value = ""] = pair.split("=").map((part) => part.trim());
    if (name === "__proto__") continue;
    given[name] = value === "true" ? true : value === "false" ? false
      : value !== "" && Number.isFinite(Number(value)) ? Number(value) : value;
  }
  return given;
}

/** The loss that theory gives, as lines for the present settings; each comes from Python as a table over p. */
export function theoryLines(tables, settings) {
  const lines = [];
  for (const { label, when, p, loss } of tables) {
    if (Object.entries(when).some(([name, value]) => ![value].flat().includes(settings[name]))) continue;
    const x = Math.log(settings.feature_probability);
    let k = p.findIndex((value) => value >= settings.feature_probability);
    if (k < 0) k = p.length - 1;
    if (k === 0) k = 1;
    const [a, b] = [Math.log(p[k - 1]), Math.log(p[k])];
    const t = Math.max(0, Math.min(1, (x - a) / (b - a)));
    lines.push({ label, value: Math.exp(Math.log(loss[k - 1]) * (1 - t) + Math.log(loss[k]) * t) });
  }
  return lines;
}

function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") node.className = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== null) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** The trainer behind messages; `lost` is called if the page turns out not to allow workers. */
function startWorker(receive, lost) {
  try {
    const address = URL.createObjectURL(new Blob([WORKER_SOURCE], { type: "text/javascript" }));
    const worker = new Worker(address);
    URL.revokeObjectURL(address);
    let heard = false;
    worker.onmessage = (event) => {
      heard = true;
      receive(event.data);
    };
    // A page's policy forbids workers with an event, not with an exception.
    worker.onerror = (event) => {
      if (heard) return;
      event.preventDefault();
      worker.terminate();
      lost();
    };
    return { post: (message) => worker.postMessage(message), end: () => worker.terminate() };
  } catch {
    return startHere(receive);
  }
}

/** Without workers: the same program on this page, in short turns. */
function startHere(receive) {
  let open = true;
  const handle = serve((message) => open && receive(message));
  return { post: handle, end: () => { open = false; handle({ kind: "pause" }); } };
}

const alike = (a, b) => Object.keys(SETTINGS).every((key) => a[key] === b[key]);

export function render({ model, el }) {
  // Every lab of a page has this module to itself, so a counter here would give all of them the same ids.
  const id = `lab-${crypto.getRandomValues(new Uint32Array(1))[0].toString(36)}`;
  const presets = model.get("presets");
  const tables = model.get("theory");
  const name = model.get("name");
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  let { settings, problems } = checked(model.get("settings"));
  let frame = null;
  let chosen = 0;
  let wanted = false; // whether the reader wants it to run
  let touched = false;
  let visible = false;
  let worker = null;
  let turn = { yaw: 0.6, pitch: 0.4 };
  let waiting = false;
  let replay = model.get("replay"); // a run trained by Python, shown instead of training here
  let timer = null;
  let run = 0; // counts the starts, so that frames of an earlier one are known
  let announce = false; // whether the next picture that stands still is told to screen readers
  let closed = false;

  // ---- what is on the page
  const button = (label, act, attributes = {}) => element("button", { type: "button", onclick: act, ...attributes }, label);
  const play = button("Play", () => toggle());
  const step = button("One step", () => {
    touch();
    want(false);
    announce = true;
    if (replay) showReplay(Math.min(Number(time.value) + 1, replay.frames.length - 1));
    else send({ kind: "step" });
  });
  const restart = button("Restart", () => {
    touch();
    begin();
  });
  const speed = element("select", { id: `${id}-speed`, onchange: () => send({ kind: "speed", perFrame: SPEEDS[speed.selectedIndex][1] }) },
    ...SPEEDS.map(([label]) => element("option", {}, label)));
  speed.selectedIndex = SPEEDS.length - 1;
  const preset = element("select", { id: `${id}-preset`, onchange: () => usePreset(preset.value) },
    element("option", { value: "" }, "own settings"), ...Object.keys(presets).map((key) => element("option", { value: key }, key)));
  const link = button("Copy link", copyLink, { class: "lab-link" });
  const status = element("p", { class: "lab-status", "aria-live": "off" });
  const said = element("p", { class: "lab-hidden", role: "status" });
  const alarm = element("p", { class: "lab-alarm", role: "alert" });
  const canvas = (kind, words) => element("canvas", { class: `lab-${kind}`, role: "img", "aria-label": words });
  const main = canvas("directions", "Directions of the features");
  const gram = canvas("gram", "Gram matrix and bias");
  const loss = canvas("loss", "Loss");
  const bars = canvas("bars", "Feature dimensionalities");
  // For whoever neither drags nor finds the picture's arrow keys.
  const turns = element("div", { class: "lab-turns", role: "group", "aria-label": "Turn the solid" },
    ...[["←", "left", "ArrowLeft"], ["→", "right", "ArrowRight"], ["↑", "up", "ArrowUp"], ["↓", "down", "ArrowDown"]]
      .map(([sign, word, key]) => button(sign, () => turnBy(key), { "aria-label": `Turn ${word}` })));
  const small = element("div", { class: "lab-small", role: "group", "aria-label": "Models from other seeds" });
  const fields = {};
  const time = element("input", { id: `${id}-time`, type: "range", min: 0, max: 0, value: 0, step: 1, oninput: () => {
    touch();
    want(false);
    showReplay(Number(time.value));
  } });
  const leave = button("Train here instead", () => {
    touch();
    play.focus(); // this button goes away
    share();
    // Python sees it too, so that the same run can be loaded once more.
    model.set("replay", null);
    model.save_changes();
  });
  const replayBar = element("div", { class: "lab-replay" }, element("label", { for: `${id}-time` }, "Time"), time, leave);
  const controls = element("details", { class: "lab-controls" }, element("summary", {}, "Settings"),
    ...GROUPS.map(([title, names]) => element("fieldset", {}, element("legend", {}, title), ...names.map(field))));
  const picture = (title, canvas) => element("figure", {}, element("figcaption", {}, title), canvas);
  const mainTitle = element("figcaption", {});
  const comparing = COMPARISON?.(model.get("compare"), element, () => schedule());
  const root = element("section", { class: "lab", "aria-label": model.get("title") },
    element("div", { class: "lab-bar" },
      element("span", { class: "lab-training" }, element("label", { for: `${id}-preset` }, "Preset"), preset),
      play, step, restart,
      element("span", { class: "lab-training" }, element("label", { for: `${id}-speed` }, "Speed"), speed), link),
    replayBar, alarm, status, said,
    element("div", { class: "lab-pictures" },
      element("figure", { class: "lab-main" }, mainTitle, main, turns, comparing?.legend ?? "", small),
      picture("Loss of each batch", loss), picture("Gram matrix and bias", gram), picture("Feature dimensionality", bars)),
    controls);
  el.replaceChildren(root);
  // The picture that Python made for where scripts are off steps back.
  const stills = [...(root.closest(".cell_output, .jp-OutputArea")?.querySelectorAll(".lab-still") ?? [])];
  stills.forEach((still) => still.classList.add("lab-live"));
  root.classList.toggle("lab-has-still", stills.length > 0);

  function field(key) {
    const rule = SETTINGS[key];
    const label = element("label", { for: `${id}-${key}` }, rule.label);
    let input;
    const shown = element("output", { for: `${id}-${key}` });
    if (rule.choices) {
      input = element("select", { id: `${id}-${key}` },
        ...rule.choices.map((value) => element("option", { value: String(value) }, WORDS[value])));
      input.addEventListener("change", () => change(key, rule.choices[input.selectedIndex]));
    } else if (key === "seed") {
      input = element("input", { id: `${id}-${key}`, type: "number", min: rule.low, max: rule.high, step: 1 });
      input.addEventListener("change", () => change(key, Number(input.value)));
    } else {
      const top = key === "lr" ? 1 : key === "batch_size" ? 4096 : rule.high;
      const bottom = key === "lr" ? 0.0001 : key === "batch_size" ? 8 : rule.low;
      const up = (value) => (rule.log ? Math.log(value / bottom) / Math.log(top / bottom) : value);
      const down = (at) => {
        if (!rule.log) return rule.whole ? at : Number(at.toFixed(2));
        const value = bottom * (top / bottom) ** at;
        return rule.whole ? Math.round(value) : Number(value.toPrecision(2));
      };
      input = element("input", { id: `${id}-${key}`, type: "range", min: rule.log ? 0 : bottom, max: rule.log ? 1 : top,
        step: rule.log ? 0.01 : rule.whole ? 1 : 0.01 });
      input.addEventListener("input", () => change(key, down(Number(input.value))));
      // The slider stays where the reader has put it: the value is rounded, and if the slider followed, a key could
      // move it back to where it was.
      input.show = (value) => {
        if (down(Number(input.value)) !== value) input.value = up(value);
      };
      input.value = up(rule.value);
    }
    fields[key] = { input, shown, rule };
    return element("div", { class: "lab-field" }, label, input, shown);
  }

  function showSettings() {
    root.classList.toggle("lab-replays", Boolean(replay));
    if (replay) {
      settings = checked({ ...settings, ...replay.settings }).settings;
      time.max = replay.frames.length - 1;
      time.value = 0;
    }
    for (const [key, { input, shown, rule }] of Object.entries(fields)) {
      const value = settings[key];
      if (rule.choices) input.selectedIndex = rule.choices.indexOf(value);
      else if (key === "seed") input.value = value;
      else {
        input.show(value);
        shown.textContent = String(value);
        input.setAttribute("aria-valuetext", String(value));
      }
    }
    const same = Object.entries(presets).find(([, given]) => {
      const { settings: all } = checked(given);
      return Object.keys(SETTINGS).every((key) => key === "seed" || all[key] === settings[key]);
    });
    preset.value = same ? same[0] : "";
    fields.feature_probability.input.disabled = settings.inputs === "one_hot";
    fields.batch_size.input.disabled = settings.inputs === "one_hot";
    fields.reduction.input.disabled = settings.loss === "cross_entropy";
    fields.importance_decay.input.disabled = settings.loss === "cross_entropy";
    fields.momentum.input.disabled = settings.optimizer !== "sgd";
    warn();
  }

  /** What is wrong, if anything is. Written only when it changes, since screen readers read it out. */
  function warn() {
    const broken = frame ? frame.models.filter((one) => one.failed).map((one) => one.seed) : [];
    const words = [...problems];
    if (broken.length > 0 && broken.length === frame.models.length) words.push(`The weights are ${NO_NUMBERS}`);
    else if (broken.length > 0) words.push(`Stopped: ${broken.map((seed) => `seed ${seed}`).join(", ")}. Its weights are ${NO_NUMBERS}`);
    if (alarm.textContent !== words.join(" ")) alarm.textContent = words.join(" ");
  }

  // ---- what it does
  /** Whether it should move now: wanted, and somebody can see it. */
  const running = () => wanted && visible && !document.hidden;

  /** The reader did something: nothing starts by itself any more, and Python sees this view. */
  function touch() {
    touched = true;
    if (publisher !== id) sent = null;
    publisher = id;
  }

  function want(now) {
    wanted = now;
    play.textContent = wanted ? "Pause" : "Play";
  }

  function send(message) {
    if (worker === null) {
      const listen = (given) => !closed && !replay && given.run === run && receive(given);
      worker = startWorker(listen, () => {
        if (closed) return;
        worker = startHere(listen);
        begin();
      });
    }
    worker.post(message);
  }

  /** One moment of a run that Python has trained, as if a worker had sent it. */
  function showReplay(k) {
    time.value = k;
    const { steps, models } = replay.frames[k];
    time.setAttribute("aria-valuetext", `after ${steps} steps`);
    clearTimeout(timer);
    if (wanted && k >= replay.frames.length - 1) want(false);
    if (running()) timer = setTimeout(() => replay && running() && showReplay(k + 1), 1000 / REPLAY_FRAMES_A_SECOND);
    receive({
      settings: { ...settings, ...replay.settings }, steps, alive: true, playing: wanted, rate: 0,
      models: models.map((one, s) => {
        const curve = replay.curves[s];
        const upTo = curve.steps.filter((at) => at <= steps).length;
        return { out: null, b: null, b_hidden: null, ...one, seed: replay.seeds[s], failed: false,
          loss: curve.values[upTo - 1] ?? NaN,
          curve: { steps: curve.steps.slice(0, upTo), values: curve.values.slice(0, upTo) } };
      }),
    });
  }

  function begin() {
    run++;
    if (replay) {
      worker?.post({ kind: "pause" });
      showReplay(0);
      return;
    }
    clearTimeout(timer);
    send({ kind: "start", run, settings, seeds: model.get("seeds"), play: running(), perFrame: SPEEDS[speed.selectedIndex][1] });
  }

  /** Let the worker, or the replay, do what is wanted now. */
  function steer() {
    if (frame === null && worker === null) begin();
    else if (replay) showReplay(Number(time.value));
    else send({ kind: running() ? "play" : "pause" });
  }

  function toggle(now = !wanted) {
    touch();
    announce = !now;
    want(now);
    if (now && replay && Number(time.value) >= replay.frames.length - 1) time.value = 0;
    steer();
  }

  /** Go over to other settings: from the present weights where that can be. */
  function adopt(next) {
    const changed = Object.keys(SETTINGS).filter((key) => next.settings[key] !== settings[key]);
    ({ settings, problems } = next);
    showSettings();
    if (replay) return;
    const live = changed.every((key) => SETTINGS[key].live);
    if (!live || (worker === null && visible)) begin();
    else if (worker !== null && changed.length > 0) {
      send({ kind: "change", settings: Object.fromEntries(changed.map((key) => [key, settings[key]])) });
    }
  }

  function change(key, value) {
    touch();
    adopt(checked({ ...settings, [key]: value }));
    share();
  }

  function usePreset(key) {
    if (!Object.hasOwn(presets, key)) return;
    ({ settings, problems } = checked({ ...presets[key], seed: settings.seed }));
    chosen = 0;
    touch();
    showSettings();
    if (!calm.matches) want(true);
    begin();
    share();
  }

  /** Settings from the page's address, if it means this lab; those that it does not name are everybody's defaults. */
  function fromLink() {
    const hash = new URLSearchParams(location.hash.slice(1));
    return hash.get(KEY) === name ? checked(fromAddress(hash.get("settings") ?? "")) : null;
  }
  function followLink() {
    const next = fromLink();
    if (!next) return;
    adopt(next);
    share();
    root.scrollIntoView({ block: "start" });
  }

  function address() {
    const url = new URL(location.href);
    url.hash = new URLSearchParams({ [KEY]: name, settings: toAddress(settings) }).toString();
    return url.href;
  }

  async function copyLink() {
    history.replaceState(null, "", address());
    let words = "In the address";
    try {
      await navigator.clipboard.writeText(address());
      words = "Link copied";
      say("The link was copied; the page's address has these settings too.");
    } catch {
      say("The page's address now has these settings.");
    }
    link.textContent = words;
    clearTimeout(linked);
    linked = setTimeout(() => { link.textContent = "Copy link"; }, 2000);
  }
  let linked = null;

  function say(text) {
    said.textContent = text;
  }

  // ---- what comes back
  function receive(message) {
    frame = message;
    if (chosen >= frame.models.length) chosen = 0;
    if (!frame.alive) want(false);
    warn();
    schedule();
  }

  function schedule() {
    if (waiting || closed) return;
    waiting = true;
    requestAnimationFrame(show);
  }

  function show() {
    waiting = false;
    if (!frame || closed) return;
    worker?.post({ kind: "drawn" });
    const style = getComputedStyle(root);
    const color = (key) => style.getPropertyValue(`--lab-${key}`).trim();
    const palette = { dark: color("dark") === "1", turn, ink: color("ink"), faint: color("faint"), other: color("line"),
      accent: color("accent"), theory: color("theory") };
    const one = frame.models[chosen];
    const m = frame.settings.n_hidden;
    const drawn = m <= 3;
    root.classList.toggle("lab-deep", !drawn);
    root.classList.toggle("lab-solid", m === 3);
    const title = !drawn ? "Directions are drawn for one to three dimensions"
      : one.out ? "Directions: written (dots), read (dashed, squares)" : "Directions of the features";
    if (mainTitle.textContent !== title) mainTitle.textContent = title;
    if (m === 3) main.tabIndex = 0; // only a solid can be turned
    else main.removeAttribute("tabindex");
    const drawing = drawn ? draw.directions(main, one, m, palette) : null;
    const angles = comparing?.show(one, m, drawing, palette.dark) ?? "";
    draw.gram(gram, one, m, palette);
    draw.dimensions(bars, one, m, palette);
    const lines = replay ? [] : theoryLines(tables, frame.settings);
    draw.losses(loss, frame.models.map((s) => s.curve), chosen, lines, palette);
    smallMultiples(palette);
    const number = one.failed ? "not a number" : Number.isFinite(one.loss) ? one.loss.toPrecision(3) : "none yet";
    status.textContent = `${frame.steps.toLocaleString("en")} steps · loss ${number}` +
      (frame.playing && frame.rate ? ` · ${Math.round(frame.rate).toLocaleString("en")} steps a second` : "");
    describe(one, m, number, lines, angles);
    if (announce && !frame.playing) {
      announce = false;
      say(`${frame.steps} steps, loss ${number}. ${main.getAttribute("aria-label")}`);
    }
    publish();
  }

  let described = 0;
  /** The pictures in words; not at every frame, since each is news to a screen reader. */
  function describe(one, m, number, lines, angles) {
    const now = performance.now();
    if (frame.playing && now - described < 500) return;
    described = now;
    const n = frame.settings.n_features;
    const held = Array.from({ length: n }, (_, i) => Math.hypot(...one.W.slice(i * m, i * m + m))).filter((d) => d > 0.3).length;
    main.setAttribute("aria-label", `${held} of ${n} features have a direction longer than 0.3, in ${m} dimension${m > 1 ? "s" : ""}.${angles}` +
      (m === 3 ? " The arrow keys turn the solid." : ""));
    gram.setAttribute("aria-label", "Gram matrix and bias, blue for negative and orange for positive entries.");
    bars.setAttribute("aria-label", `Feature dimensionalities: ${draw.dimensionalities(one.W, m).map((d) => d.toFixed(2)).join(", ")}.`);
    loss.setAttribute("aria-label", `Loss ${number} after ${frame.steps} steps` +
      lines.map((l) => `; ${l.label} ${l.value.toPrecision(3)}`).join("") + ".");
    frame.models.forEach((other, s) => {
      const value = other.failed ? "not a number" : Number.isFinite(other.loss) ? other.loss.toPrecision(2) : "none yet";
      small.children[s].setAttribute("aria-label", `Seed ${other.seed}, loss ${value}`);
    });
  }

  function smallMultiples(palette) {
    if (small.children.length !== frame.models.length) {
      small.replaceChildren(...frame.models.map((_, s) => {
        const canvas = element("canvas", {});
        return element("button", { type: "button", onclick: () => { touch(); chosen = s; schedule(); } }, canvas);
      }));
      small.hidden = frame.models.length < 2;
    }
    frame.models.forEach((one, s) => {
      const item = small.children[s];
      item.setAttribute("aria-pressed", String(s === chosen));
      const m = frame.settings.n_hidden;
      if (m <= 3) draw.directions(item.firstChild, one, m, palette);
      else draw.gram(item.firstChild, one, m, palette);
    });
  }

  // Python sees the chosen model, a few times a second at most, and the last one always. In a page without Python
  // nobody listens.
  let published = 0;
  let sent = null; // the frame and the model that Python has
  let owed = null;
  function publish() {
    publisher ??= id;
    if (publisher !== id || owed !== null || (sent?.frame === frame && sent.chosen === chosen)) return;
    const wait = published + PUBLISH_EVERY - performance.now();
    if (wait > 0) {
      owed = setTimeout(() => { owed = null; publish(); }, wait);
      return;
    }
    published = performance.now();
    sent = { frame, chosen };
    const { curve, ...one } = frame.models[chosen];
    model.set("state", { settings: frame.settings, steps: frame.steps, chosen, replay: Boolean(replay), ...one });
    model.save_changes();
  }
  function share() {
    model.set("settings", settings);
    model.save_changes();
  }

  // ---- what the reader and the page do
  function turnBy(key) {
    turn = { yaw: turn.yaw + TURNS[key][0], pitch: turn.pitch + TURNS[key][1] };
    schedule();
  }
  const solid = () => frame?.settings.n_hidden === 3;
  main.addEventListener("keydown", (event) => {
    if (!(event.key in TURNS) || !solid()) return;
    event.preventDefault();
    turnBy(event.key);
  });
  main.addEventListener("pointerdown", (event) => solid() && main.setPointerCapture(event.pointerId));
  main.addEventListener("pointermove", (event) => {
    if (!event.buttons || !solid()) return;
    turn = { yaw: turn.yaw + event.movementX / 100, pitch: turn.pitch + event.movementY / 100 };
    schedule();
  });
  const seen = new IntersectionObserver((entries) => {
    visible = entries.at(-1).isIntersecting; // several may have gathered; the last one counts
    const first = visible && worker === null && frame === null;
    if (first && !touched && !calm.matches && model.get("autoplay")) want(true);
    if (first || wanted) steer();
  }, { threshold: 0.05 });
  seen.observe(root);
  // A tab that nobody looks at does not train.
  const watched = () => wanted && frame !== null && steer();
  document.addEventListener("visibilitychange", watched);
  addEventListener("hashchange", followLink);
  const sized = new ResizeObserver(schedule);
  sized.observe(root);
  const themed = new MutationObserver(schedule);
  for (const node of [document.documentElement, document.body]) {
    themed.observe(node, { attributes: true, attributeFilter: ["data-theme", "data-jp-theme-light", "theme", "class"] });
  }
  // Python may load a run, start or stop, or set settings.
  model.on("change:replay", () => {
    replay = model.get("replay");
    chosen = 0;
    showSettings();
    begin();
  });
  model.on("change:settings", () => {
    const next = checked(model.get("settings"));
    if (!alike(next.settings, settings)) adopt(next);
  });
  model.on("msg:custom", (message) => {
    if (message.kind === "play" || message.kind === "pause") toggle(message.kind === "play");
  });
  const linkedTo = fromLink();
  if (linkedTo) {
    ({ settings, problems } = linkedTo);
    share();
    // A reader who comes by a link wants to see what it is about; one who comes back is where they were.
    if (scrollY === 0) root.scrollIntoView({ block: "start" });
  }
  showSettings();
  return () => {
    seen.disconnect();
    sized.disconnect();
    themed.disconnect();
    document.removeEventListener("visibilitychange", watched);
    removeEventListener("hashchange", followLink);
    [timer, owed, linked].forEach(clearTimeout);
    closed = true;
    if (publisher === id) publisher = null;
    worker?.end();
    stills.forEach((still) => still.classList.remove("lab-live"));
  };
}

export default { render };
