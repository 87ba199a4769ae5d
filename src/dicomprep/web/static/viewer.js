// One image of a series at full resolution: its slices run by wheel, keys and drag, drawn from the values themselves.
//
// As long as no window is chosen a slice looks as its thumbnail does.

import { Cine } from "./cine.js";
import { describeFrame, describeValue, nameImage, nameSlice } from "./describe.js";
import { ARROWS, findAct } from "./keys.js";
import { Measure } from "./measure.js";
import { Overlay } from "./overlay.js";
import { make } from "./page.js";
import { Pointer } from "./pointer.js";
import { Stack } from "./stack.js";
import { Tags } from "./tags.js";
import { TOOLS, Toolbar } from "./toolbar.js";
import { View } from "./view.js";
import { Windows } from "./window.js";

const PAGE = 10;
const DRAG_PIXELS = [4, 24]; // of a slice, in long and in short series
const TAP_PIXELS = 4;

export class Viewer {
  moved = () => {}; // the slice that is wanted has changed
  act = (name) => this.run(name); // what a button does
  label = ""; // what the page calls the slice that was opened; empty where it is of no importance

  #stack = null;
  #number = 0; // of stacks
  #at = 0;
  #shown = null; // {number, slice, frame}: what is on the screen
  #view = new View();
  #windows = new Windows();
  #measure = new Measure(this.#view);
  #overlay = new Overlay();
  #tags = new Tags();
  #cine = new Cine(() => this.#advance(), () => this.#showTools());
  #tool = null; // null: what suits the series
  #dragged = 0;
  #due = false;
  #image = null;
  #said = "";
  #under = null; // the pointer, in the field

