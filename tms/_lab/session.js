// Several seeds trained side by side, with what the page shows of them. No page here either: Node tests it.

import SETTINGS from "./settings.json" with { type: "json" };
import { Trainer } from "./trainer.js";

// Points kept of a loss curve. When there are more, every two become one.
const POINTS = 400;

/** A loss curve of bounded length: means over stretches of steps. */
export class Curve {
  constructor() {
    this.steps = [];
    this.values = [];
    this.stride = 1;
    this.sum = 0;
    this.count = 0;
  }

  add(step, loss) {
    this.sum += loss;
    if (++this.count < this.stride) return;
    this.steps.push(step);
    this.values.push(this.sum / this.count);
    this.sum = this.count = 0;
    if (this.values.length < POINTS) return;
    for (let i = 0; i < POINTS / 2; i++) {
      this.steps[i] = this.steps[2 * i + 1];
      this.values[i] = (this.values[2 * i] + this.values[2 * i + 1]) / 2;
    }
    this.steps.length = this.values.length = POINTS / 2;
    this.stride *= 2;
  }
}

export class Session {
  /** @param {object} settings as in `checked`; @param {number} seeds how many models, with seeds that follow. */
  constructor(settings, seeds) {
    this.trainers = [];
    for (let s = 0; s < seeds; s++) {
      // Past the last seed the first ones follow.
      const seed = ((settings.seed ?? 0) + s) % (SETTINGS.seed.high + 1);
      this.trainers.push(new Trainer({ ...settings, seed }));
    }
    this.curves = this.trainers.map(() => new Curve());
    this.failed = this.trainers.map(() => false);
  }

  /** Steps of the models that still train; one that has failed stays behind. */
  get steps() {
    return Math.max(...this.trainers.map((trainer) => trainer.steps));
  }

  /** The settings that all models share, with the first one's seed. */
  get settings() {
    return this.trainers[0].settings;
  }

  /** Whether any model can still be trained. */
  get alive() {
    return this.failed.includes(false);
  }

  change(given) {
    for (const trainer of this.trainers) trainer.change(given);
  }

  /** Some steps of every model. One whose loss is no number any more stays as it is. */
  run(count) {
    this.trainers.forEach((trainer, s) => {
      if (this.failed[s]) return;
      for (let k = 0; k < count; k++) {
        trainer.step();
        this.curves[s].add(trainer.steps, trainer.loss);
      }
      this.failed[s] = !trainer.finite;
    });
  }

  /** Train for some milliseconds, at most so many steps; returns how many were done. */
  runFor(milliseconds, most = Infinity) {
    const begin = performance.now();
    let done = 0;
    let chunk = 1;
    while (done < most && this.alive) {
      const count = Math.min(chunk, most - done);
      this.run(count);
      done += count;
      const spent = performance.now() - begin;
      if (spent >= milliseconds) break;
      chunk = Math.max(1, Math.min(4 * chunk, Math.floor((done / spent) * (milliseconds - spent) * 0.5)));
    }
    return done;
  }

  /** What is shown: copies, so that training can go on meanwhile. */
  frame() {
    return {
      settings: this.settings,
      steps: this.steps,
      alive: this.alive,
      models: this.trainers.map(({ model, loss, settings }, s) => ({
        seed: settings.seed,
        loss,
        failed: this.failed[s],
        W: Array.from(model.W),
        out: model.tied ? null : Array.from(model.out),
        b: model.endBias ? Array.from(model.b) : null,
        b_hidden: model.hiddenBias ? Array.from(model.bHidden) : null,
        curve: { steps: this.curves[s].steps.slice(), values: this.curves[s].values.slice() },
      })),
    };
  }
}

/**
 * The worker's side of the page: messages in, frames out.
 *
 * A frame is only sent once the page has drawn the one before, so that frames never queue up on a slow page.
 * Each names the start it belongs to, so that a page which has begun anew knows the late ones of the run before.
 * @param post sends a message; @param later calls a function soon, after what has arrived meanwhile.
 * @returns what to call with a message
 */
export function serve(post, later = (turn) => setTimeout(turn, 0)) {
  let session = null;
  let run = 0;
  let playing = false;
  let perFrame = Infinity; // steps in a frame
  let ticking = false;
  let undrawn = false; // the page has a frame that it has not drawn yet
  let measured = { at: 0, steps: 0, rate: 0 };

  const show = () => {
    const now = performance.now();
    if (now - measured.at > 500) {
      measured = { at: now, steps: session.steps, rate: (1000 * (session.steps - measured.steps)) / (now - measured.at) };
    }
    undrawn = true;
    post({ kind: "frame", run, playing, rate: playing ? measured.rate : 0, ...session.frame() });
  };
  const due = () => playing && !(perFrame < Infinity && undrawn);
  const tick = () => {
    ticking = false;
    if (!due()) return;
    // Short turns, so that a message never waits for long.
    session.runFor(perFrame < Infinity ? 200 : 14, perFrame);
    if (!session.alive) playing = false;
    if (!undrawn || !playing) show();
    go();
  };
  const go = () => {
    if (due() && !ticking) {
      ticking = true;
      later(tick);
    }
  };

  return (message) => {
    switch (message.kind) {
      case "start":
        session = new Session(message.settings, message.seeds);
        run = message.run;
        perFrame = message.perFrame ?? Infinity;
        measured = { at: performance.now(), steps: 0, rate: 0 };
        playing = message.play;
        show();
        break;
      case "play":
        measured = { at: performance.now(), steps: session.steps, rate: 0 };
        playing = session.alive;
        show();
        break;
      case "pause":
        playing = false;
        show();
        break;
      case "step":
        playing = false;
        session.run(1);
        show();
        break;
      case "change":
        session.change(message.settings);
        show();
        break;
      case "speed":
        perFrame = message.perFrame;
        break;
      case "drawn":
        undrawn = false;
        break;
      default:
        throw new Error(`unknown message ${message.kind}`);
    }
    go();
  };
}
