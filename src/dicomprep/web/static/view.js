// How an image lies in its field: zoom, pan, turns and flips. Places of the image are [x, y] in pixels of the canvas,
// from the outer corner of the first; places of the field are [x, y] in pixels of the screen, from its center.

const LARGEST = 32;
const UPRIGHT = [1, 0, 0, 1]; // [right of the image → right, down; down of the image → right, down]
const OPPOSITE = { L: "R", R: "L", A: "P", P: "A", H: "F", F: "H" };

export class View {
  scale = 1;
  offset = [0, 0];
  #turned = UPRIGHT;
  #size = [1, 1, 1];
  #box = [1, 1];

  /** Which image in which field: columns, rows and height over width of a pixel; width and height. */
  measure([columns, rows, aspect], [width, height]) {
    this.#size = [columns, rows, aspect];
    this.#box = [Math.max(1, width), Math.max(1, height)];
  }

  /** The whole image, centered. */
  fit() {
    this.scale = 1;
    this.offset = [0, 0];
  }

  /** Upright again, as a whole. */
  reset() {
    this.#turned = UPRIGHT;
    this.fit();
  }

  /** By a quarter turn, clockwise. */
  rotate() {
    const [a, b, c, d] = this.#turned;
    this.#turned = [-b, a, -d, c];
    this.offset = [-this.offset[1], this.offset[0]];
  }

  /** Left for right as it is seen, or top for bottom. */
  flip(sideways) {
    const [a, b, c, d] = this.#turned;
    this.#turned = sideways ? [-a, b, -c, d] : [a, -b, c, -d];
    this.offset = sideways ? [-this.offset[0], this.offset[1]] : [this.offset[0], -this.offset[1]];
  }

  /** One pixel of the image on one of the screen. */
  trueSize() {
    this.offset = [0, 0];
    this.scale = this.trueScale;
  }

  get trueScale() {
    return 1 / this.#fitted / (window.devicePixelRatio || 1);
  }

  /** Twice as large; the whole again after the largest. */
  step() {
    if (this.scale * 2 > Math.max(8, this.trueScale * 2)) this.fit();
    else this.scale *= 2;
  }

  /** Larger by a factor, with the place under a point of the field staying there. */
  magnify(factor, from) {
    const before = this.scale;
    this.scale = Math.min(LARGEST, Math.max(1, before * factor));
    const grown = this.scale / before;
    this.offset = this.offset.map((offset, axis) => from[axis] - (from[axis] - offset) * grown);
    if (this.scale === 1) this.offset = [0, 0];
  }

  pan(by) {
    this.offset = [this.offset[0] + by[0], this.offset[1] + by[1]];
  }

  /** Pixels of the screen that a column of the image takes. */
  get pixelWidth() {
    return this.#fitted * this.scale;
  }

  /** Where a place of the image is in the field. */
  toField([x, y]) {
    const [columns, rows, aspect] = this.#size;
    const [a, b, c, d] = this.#turned;
    const across = (x - columns / 2) * this.pixelWidth;
    const down = (y - rows / 2) * aspect * this.pixelWidth;
    return [a * across + c * down + this.offset[0], b * across + d * down + this.offset[1]];
  }

  /** Which place of the image is there. */
  toImage([left, top]) {
    const [columns, rows, aspect] = this.#size;
    const [a, b, c, d] = this.#turned;
    const [x, y] = [left - this.offset[0], top - this.offset[1]];
    return [(a * x + b * y) / this.pixelWidth + columns / 2, (c * x + d * y) / this.pixelWidth / aspect + rows / 2];
  }

  /** Lay a canvas so. */
  place(canvas) {
    const [columns, rows, aspect] = this.#size;
    const [x, y] = this.offset;
    canvas.style.width = `${columns * this.#fitted}px`;
    canvas.style.height = `${rows * aspect * this.#fitted}px`;
    const turned = `matrix(${this.#turned.join(", ")}, 0, 0)`;
    canvas.style.transform = `translate(-50%, -50%) translate(${x}px, ${y}px) scale(${this.scale}) ${turned}`;
    canvas.style.imageRendering = this.pixelWidth > 3 ? "pixelated" : "auto";
  }

  /** What lies at the top, right, bottom and left, by what right and down of the image are in the patient. */
  letters(directions) {
    if (!directions) return ["", "", "", ""];
    const [a, b, c, d] = this.#turned;
    const along = (x, y) => (x ? name(directions[0], x) : name(directions[1], y));
    return [along(-b, -d), along(a, c), along(b, d), along(-a, -c)];
  }

  get #fitted() {
    const [columns, rows, aspect] = this.#size;
    const [width, height] = this.#turned[0] ? [columns, rows * aspect] : [rows * aspect, columns];
    return Math.min(this.#box[0] / width, this.#box[1] / height);
  }
}

function name(letters, sign) {
  return sign > 0 ? letters : [...letters].map((letter) => OPPOSITE[letter]).join("");
}
