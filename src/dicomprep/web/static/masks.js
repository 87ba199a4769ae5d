// Segments that files of the data set have drawn on an image: each in its color, over the image, on and off by a button.

import { make, within } from "./page.js";
import { unpack } from "./stack.js";

const COLORS = [[255, 99, 132], [64, 196, 255], [255, 214, 64], [120, 230, 120], [214, 130, 255], [255, 160, 80]];
const OPACITY = 110;
const FRACTIONS = 255; // what fractional segments have where they are certain

export class Masks {
  #shown = []; // {canvas, size}
  #turn = 0;

  constructor() {
    this.element = make("div", { className: "masks" });
    this.element.setAttribute("aria-hidden", "true");
    this.button = make("button", { type: "button", className: "masks-button", hidden: true });
    this.button.setAttribute("aria-pressed", "true");
    this.button.addEventListener("pointerdown", (event) => event.stopPropagation());
    this.button.addEventListener("click", () => {
      this.element.hidden = !this.element.hidden;
      this.button.setAttribute("aria-pressed", !this.element.hidden);
      this.button.blur();
    });
  }

  /** Fetch and draw masks, of an image of so many rows and columns. */
  async show(masks, source, laid) {
    const turn = (this.#turn += 1);
    this.clear();
    const names = [...new Set(masks.map(({ name }) => name))];
    this.button.hidden = !masks.length;
    this.button.textContent = `Segments: ${names.join(", ")}`;
    for (const mask of masks) {
      const frame = await fetchFrame(mask).catch(() => null);
      if (turn !== this.#turn) return;
      const size = frame && [frame.rows / frame.scale, frame.columns / frame.scale];
      if (!frame?.values || Math.abs(size[0] - source[0]) > 1 || Math.abs(size[1] - source[1]) > 1) continue;
      const canvas = paint(frame, mask.number, COLORS[names.indexOf(mask.name) % COLORS.length]);
      this.#shown.push({ canvas, source });
      this.element.append(canvas);
      laid();
    }
  }

  clear() {
    this.#shown = [];
    this.element.replaceChildren();
    this.button.hidden = true;
  }

  /** Lie as the image does. */
  lay({ toField }) {
    for (const { canvas, source } of this.#shown) {
      const [rows, columns] = source;
      const [origin, down, right] = [[0, 0], [rows, 0], [0, columns]].map(toField);
      const along = (end, pixels) => end.map((part, axis) => (part - origin[axis]) / pixels);
      const matrix = [...along(right, canvas.width), ...along(down, canvas.height), ...origin];
      canvas.style.transform = `matrix(${matrix.join(", ")})`;
    }
  }
}

async function fetchFrame({ id, frame, digest }) {
  const answer = await fetch(within(`/original/${id}/pixels?frame=${frame}&v=${digest}`));
  if (!answer.ok) throw new Error(await answer.text());
  return unpack(await answer.arrayBuffer());
}

/** Where a segment is: its number in a label map; else what is set, the fainter the less of a fractional one. */
function paint({ rows, columns, values, pixels }, number, [red, green, blue]) {
  const canvas = make("canvas", { width: columns, height: rows });
  const image = new ImageData(columns, rows);
  const most = pixels.reduce((best, code) => Math.max(best, values[code]), 0);
  const whole = number === null || most <= 1 ? 0 : Math.max(FRACTIONS, most);
  const alphas = [...values].map((value) => (value > 0 ? OPACITY * (whole ? value / whole : 1) : 0));
  for (let place = 0; place < pixels.length; place++) {
    if (alphas[pixels[place]]) image.data.set([red, green, blue, alphas[pixels[place]]], 4 * place);
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}
