// A slice on the screen: the canvas, what is written and measured over it, and the line that describes it.

import { describeFrame, describeValue, nameImage, nameSlice } from "./describe.js";
import { Measure } from "./measure.js";
import { Overlay } from "./overlay.js";
import { make } from "./page.js";
import { View } from "./view.js";
import { Windows } from "./window.js";

export class Screen {
  label = ""; // what the page calls the slice that was opened; empty where it is of no importance
  view = new View();
  windows = new Windows();
  measure = new Measure(this.view);
  shown = null; // {slice, frame, number, count, home}
  #overlay = new Overlay();
  #image = null;
  #under = null; // the pointer, in the field
  #said = "";

  constructor(readout) {
    this.readout = readout;
    this.canvas = make("canvas", { className: "source" });
    this.canvas.setAttribute("role", "img");
    this.#overlay.clear();
    this.note = make("p", { className: "note", hidden: true });
    this.field = make("div", { className: "field" }, this.canvas, this.measure.layer, this.#overlay.element, this.note);
  }

  /** Nothing is shown until the first slice of another series comes. */
  clear() {
    this.shown = null;
    this.canvas.setAttribute("aria-label", "Loading");
    this.note.hidden = true;
    this.#said = "";
    this.view.fit();
  }

  /** Draw a slice of a series: {slice, frame, number, count, home}. */
  draw(shown, series) {
    this.shown = shown;
    this.note.hidden = true;
    const { frame } = shown;
    this.windows.use(frame.modality, frame.unit, series);
    this.#paint(frame);
    this.#lay();
    this.canvas.setAttribute("aria-label", nameImage(frame, shown, this.windows.describe(frame)));
    this.#say();
  }

  /** There is nothing to draw, and why. */
  fail(message) {
    this.shown = null;
    this.canvas.width = this.canvas.height = 1;
    this.canvas.setAttribute("aria-label", message);
    this.#overlay.clear();
    this.measure.layer.replaceChildren();
    this.note.textContent = this.readout.textContent = message;
    this.note.hidden = false;
  }

  /** Everything as it was at first. */
  reset() {
    this.windows.reset();
    this.view.reset();
    this.measure.clear();
    this.#said = "";
  }

  /** The middle of the image. */
  get center() {
    return [this.shown.frame.columns / 2, this.shown.frame.rows / 2];
  }

  /** Say the value under the pointer from now on; null where it has left. */
  hover(at) {
    this.#under = at;
    if (this.measure.active && at) this.measure.cursor = this.view.toImage(at);
    this.#say();
  }

  /** Set a point of a ruler or an angle. */
  point(place) {
    this.measure.cursor = place;
    this.#said = this.measure.add(this.shown.slice, this.shown.frame, place);
  }

  #paint(frame) {
    if (this.#image?.width !== frame.columns || this.#image.height !== frame.rows) {
      this.#image = new ImageData(frame.columns, frame.rows);
    }
    if (this.canvas.width !== frame.columns || this.canvas.height !== frame.rows) {
      this.canvas.width = frame.columns;
      this.canvas.height = frame.rows;
    }
    this.windows.paint(frame, new Uint32Array(this.#image.data.buffer));
    this.canvas.getContext("2d", { alpha: false }).putImageData(this.#image, 0, 0);
    this.canvas.dataset.frame = this.shown.slice.frame;
    this.canvas.dataset.slice = this.shown.number;
  }

  #lay() {
    const { frame, slice } = this.shown;
    const { width, height } = this.field.getBoundingClientRect();
    this.view.measure([frame.columns, frame.rows, frame.aspect], [width, height]);
    this.view.place(this.canvas);
    this.measure.draw(slice, frame, [width, height]);
    const said = { slice: nameSlice(this.shown, this.label), window: this.windows.describe(frame) };
    this.#overlay.draw({ ...said, frame, view: this.view, width });
  }

  #say() {
    const { frame } = this.shown;
    const parts = describeFrame(frame, this.shown, this.windows.describe(frame), !this.windows.current);
    const value = this.#under && describeValue(frame, this.view.toImage(this.#under));
    this.readout.textContent = [...parts, this.#said, value].filter(Boolean).join(" · ");
  }
}
