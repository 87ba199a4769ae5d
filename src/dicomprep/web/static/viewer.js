// One image of a series at full resolution: its slices run by wheel, keys and drag, drawn from the values themselves.
//
// As long as no window is chosen a slice looks as its thumbnail does.

import { Cine } from "./cine.js";
import { ARROWS, findAct } from "./keys.js";
import { make } from "./page.js";
import { Pointer, stepsOf } from "./pointer.js";
import { Screen } from "./screen.js";
import { Stack } from "./stack.js";
import { Tags } from "./tags.js";
import { TOOLS, Toolbar } from "./toolbar.js";

const PAGE = 10;
const TAP_PIXELS = 4;

export class Viewer {
  painted = () => {}; // a slice has been drawn
  moved = () => {}; // the slice that is wanted has changed
  act = (name) => this.run(name); // what a button does

  #stack = null;
  #number = 0; // of stacks
  #at = 0;
  #screen;
  #tags = new Tags();
  #cine = new Cine(() => this.#advance(), () => this.#showTools());
  #tool = null; // null: what suits the series
  #dragged = 0;
  #due = false;

  constructor() {
    this.toolbar = new Toolbar((name) => this.act(name), (number) => this.#choose(number));
    this.#screen = new Screen(this.toolbar.readout);
    this.field = this.#screen.field;
    this.field.append(this.#tags.element);
    this.element = make("div", { className: "viewer" }, this.field, this.toolbar.element);
    this.pointer = new Pointer(this.field, this.#acts());
    this.field.addEventListener("dblclick", () => this.#screen.measure.active || this.run("fit"));
    this.toolbar.slider.addEventListener("input", () => this.turn(Number(this.toolbar.slider.value)));
    this.toolbar.slider.addEventListener("change", () => this.toolbar.slider.blur());
    new ResizeObserver(() => this.#redraw()).observe(this.field);
  }

  /** Show a frame (from 0) of the file behind an image, if it is the one of this digest. */
  open(id, frame, digest) {
    this.#cine.stop();
    const known = this.#stack?.find(id, frame, digest) ?? -1;
    if (known >= 0) this.#at = this.#stack.home = known;
    else this.#begin(new Stack(id, frame, digest));
    this.#show(0);
  }

  /** Call the slice that is opened so, once another one is seen. */
  name(label) {
    this.#screen.label = label;
  }

  /** Nothing is loaded any more. */
  close() {
    this.#cine.stop();
    this.#stack?.close();
    this.#stack = null;
  }

  /** How places of the source, (row, column), lie in the field, [x, y] from its upper left corner. */
  get lies() {
    const { view, shown } = this.#screen;
    const { scale } = shown.frame;
    const center = () => [this.field.clientWidth / 2, this.field.clientHeight / 2];
    return {
      toField: ([row, column]) => view.toField([column * scale, row * scale]).map((part, axis) => part + center()[axis]),
      toSource: (at) => view.toImage(at.map((part, axis) => part - center()[axis])).map((part) => part / scale).reverse(),
    };
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
    if (this.#screen.measure.active && this.#screen.shown && Object.hasOwn(ARROWS, key)) {
      this.#change(() => this.#screen.measure.moveCursor(ARROWS[key], this.#screen.center));
    } else if (this.#screen.measure.active && this.#screen.shown && key === "Enter") {
      this.#change(() => this.#screen.point(this.#screen.measure.cursor ?? this.#screen.center));
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
    if (this.#screen.shown) this.#redraw();
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
      play: () => this.#stack.slices.length > 1 && this.#cine.toggle(this.#screen.shown?.frame.frames_per_second),
      stop: () => this.#use(null),
      remove: () => this.#screen.measure.remove(this.#screen.shown?.slice),
      default: () => this.#choose(0),
      full: () => this.#choose((this.#screen.shown?.frame.presets.length ?? 0) + 1),
      invert: () => (this.#screen.windows.inverted = !this.#screen.windows.inverted),
      sideways: () => this.#screen.view.flip(true),
      upside: () => this.#screen.view.flip(false),
      rotate: () => this.#screen.view.rotate(),
      zoom: () => this.#screen.view.step(),
      fit: () => this.#screen.view.fit(),
      true: () => this.#screen.view.trueSize(),
      tags: () => this.#tags.toggle(this.#screen.shown?.slice),
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
      pinch: (factor, at, by) => this.#change(() => (this.#screen.view.magnify(factor, at), this.#screen.view.pan(by))),
      wheel: (step, event) => {
        if (this.#stack.slices.length > 1 && !event.ctrlKey) this.turn(this.#at + step);
        else this.#change(() => this.#screen.view.magnify(step > 0 ? 0.8 : 1.25, this.pointer.at(event)));
      },
      point: (tool, at) => {
        if (this.#isMeasuring(tool)) this.#change(() => this.#screen.point(this.#screen.view.toImage(at)));
      },
      lift: (tool, at, dragged) => {
        const place = this.#screen.view.toImage(at);
        const continues = dragged && this.#isMeasuring(tool) && this.#screen.measure.continues(place, TAP_PIXELS);
        if (continues) this.#change(() => this.#screen.point(place));
      },
      hover: (at) => this.#change(() => this.#screen.hover(at), !this.#screen.measure.active),
    };
  }

  #isMeasuring(tool) {
    return this.#screen.measure.active && tool === this.#tool && this.#screen.shown !== null;
  }

  get #dragTool() {
    if (this.#tool === "scroll" && this.#stack?.slices.length < 2) return "pan";
    if (this.#tool || this.#stack?.slices.length > 1) return this.#tool ?? "scroll";
    return this.#screen.shown?.frame.kind === "gray" ? "window" : "pan";
  }

  #begin(stack) {
    this.#stack?.close();
    Object.assign(stack, { number: (this.#number += 1) });
    this.#stack = stack;
    this.#at = 0;
    this.#screen.clear();
    delete this.#screen.canvas.dataset.slices;
    this.#showTools();
    stack.learn().then(() => this.#learned(stack), () => {});
  }

  #learned(stack) {
    if (this.#stack !== stack) return;
    this.#at = stack.home;
    this.#screen.canvas.dataset.slices = stack.slices.length;
    stack.prefetch(this.#at, 0);
    this.#showTools();
    this.#redraw();
    this.moved();
  }

  /** Draw the slice that is wanted as soon as it is here. */
  #show(direction) {
    const stack = this.#stack;
    if (!this.#screen.shown) this.toolbar.readout.textContent = "Loading…";
    stack.prefetch(this.#at, direction);
    this.toolbar.slider.value = this.#at;
    if (!stack.get(this.#at)) stack.fetching ??= this.#fetch(stack).finally(() => (stack.fetching = null));
    else if (direction) this.#redraw();
    else this.#draw();
  }

  /** Fetch what is wanted, one slice after the other: who scrolls faster than they come sees each that does. */
  async #fetch(stack) {
    while (this.#stack === stack && !stack.get(this.#at)) {
      const { id, frame, digest } = stack.slices[this.#at];
      let loaded = null;
      let trouble = "";
      try {
        loaded = await stack.load(this.#at);
      } catch (error) {
        trouble = error.message;
      }
      if (this.#stack !== stack) return;
      const number = stack.find(id, frame, digest);
      if (loaded) this.#draw(loaded, number);
      else if (number === this.#at) this.#screen.fail(trouble);
      if (number === this.#at) return;
    }
    if (this.#stack === stack) this.#draw();
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

  #change(deed, isDrawn = false) {
    if (!this.#screen.shown) return;
    deed();
    if (!isDrawn) this.#redraw();
  }

  #redraw() {
    if (this.#due) return;
    this.#due = true;
    requestAnimationFrame(() => {
      this.#due = false;
      if (this.#stack) this.#draw();
    });
  }

  /** Draw a slice; that which is wanted, or as long as that has not come the one before again. */
  #draw(loaded = this.#stack.get(this.#at), at = this.#at) {
    const { slices, home, number: series } = this.#stack;
    const { shown } = this.#screen;
    const number = loaded ? at : shown && this.#stack.find(shown.slice.id, shown.slice.frame, shown.slice.digest);
    const frame = loaded ?? shown?.frame;
    if (!frame || number < 0) return; // of a moment ago, when the series was not known
    this.#screen.draw({ slice: slices[number], frame, number, count: slices.length, home }, series);
    this.toolbar.offer(this.#screen.windows.names(frame), frame.kind === "rgb");
    if (!this.#screen.windows.current) this.toolbar.presets.value = 0;
    this.#tags.follow(slices[number]);
    this.painted(slices[number]);
  }

  #drag(tool, by, at) {
    const { shown, view, windows } = this.#screen;
    if (!shown) return;
    this.#screen.hover(at);
    if (tool === "pan") view.pan(by);
    else if (tool === "window" && shown.frame.kind === "gray") windows.drag(shown.frame, by);
    else if (tool === "scroll") this.#scroll(by[1]);
    this.#redraw();
  }

  #scroll(down) {
    const steps = stepsOf(this.#dragged + down, this.field.clientHeight / this.#stack.slices.length);
    this.#dragged += down - steps.pixels;
    if (steps.count) this.turn(this.#at + steps.count);
  }

  /** The default window, one of the presets, or the full range. */
  #choose(number) {
    if (!this.#screen.shown || !this.#screen.windows.choose(this.#screen.shown.frame, number)) return;
    this.toolbar.presets.value = number;
    this.#redraw();
  }

  #use(tool) {
    this.#tool = tool;
    this.#screen.measure.use(tool);
  }

  #reset() {
    this.#screen.reset();
    this.#use(null);
  }

  #showTools() {
    const count = this.#stack?.slices.length ?? 0;
    const pressed = { invert: this.#screen.windows.inverted, tags: this.#tags.open };
    this.toolbar.show({ tool: this.#dragTool, pressed, playing: this.#cine.playing, count, at: this.#at });
    this.field.dataset.tool = this.#dragTool;
  }
}
