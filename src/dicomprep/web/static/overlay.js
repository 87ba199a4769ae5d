// What is written over an image: directions in the patient, which slice it is, its window, a scale.

import { make } from "./page.js";

const LENGTHS = [1, 2, 5];
const SHARE = 0.25; // of the field's width that the scale takes at most
const SIDES = ["top", "right", "bottom", "left"];

/** The longest of 1, 2, 5, 10 … mm that takes no more than some pixels; null without a spacing. */
export function chooseLength(mmOfPixel, pixels) {
  const most = mmOfPixel * pixels;
  if (!(most > 0)) return null;
  const ten = 10 ** Math.floor(Math.log10(most));
  const length = LENGTHS.map((one) => one * ten).filter((one) => one <= most * 1.0001).at(-1);
  return Number(length.toPrecision(1));
}

function nameLength(mm) {
  return mm >= 10 ? `${mm / 10} cm` : `${mm} mm`;
}

export class Overlay {
  constructor() {
    this.letters = SIDES.map((side) => make("span", { className: `letter ${side}` }));
    this.slice = make("span", { className: "corner first" });
    this.window = make("span", { className: "corner second" });
    this.bar = make("span", { className: "scale-bar" });
    this.element = make("div", { className: "overlay" }, ...this.letters, this.slice, this.window, this.bar);
    this.element.setAttribute("aria-hidden", "true"); // the canvas says the same
  }

  /** Say what is shown: the slice and the window in words, how the image lies, in a field of some width. */
  draw({ slice, window, frame, view, width }) {
    this.slice.textContent = slice;
    this.window.textContent = window;
    view.letters(frame.directions).forEach((letters, side) => (this.letters[side].textContent = letters));
    const mm = frame.spacing_mm ? frame.spacing_mm[1] / frame.scale / view.pixelWidth : 0;
    const length = chooseLength(mm, width * SHARE);
    this.bar.hidden = length === null;
    if (length === null) return;
    this.bar.textContent = nameLength(length) + (frame.is_at_detector ? " (detector)" : "");
    this.bar.style.width = `${length / mm}px`;
  }

  clear() {
    for (const one of [...this.letters, this.slice, this.window]) one.textContent = "";
    this.bar.hidden = true;
  }
}
