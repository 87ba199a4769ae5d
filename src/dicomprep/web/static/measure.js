// Rulers and angles on a slice, in mm where the spacing of its pixels is known, in pixels where it is not.

import { draw } from "./svg.js";
import { plain } from "./window.js";

const POINTS = { ruler: 2, angle: 3 };
const SHIFT = 8;

/** From one place to another in the source: mm, or pixels as wide as its columns. */
function step(frame, [x, y], [toX, toY]) {
  const [height, width] = frame.spacing_mm ?? [frame.aspect, 1];
  return [((toX - x) / frame.scale) * width, ((toY - y) / frame.scale) * height];
}

/** What a ruler or an angle measures, in words. */
export function measureShape(frame, points) {
  const [first, middle, last] = points;
  if (!last) {
    const unit = frame.spacing_mm ? (frame.is_at_detector ? "mm at the detector" : "mm") : "px";
    return `${plain(Math.hypot(...step(frame, first, middle)), 4)} ${unit}`;
  }
  const turn = (place) => Math.atan2(...step(frame, middle, place).reverse());
  const degrees = Math.abs(((turn(first) - turn(last)) * 180) / Math.PI);
  return `${plain(degrees > 180 ? 360 - degrees : degrees, 4)}°`;
}

const keyOf = ({ id, frame }) => `${id} ${frame}`;

export class Measure {
  cursor = null; // where the next point would be, in the image
  #kind = null;
  #points = [];
  #shapes = new Map(); // by slice

  constructor(view) {
    this.view = view;
    this.layer = draw("svg", { class: "marks", "aria-hidden": "true" });
  }

  /** Whether points are being set. */
  get active() {
    return this.#kind !== null;
  }

  /** Begin with rulers or angles; anything else ends it. */
  use(tool) {
    this.#kind = tool in POINTS ? tool : null;
    this.#points = [];
    if (!this.active) this.cursor = null;
  }

  /** Set a point of a slice; what is measured, once a shape has all its points. */
  add(slice, frame, place) {
    this.#points.push(place);
    if (this.#points.length < POINTS[this.#kind]) return "";
    const key = keyOf(slice);
    this.#shapes.set(key, [...(this.#shapes.get(key) ?? []), this.#points]);
    const said = `${this.#kind} ${measureShape(frame, this.#points)}`;
    this.#points = [];
    return said;
  }

  /** Whether a drag that ends elsewhere sets a point there. */
  continues(place, pixels) {
    const last = this.#points.at(-1);
    if (!last) return false;
    const [one, other] = [this.view.toField(last), this.view.toField(place)];
    return Math.hypot(one[0] - other[0], one[1] - other[1]) > pixels;
  }

  /** Move the cursor by pixels of the image, as they lie on the screen. */
  moveCursor([across, down], center) {
    const [x, y] = this.view.toField(this.cursor ?? center);
    const size = this.view.pixelWidth;
    this.cursor = this.view.toImage([x + across * size, y + down * size]);
  }

  /** Take back the newest point, else the newest shape. */
  remove(slice) {
    if (!this.#points.pop() && slice) this.#shapes.get(keyOf(slice))?.pop();
  }

  clear() {
    this.#shapes.clear();
    this.#points = [];
  }

  /** Draw what belongs to a slice. */
  draw(slice, frame, [width, height]) {
    this.layer.setAttribute("viewBox", `${-width / 2} ${-height / 2} ${width} ${height}`);
    const begun = this.#points.length && this.cursor ? [[...this.#points, this.cursor]] : [];
    const shapes = [...(this.#shapes.get(keyOf(slice)) ?? []), ...begun];
    const drawn = shapes.flatMap((points) => this.#shape(frame, points));
    if (this.active && this.cursor) drawn.push(this.#cross(this.cursor));
    this.layer.replaceChildren(...drawn);
  }

  #shape(frame, points) {
    const places = points.map((place) => this.view.toField(place));
    const line = places.map((place) => place.map((part) => part.toFixed(1)).join(",")).join(" ");
    const [x, y] = places.length > 2 ? places[1] : places.at(-1);
    const text = draw("text", { x: x + SHIFT, y: y - SHIFT }, measureShape(frame, points));
    return [draw("polyline", { points: line, class: "under" }), draw("polyline", { points: line }), text];
  }

  #cross(place) {
    const [x, y] = this.view.toField(place);
    return draw("path", { d: `M${x - SHIFT} ${y}h${2 * SHIFT}M${x} ${y - SHIFT}v${2 * SHIFT}` });
  }
}
