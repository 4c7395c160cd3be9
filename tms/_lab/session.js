// Several seeds trained side by side, with what the page shows of them. No page here either: Node tests it.

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
      this.trainers.push(new Trainer({ ...settings, seed: (settings.seed ?? 0) + s }));
    }
    this.curves = this.trainers.map(() => new Curve());
    this.failed = this.trainers.map(() => false);
  }

  get steps() {
    return this.trainers[0].steps;
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

/** The worker's side of the page: messages in, frames out. `post` sends; returns what to call with a message. */
export function serve(post) {
  let session = null;
  let playing = false;
  let perFrame = Infinity; // steps in a frame
  let ticking = false;
  let measured = { at: 0, steps: 0, rate: 0 };

  const show = (extra = {}) => {
    const now = performance.now();
    if (now - measured.at > 500) {
      measured = { at: now, steps: session.steps, rate: (1000 * (session.steps - measured.steps)) / (now - measured.at) };
    }
    post({ kind: "frame", playing, rate: playing ? measured.rate : 0, ...session.frame(), ...extra });
  };
  const tick = () => {
    ticking = false;
    if (!playing || !session) return;
    // Short turns, so that a message never waits for long; the page is drawn at its own rate.
    session.runFor(14, perFrame);
    if (!session.alive) playing = false;
    show();
    go();
  };
  const go = () => {
    if (playing && !ticking) {
      ticking = true;
      setTimeout(tick, perFrame < Infinity ? 16 : 0);
    }
  };

  return (message) => {
    switch (message.kind) {
      case "start":
        session = new Session(message.settings, message.seeds);
        measured = { at: performance.now(), steps: 0, rate: 0 };
        playing = message.play;
        show({ begun: true });
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
      default:
        throw new Error(`unknown message ${message.kind}`);
    }
    go();
  };
}
