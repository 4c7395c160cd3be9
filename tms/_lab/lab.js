// The lab on a page: controls and pictures around a worker that trains. An anywidget.

import SETTINGS from "./settings.json" with { type: "json" };
import { checked } from "./trainer.js";
import { serve } from "./session.js";
import * as draw from "./draw.js";

// The worker's program, as text: a worker can only be started from a Blob where pages are read from disk.
const WORKER_SOURCE = globalThis.TMS_LAB_WORKER ?? "";

const GROUPS = [
  ["Model", ["n_features", "n_hidden", "tied", "bias", "activation", "hidden_activation"]],
  ["Inputs and loss", ["inputs", "feature_probability", "importance_decay", "loss", "reduction"]],
  ["Training", ["optimizer", "lr", "batch_size", "seed"]],
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

/** A settings object as it stands in an address, and back: name=value pairs, text only where it must be. */
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
    if (["__proto__", "constructor", "prototype"].includes(name)) continue;
    given[name] = value === "true" ? true : value === "false" ? false
      : value !== "" && Number.isFinite(Number(value)) ? Number(value) : value;
  }
  return given;
}

/** The loss that theory gives, as lines for the present settings; each comes from Python as a table over p. */
export function theoryLines(tables, settings) {
  const lines = [];
  for (const { label, when, p, loss } of tables) {
    if (Object.entries(when).some(([name, value]) => settings[name] !== value)) continue;
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

function startWorker(receive) {
  try {
    const address = URL.createObjectURL(new Blob([WORKER_SOURCE], { type: "text/javascript" }));
    const worker = new Worker(address);
    URL.revokeObjectURL(address);
    worker.onmessage = (event) => receive(event.data);
    return { post: (message) => worker.postMessage(message), end: () => worker.terminate() };
  } catch {
    // No workers here: the same program on this page, in short turns.
    const handle = serve(receive);
    return { post: handle, end: () => handle({ kind: "pause" }) };
  }
}

export function render({ model, el }) {
  // Every lab of a page has this module to itself, so a counter here would give all of them the same ids.
  const id = `lab-${crypto.getRandomValues(new Uint32Array(1))[0].toString(36)}`;
  const presets = model.get("presets");
  const tables = model.get("theory");
  const name = model.get("name");
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  let { settings, problems } = checked(model.get("settings"));
  const hash = new URLSearchParams(location.hash.slice(1));
  const fromLink = hash.get(KEY) === name || (hash.get(KEY) === "" && !name);
  if (fromLink) ({ settings, problems } = checked({ ...settings, ...fromAddress(hash.get("settings") ?? "") }));
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

  // ---- what is on the page
  const button = (label, act, attributes = {}) => element("button", { type: "button", onclick: act, ...attributes }, label);
  const play = button("Play", () => toggle());
  const step = button("One step", () => {
    touched = true;
    wanted = false;
    if (replay) showReplay(Math.min(Number(time.value) + 1, replay.frames.length - 1));
    else send({ kind: "step" });
  });
  const restart = button("Restart", () => begin());
  const speed = element("select", { id: `${id}-speed`, onchange: () => send({ kind: "speed", perFrame: SPEEDS[speed.selectedIndex][1] }) },
    ...SPEEDS.map(([label]) => element("option", {}, label)));
  speed.selectedIndex = SPEEDS.length - 1;
  const preset = element("select", { id: `${id}-preset`, onchange: () => usePreset(preset.value) },
    element("option", { value: "" }, "own settings"), ...Object.keys(presets).map((key) => element("option", { value: key }, key)));
  const link = button("Copy link", copyLink, { class: "lab-link" });
  const status = element("p", { class: "lab-status", "aria-live": "off" });
  const said = element("p", { class: "lab-hidden", role: "status", "aria-live": "polite" });
  const alarm = element("p", { class: "lab-alarm", role: "alert" });
  const main = element("canvas", { class: "lab-directions", tabindex: "0", role: "img", id: `${id}-directions` });
  const gram = element("canvas", { class: "lab-gram", role: "img" });
  const loss = element("canvas", { class: "lab-loss", role: "img" });
  const bars = element("canvas", { class: "lab-bars", role: "img" });
  const small = element("div", { class: "lab-small", role: "group", "aria-label": "Models from other seeds" });
  const fields = {};
  const time = element("input", { id: `${id}-time`, type: "range", min: 0, step: 1, oninput: () => {
    touched = true;
    wanted = false;
    showReplay(Number(time.value));
  } });
  const leave = button("Train here instead", () => {
    replay = null;
    showSettings();
    begin();
  });
  const replayBar = element("div", { class: "lab-replay" }, element("label", { for: `${id}-time` }, "Time"), time, leave);
  const controls = element("details", { class: "lab-controls" }, element("summary", {}, "Settings"),
    ...GROUPS.map(([title, names]) => element("fieldset", {}, element("legend", {}, title), ...names.map(field))));
  const picture = (title, canvas) => element("figure", {}, element("figcaption", {}, title), canvas);
  const mainTitle = element("figcaption", {});
  const root = element("section", { class: "lab", "aria-label": model.get("title") },
    element("div", { class: "lab-bar" },
      element("label", { for: `${id}-preset` }, "Preset"), preset, play, step, restart,
      element("label", { for: `${id}-speed` }, "Speed"), speed, link),
    replayBar, alarm, status, said,
    element("div", { class: "lab-pictures" },
      element("figure", { class: "lab-main" }, mainTitle, main, small),
      picture("Loss of each batch", loss), picture("Gram matrix and bias", gram), picture("Feature dimensionality", bars)),
    controls);
  el.replaceChildren(root);
  // The picture that Python made for where scripts are off steps back.
  root.closest(".cell_output, .jp-OutputArea")?.querySelectorAll(".lab-still").forEach((still) => still.classList.add("lab-live"));

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
        if (!rule.log) return at;
        const value = bottom * (top / bottom) ** at;
        return rule.whole ? Math.round(value) : Number(value.toPrecision(2));
      };
      input = element("input", { id: `${id}-${key}`, type: "range", min: rule.log ? 0 : bottom, max: rule.log ? 1 : top,
        step: rule.log ? 0.01 : rule.whole ? 1 : 0.01 });
      input.addEventListener("input", () => change(key, down(Number(input.value))));
      input.up = up;
    }
    fields[key] = { input, shown, rule };
    return element("div", { class: "lab-field" }, label, input, shown);
  }

  function showSettings() {
    root.classList.toggle("lab-replays", Boolean(replay));
    if (replay) {
      settings = checked({ ...settings, ...replay.settings }).settings;
      time.max = replay.frames.length - 1;
    }
    for (const [key, { input, shown, rule }] of Object.entries(fields)) {
      const value = settings[key];
      if (rule.choices) input.selectedIndex = rule.choices.indexOf(value);
      else if (key === "seed") input.value = value;
      else {
        input.value = input.up(value);
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
    alarm.textContent = problems.join(" ");
  }

  // ---- what it does
  function send(message) {
    if (worker === null) worker = startWorker((message) => replay || receive(message));
    worker.post(message);
  }

  /** One moment of a run that Python has trained, as if a worker had sent it. */
  function showReplay(k) {
    time.value = k;
    const { steps, models } = replay.frames[k];
    time.setAttribute("aria-valuetext", `after ${steps} steps`);
    clearTimeout(timer);
    if (wanted && visible && k < replay.frames.length - 1) {
      timer = setTimeout(() => wanted && replay && showReplay(k + 1), 1000 / REPLAY_FRAMES_A_SECOND);
    } else if (wanted && k === replay.frames.length - 1) {
      wanted = false;
    }
    receive({
      kind: "frame", steps, alive: true, playing: wanted, rate: 0,
      models: models.map((one, s) => {
        const curve = replay.curves[s];
        const upTo = curve.steps.filter((at) => at <= steps).length;
        return { out: null, b: null, b_hidden: null, ...one, seed: replay.seeds[s], failed: false,
          loss: curve.values[Math.max(0, upTo - 1)] ?? NaN,
          curve: { steps: curve.steps.slice(0, upTo), values: curve.values.slice(0, upTo) } };
      }),
    });
  }

  function begin() {
    if (replay) {
      worker?.post({ kind: "pause" });
      showReplay(0);
      return;
    }
    send({ kind: "start", settings, seeds: model.get("seeds"), play: wanted && visible });
    send({ kind: "speed", perFrame: SPEEDS[speed.selectedIndex][1] });
  }

  function toggle(now = !wanted) {
    touched = true;
    wanted = now;
    if (replay) {
      const at = Number(time.value);
      showReplay(wanted && at === replay.frames.length - 1 ? 0 : at);
    } else if (worker === null) begin();
    else send({ kind: wanted && visible ? "play" : "pause" });
  }

  function change(key, value) {
    const next = checked({ ...settings, [key]: value });
    settings = next.settings;
    problems = next.problems;
    touched = true;
    showSettings();
    if (SETTINGS[key].live && worker !== null) send({ kind: "change", settings: { [key]: settings[key] } });
    else begin();
    share();
  }

  function usePreset(key) {
    if (!(key in presets)) return;
    ({ settings, problems } = checked({ ...presets[key], seed: settings.seed }));
    chosen = 0;
    touched = true;
    showSettings();
    if (!calm.matches) wanted = true;
    begin();
    share();
  }

  function address() {
    const url = new URL(location.href);
    url.hash = new URLSearchParams({ [KEY]: name, settings: toAddress(settings) }).toString();
    return url.href;
  }

  async function copyLink() {
    history.replaceState(null, "", address());
    try {
      await navigator.clipboard.writeText(address());
      say("The link was copied; the page's address has these settings too.");
    } catch {
      say("The page's address now has these settings.");
    }
  }

  function say(text) {
    said.textContent = text;
  }

  // ---- what comes back
  function receive(message) {
    frame = message;
    if (chosen >= frame.models.length) chosen = 0;
    if (!frame.alive) {
      wanted = false;
      alarm.textContent = "The weights are no numbers any more: the learning rate is too high. Lower it and restart.";
      say(alarm.textContent);
    } else if (frame.begun) {
      alarm.textContent = problems.join(" ");
    }
    if (!waiting) {
      waiting = true;
      requestAnimationFrame(show);
    }
  }

  let lastSaid = "";
  function show() {
    waiting = false;
    if (!frame) return;
    const dark = isDark(root);
    const style = getComputedStyle(root);
    const palette = { dark, turn, ink: style.getPropertyValue("--lab-ink"), faint: style.getPropertyValue("--lab-faint"),
      accent: style.getPropertyValue("--lab-accent"), theory: style.getPropertyValue("--lab-theory") };
    const one = frame.models[chosen];
    const m = settings.n_hidden;
    const drawn = m <= 3;
    root.classList.toggle("lab-deep", !drawn);
    mainTitle.textContent = !drawn ? "Directions are drawn for one to three dimensions"
      : one.out ? "Directions: written (dots), read (dashed, squares)" : "Directions of the features";
    main.tabIndex = m === 3 ? 0 : -1; // only a solid can be turned
    if (drawn) draw.directions(main, one, m, palette);
    draw.gram(gram, one, m, palette);
    draw.dimensions(bars, one, m, palette);
    const lines = replay ? [] : theoryLines(tables, settings);
    draw.losses(loss, frame.models.map((s) => s.curve), chosen, lines, palette);
    smallMultiples(palette);
    const number = Number.isFinite(one.loss) ? one.loss.toPrecision(3) : "none yet";
    status.textContent = `${frame.steps.toLocaleString("en")} steps · loss ${number}` +
      (frame.playing && frame.rate ? ` · ${Math.round(frame.rate).toLocaleString("en")} steps a second` : "");
    const held = draw.dimensionalities(one.W, m).filter((d, i) => Math.hypot(...one.W.slice(i * m, i * m + m)) > 0.3).length;
    main.setAttribute("aria-label", `${held} of ${settings.n_features} features have a direction longer than 0.3, in ${m} dimensions.`);
    gram.setAttribute("aria-label", "Gram matrix and bias, blue for negative and orange for positive entries.");
    bars.setAttribute("aria-label", `Feature dimensionalities: ${draw.dimensionalities(one.W, m).map((d) => d.toFixed(2)).join(", ")}.`);
    loss.setAttribute("aria-label", `Loss ${number} after ${frame.steps} steps` +
      lines.map((l) => `; ${l.label} ${l.value.toPrecision(3)}`).join("") + ".");
    play.textContent = wanted ? "Pause" : "Play";
    play.setAttribute("aria-pressed", String(wanted));
    if (!wanted && lastSaid !== `${frame.steps}`) {
      lastSaid = `${frame.steps}`;
      if (touched && frame.alive) say(`${frame.steps} steps, loss ${number}. ${main.getAttribute("aria-label")}`);
    }
    publish(one);
  }

  function smallMultiples(palette) {
    if (small.children.length !== frame.models.length) {
      small.replaceChildren(...frame.models.map((_, s) => {
        const canvas = element("canvas", {});
        return element("button", { type: "button", onclick: () => { chosen = s; show(); } }, canvas);
      }));
      small.hidden = frame.models.length < 2;
    }
    frame.models.forEach((one, s) => {
      const item = small.children[s];
      item.setAttribute("aria-pressed", String(s === chosen));
      item.setAttribute("aria-label", `Seed ${one.seed}, loss ${Number.isFinite(one.loss) ? one.loss.toPrecision(2) : "none"}`);
      if (settings.n_hidden <= 3) draw.directions(item.firstChild, one, settings.n_hidden, palette);
      else draw.gram(item.firstChild, one, settings.n_hidden, palette);
    });
  }

  // Python sees the chosen model, a few times a second. In a page without Python nobody listens.
  let published = 0;
  function publish(one) {
    const now = performance.now();
    if (frame.playing && now - published < 250) return;
    published = now;
    model.set("state", { settings, steps: frame.steps, chosen, ...one, curve: undefined });
    model.save_changes();
  }
  function share() {
    model.set("settings", settings);
    model.save_changes();
  }

  // ---- what the reader and the page do
  main.addEventListener("keydown", (event) => {
    const turns = { ArrowLeft: [-0.15, 0], ArrowRight: [0.15, 0], ArrowUp: [0, 0.15], ArrowDown: [0, -0.15] }[event.key];
    if (!turns || settings.n_hidden !== 3) return;
    event.preventDefault();
    turn = { yaw: turn.yaw + turns[0], pitch: turn.pitch + turns[1] };
    show();
  });
  main.addEventListener("pointerdown", (event) => settings.n_hidden === 3 && main.setPointerCapture(event.pointerId));
  main.addEventListener("pointermove", (event) => {
    if (!event.buttons || settings.n_hidden !== 3) return;
    turn = { yaw: turn.yaw + event.movementX / 100, pitch: turn.pitch + event.movementY / 100 };
    show();
  });
  const seen = new IntersectionObserver((entries) => {
    visible = entries.at(-1).isIntersecting; // several may have gathered; the last one counts
    if (visible && worker === null && frame === null) {
      if (!touched && !calm.matches && model.get("autoplay")) wanted = true;
      begin();
    } else if (replay) {
      if (visible && wanted) showReplay(Number(time.value));
    } else if (worker !== null && wanted) {
      send({ kind: visible ? "play" : "pause" });
    }
  }, { threshold: 0.05 });
  seen.observe(root);
  // A tab that nobody looks at does not train.
  const hidden = () => wanted && worker !== null && !replay && send({ kind: document.hidden || !visible ? "pause" : "play" });
  document.addEventListener("visibilitychange", hidden);
  const sized = new ResizeObserver(() => show());
  sized.observe(root);
  const themed = new MutationObserver(() => show());
  themed.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme", "data-jp-theme-light"] });
  // Python may load a run, start or stop.
  model.on("change:replay", () => {
    replay = model.get("replay");
    chosen = 0;
    showSettings();
    begin();
  });
  model.on("msg:custom", (message) => {
    if (message.kind === "play" || message.kind === "pause") toggle(message.kind === "play");
  });
  showSettings();
  return () => {
    seen.disconnect();
    sized.disconnect();
    themed.disconnect();
    document.removeEventListener("visibilitychange", hidden);
    clearTimeout(timer);
    worker?.end();
  };
}

function isDark(node) {
  const background = getComputedStyle(node).getPropertyValue("--lab-dark").trim();
  return background === "1";
}

export default { render };