  constructor() {
    this.canvas = make("canvas", { className: "source" });
    this.canvas.setAttribute("role", "img");
    this.toolbar = new Toolbar((name) => this.act(name), (number) => this.#choose(number));
    const layers = [this.canvas, this.#measure.layer, this.#overlay.element, this.#tags.element];
    this.field = make("div", { className: "field" }, ...layers);
    this.element = make("div", { className: "viewer" }, this.field, this.toolbar.element);
    this.pointer = new Pointer(this.field, this.#acts());
    this.field.addEventListener("dblclick", () => this.#measure.active || this.#change(() => this.#view.fit()));
    this.toolbar.slider.addEventListener("input", () => this.turn(Number(this.toolbar.slider.value)));
    this.toolbar.slider.addEventListener("change", () => this.toolbar.slider.blur());
    new ResizeObserver(() => this.#redraw()).observe(this.field);
  }

  /** Show a frame (from 0) of the file behind an image, if it is the one of this digest; whether it is drawn. */
  async open(id, frame, digest) {
    this.#cine.stop();
    const known = this.#stack?.find(id, frame, digest) ?? -1;
    if (known >= 0) this.#at = this.#stack.home = known;
    else this.#begin(new Stack(id, frame, digest));
    return this.#show(0);
  }

  /** Nothing is loaded any more. */
  close() {
    this.#cine.stop();
    this.#stack?.close();
    this.#stack = null;
  }

  /** The series: how many slices, which is wanted, where it lies; what another is to go with. */
  get where() {
    const { slices, space, orientation } = this.#stack;
    return { at: this.#at, count: slices.length, slices, space, orientation };
  }

  /** Go to a slice. */
  turn(number, { quietly = false } = {}) {
    const to = Math.min(this.#stack.slices.length - 1, Math.max(0, number));
    const direction = Math.sign(to - this.#at);
    if (!direction) return;
    if (!quietly) this.#cine.stop();
    this.#at = to;
    this.#show(direction);
    if (!quietly) this.moved();
  }

  /** Do what a key says; whether it says anything here. */
  press(key, code = "") {
    if (!this.#stack) return false;
    if (this.#measure.active && this.#shown && Object.hasOwn(ARROWS, key)) {
      this.#change(() => this.#measure.moveCursor(ARROWS[key], this.#center));
    } else if (this.#measure.active && this.#shown && key === "Enter") {
      this.#change(() => this.#point(this.#measure.cursor ?? this.#center));
    } else {
      const act = findAct(key, code);
      if (act === undefined) return false;
      if (typeof act === "number") this.#choose(act);
      else this.run(act);
    }
    return true;
  }

  /** Do what a button or a key is called. */
  run(act) {
    if (TOOLS.includes(act)) this.#use(act);
    else this.#deeds[act]();
    this.#showTools();
    if (this.#shown) this.#redraw();
  }

  get #deeds() {
    const by = (steps) => () => this.turn(this.#at + steps);
    return {
      previous: by(-1),
      next: by(1),
      back: by(-PAGE),
      on: by(PAGE),
      first: () => this.turn(0),
      last: () => this.turn(this.#stack.slices.length - 1),
      home: () => this.turn(this.#stack.home),
      play: () => this.#stack.slices.length > 1 && this.#cine.toggle(this.#shown?.frame.frames_per_second),
      stop: () => this.#use(null),
      remove: () => this.#measure.remove(this.#shown?.slice),
      default: () => this.#choose(0),
      full: () => this.#choose((this.#shown?.frame.presets.length ?? 0) + 1),
      invert: () => (this.#windows.inverted = !this.#windows.inverted),
      sideways: () => this.#view.flip(true),
      upside: () => this.#view.flip(false),
      rotate: () => this.#view.rotate(),
      zoom: () => this.#view.step(),
      fit: () => this.#view.fit(),
      true: () => this.#view.trueSize(),
      tags: () => this.#tags.toggle(this.#shown?.slice),
      reset: () => this.#reset(),
    };
  }

  #acts() {
    return {
      tool: (event) => {
        this.#dragged = 0;
        if (event.button === 2) return "window";
        return event.button === 1 || event.shiftKey ? "pan" : this.#dragTool;
      },
      drag: (tool, by, at) => this.#drag(tool, by, at),
      pinch: (factor, at, by) => this.#change(() => (this.#view.magnify(factor, at), this.#view.pan(by))),
      wheel: (step, event) => {
        if (this.#stack.slices.length > 1 && !event.ctrlKey) this.turn(this.#at + step);
        else this.#change(() => this.#view.magnify(step > 0 ? 0.8 : 1.25, this.pointer.at(event)));
      },
      point: (tool, at) => this.#isMeasuring(tool) && this.#change(() => this.#point(this.#view.toImage(at))),
      lift: (tool, at, dragged) => {
        const place = this.#view.toImage(at);
        const continues = dragged && this.#isMeasuring(tool) && this.#measure.continues(place, TAP_PIXELS);
        if (continues) this.#change(() => this.#point(place));
      },
      hover: (at) => this.#shown && this.#hover(at),
    };
  }

  #isMeasuring(tool) {
    return this.#measure.active && tool === this.#tool && this.#shown !== null;
  }

  get #dragTool() {
    if (this.#tool === "scroll" && this.#stack?.slices.length < 2) return "pan";
    if (this.#tool || this.#stack?.slices.length > 1) return this.#tool ?? "scroll";
    return this.#shown?.frame.kind === "gray" ? "window" : "pan";
  }

  get #center() {
    return [this.#shown.frame.columns / 2, this.#shown.frame.rows / 2];
  }

  #begin(stack) {
    this.#stack?.close();
    Object.assign(stack, { number: (this.#number += 1) });
    this.#stack = stack;
    this.#at = 0;
    this.#shown = null;
    this.#said = "";
    delete this.canvas.dataset.slices;
    this.#view.fit();
    this.#showTools();
    stack.learn().then(() => this.#learned(stack), () => {});
  }

  #learned(stack) {
    if (this.#stack !== stack) return;
    this.#at = stack.home;
    if (this.#shown) Object.assign(this.#shown, { number: stack.home, slice: stack.slices[stack.home] });
    this.canvas.dataset.slices = stack.slices.length;
    stack.prefetch(this.#at, 0);
    this.#showTools();
    this.#redraw();
    this.moved();
  }

  /** Draw the slice that is wanted as soon as it is here; whether it was still wanted then. */
  async #show(direction) {
    const stack = this.#stack;
    const slice = stack.slices[this.#at];
    if (!this.#shown) this.toolbar.readout.textContent = "Loading…";
    stack.prefetch(this.#at, direction);
    this.toolbar.slider.value = this.#at;
    if (stack.get(this.#at) && direction) {
      this.#redraw();
      return true;
    }
    const isWanted = () => this.#stack === stack && stack.find(slice.id, slice.frame, slice.digest) === this.#at;
    try {
      const frame = await stack.load(this.#at);
      if (!isWanted()) return false;
      this.#draw(frame);
      return true;
    } catch (error) {
      if (isWanted()) this.#fail(error.message);
      return false;
    }
  }

  #fail(message) {
    this.#shown = null;
    this.canvas.width = this.canvas.height = 1;
    this.canvas.setAttribute("aria-label", message);
    this.#overlay.clear();
    this.#measure.layer.replaceChildren();
    this.toolbar.readout.textContent = message;
  }

  #advance() {
    const next = (this.#at + 1) % this.#stack.slices.length;
    if (!this.#stack.get(next)) {
      this.#stack.prefetch(this.#at, 1);
      this.#stack.load(next).catch(() => this.#cine.stop());
      return false;
    }
    this.#at = next;
    this.#show(1);
    this.moved();
    return true;
  }

  #change(deed) {
    if (!this.#shown) return;
    deed();
    this.#redraw();
  }

  #redraw() {
    if (this.#due) return;
    this.#due = true;
    requestAnimationFrame(() => {
      this.#due = false;
      if (this.#stack) this.#draw();
    });
  }

  #draw(frame = this.#stack.get(this.#at)) {
    if (frame) this.#shown = { number: this.#at, slice: this.#stack.slices[this.#at], frame };
    if (!this.#shown) return;
    this.#windows.use(this.#shown.frame.modality, this.#shown.frame.unit, this.#stack.number);
    this.#paint(this.#shown.frame);
    this.#lay();
    this.#name();
    this.#tags.follow(this.#shown.slice);
  }

  #paint(frame) {
    if (this.canvas.width !== frame.columns || this.canvas.height !== frame.rows || !this.#image) {
      this.canvas.width = frame.columns;
      this.canvas.height = frame.rows;
      this.#image = new ImageData(frame.columns, frame.rows);
    }
    this.#windows.paint(frame, new Uint32Array(this.#image.data.buffer));
    this.canvas.getContext("2d", { alpha: false }).putImageData(this.#image, 0, 0);
    this.canvas.dataset.frame = this.#shown.slice.frame;
    this.canvas.dataset.slice = this.#shown.number;
  }

  #lay() {
    const { frame, slice } = this.#shown;
    const { width, height } = this.field.getBoundingClientRect();
    this.#view.measure([frame.columns, frame.rows, frame.aspect], [width, height]);
    this.#view.place(this.canvas);
    this.#measure.draw(slice, frame, [width, height]);
    const window = this.#windows.describe(frame);
    this.#overlay.draw({ slice: nameSlice(this.#which, this.label), window, frame, view: this.#view, width });
  }

  /** Which slice is on the screen. */
  get #which() {
    return { number: this.#shown.number, count: this.#stack.slices.length, home: this.#stack.home };
  }

  #name() {
    const { frame } = this.#shown;
    this.canvas.setAttribute("aria-label", nameImage(frame, this.#which, this.#windows.describe(frame)));
    this.toolbar.offer(this.#windows.names(frame), frame.kind === "rgb");
    if (!this.#windows.current) this.toolbar.presets.value = 0;
    this.#say();
  }

  #say() {
    const { frame } = this.#shown;
    const parts = describeFrame(frame, this.#which, this.#windows.describe(frame), !this.#windows.current);
    const value = this.#under && describeValue(frame, this.#view.toImage(this.#under));
    this.toolbar.readout.textContent = [...parts, this.#said, value].filter(Boolean).join(" · ");
  }

  #hover(at) {
    this.#under = at;
    this.#say();
    if (!this.#measure.active || !at) return;
    this.#measure.cursor = this.#view.toImage(at);
    this.#redraw();
  }

  #point(place) {
    this.#measure.cursor = place;
    this.#said = this.#measure.add(this.#shown.slice, this.#shown.frame, place);
  }

  #drag(tool, by, at) {
    if (!this.#shown) return;
    this.#under = at;
    if (this.#isMeasuring(tool)) this.#measure.cursor = this.#view.toImage(at);
    else if (tool === "pan") this.#view.pan(by);
    else if (tool === "window" && this.#shown.frame.kind === "gray") this.#windows.drag(this.#shown.frame, by);
    else if (tool === "scroll") this.#scroll(by[1]);
    this.#redraw();
  }

  #scroll(down) {
    const [least, most] = DRAG_PIXELS;
    const pixels = Math.min(most, Math.max(least, this.field.clientHeight / this.#stack.slices.length));
    this.#dragged += down;
    const steps = Math.trunc(this.#dragged / pixels);
    this.#dragged -= steps * pixels;
    if (steps) this.turn(this.#at + steps);
  }

  /** The default window, one of the presets, or the full range. */
  #choose(number) {
    if (!this.#shown || !this.#windows.choose(this.#shown.frame, number)) return;
    this.toolbar.presets.value = number;
    this.#redraw();
  }

  #use(tool) {
    this.#tool = tool;
    this.#measure.use(tool);
  }

  #reset() {
    this.#windows.reset();
    this.#view.reset();
    this.#measure.clear();
    this.#said = "";
    this.#use(null);
  }

  #showTools() {
    const count = this.#stack?.slices.length ?? 0;
    for (const tool of TOOLS) this.toolbar.press(tool, tool === this.#dragTool);
    this.toolbar.press("invert", this.#windows.inverted);
    this.toolbar.press("tags", this.#tags.open);
    this.toolbar.play(this.#cine.playing, count > 1);
    this.toolbar.enable("scroll", count > 1);
    this.toolbar.slider.max = Math.max(0, count - 1);
    this.toolbar.slider.value = this.#at;
    this.toolbar.slider.hidden = count < 2;
    this.field.dataset.tool = this.#dragTool;
  }
}
