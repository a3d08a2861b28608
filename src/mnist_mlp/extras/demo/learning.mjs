// "Watch it learn": a fresh network is trained in this page, a few milliseconds in each frame, so that it stays awake.

import { makeBars, paintCurve, paintImage, showBars, WeightPictures } from "./charts.mjs";
import { element } from "./dom.mjs";
import { bestOf } from "./layers.mjs";
import { lesson, inkOf, readExamples } from "./lesson.mjs";
import { Learner } from "./training.mjs";
import { percent } from "./wording.mjs";

const BUSY = 25; // milliseconds of a frame; at 50 a person would feel it
const STEPS_A_SECOND = [2, 10, 50, 200, Infinity]; // of the positions from slower to faster
const PICTURES = 32; // units whose weights are shown
const BETWEEN_PICTURES = 100; // milliseconds
const SMOOTHING = 0.95; // weight of the previous point in the moving average of the loss

export class Learning {
  /** `question()` gives the image that a person wants answered, or undefined. */
  constructor(network, question) {
    Object.assign(this, { network, question });
    makeBars(element("fresh-bars"), network.classNames);
    element("train").onclick = () => this.toggle();
    element("anew").onclick = () => this.begin();
    const { training, labels } = network.lesson;
    const number = (count) => count.toLocaleString("en");
    element("learn-about").textContent =
      `A fresh ${network.widths.join("-")} network begins with random weights and learns from ${number(training)} ` +
      `training images, ${number(labels.length - training)} others test it. All of it happens in this page.`;
  }

  toggle() {
    if (this.isRunning) this.pause();
    else if (this.pieces) this.run();
    else this.begin();
  }

  async begin() {
    element("train").disabled = true;
    this.examples ??= await readExamples(this.network.lesson);
    element("train").disabled = element("anew").disabled = false;
    const { widths, activation, std } = this.network;
    this.learner = new Learner(widths, activation);
    this.pictures = new WeightPictures(element("fresh-weights"), this.learner.layers[0], PICTURES);
    this.pieces = lesson(this.learner, this.examples, { std, rate: () => Number(this.rateButton().value) });
    Object.assign(this, { losses: [], accuracies: [], epoch: 1, allowed: 0 });
    if (!this.isRunning) this.run();
  }

  rateButton() {
    return element("rates").querySelector(":checked");
  }

  run() {
    this.isRunning = true;
    element("train").textContent = "Pause";
    this.then = performance.now();
    this.painted = -Infinity;
    requestAnimationFrame(() => this.frame());
  }

  pause() {
    this.isRunning = false;
    element("train").textContent = "Go on";
  }

  frame() {
    if (!this.isRunning) return;
    const now = performance.now();
    const pace = STEPS_A_SECOND[Number(element("speed").value)];
    const gained = now > this.then ? (pace * (now - this.then)) / 1000 : 0; // the fastest pace is infinite: no 0 times it
    this.allowed = Math.min(this.allowed + gained, Math.max(pace / 10, 1));
    this.then = now;
    const isOver = this.work(now + BUSY);
    if (isOver || now - this.painted > BETWEEN_PICTURES) {
      this.painted = now;
      this.paint();
    }
    if (isOver) this.finish();
    else requestAnimationFrame(() => this.frame());
  }

  /** Does pieces of the lesson until it is time to show a frame; returns whether the lesson is over. */
  work(deadline) {
    while (this.allowed >= 1 && performance.now() < deadline) {
      const { done, value } = this.pieces.next();
      if (done) return true;
      if (value.loss !== undefined) {
        this.note(value);
        this.allowed--;
      }
      if (value.accuracy !== undefined) this.accuracies.push([value.step, value.accuracy]);
    }
    return false;
  }

  note({ step, epoch, loss }) {
    this.epoch = epoch;
    const [, before] = this.losses[this.losses.length - 1] ?? [0, loss];
    this.losses.push([step, SMOOTHING * before + (1 - SMOOTHING) * loss]);
  }

  finish() {
    this.pause();
    this.pieces = undefined;
    element("train").textContent = "Start";
  }

  show(palette) {
    this.palette = palette;
    this.paint();
  }

  paint() {
    const { palette, learner, losses = [], accuracies = [] } = this;
    const count = this.network.classNames.length;
    const guessing = Math.log(count);
    const loss = { most: 2 * Math.ceil(guessing / 2 + 0.01), mark: guessing, words: "guessing", tick: (value) => value.toFixed(0) };
    const share = { most: 1, mark: 1 / count, words: "guessing", tick: (value) => `${100 * value} %` };
    paintCurve(element("loss-curve"), losses, loss, palette);
    paintCurve(element("accuracy-curve"), accuracies, share, palette);
    if (learner) this.pictures.paint(palette);
    this.showAnswer();
    this.showProgress();
  }

  showAnswer() {
    const { learner, network, palette, examples } = this;
    const drawn = this.question();
    const image = drawn ?? examples?.tests[0].image;
    if (!image) return;
    paintImage(element("fresh-image"), image, palette);
    if (!learner) return;
    const probabilities = learner.answer(inkOf(image, network.std));
    if (!probabilities.every(Number.isFinite)) return;
    showBars(element("fresh-bars"), { probabilities, isSure: true });
    const name = network.classNames[bestOf(probabilities)[0]];
    element("fresh-words").textContent = `It takes ${drawn ? "your drawing" : "this test image"} for ${name}`;
  }

  showProgress() {
    const { learner, losses, accuracies, epoch } = this;
    if (!learner) return;
    const words = [`Epoch ${epoch}, step ${learner.steps.toLocaleString("en")}`];
    if (losses.length) words.push(`loss ${losses[losses.length - 1][1].toFixed(2)}`);
    if (accuracies.length) words.push(`right on ${percent(accuracies[accuracies.length - 1][1])} of the test images`);
    element("progress").textContent = `${words.join(", ")}.`;
    element("loss-curve").ariaLabel = element("accuracy-curve").ariaLabel = element("progress").textContent;
  }
}
