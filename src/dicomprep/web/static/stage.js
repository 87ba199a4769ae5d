// Where the image is: as a thumbnail or as the original, whole or zoomed.

import { toSource, toThumbnail } from "./drawn.js";
import { Grid } from "./grid.js";
import { make } from "./page.js";
import { Pair } from "./pair.js";

const ZOOMS = [1, 2, 4];
const MISSING = "Image file missing: it cannot be labeled. `dicomprep verify --repair` regenerates it.";

export class Stage {
  #zoom = 0;
  #offset = [0, 0];
  #picture = null;
  #item = null;
  #viewer = null;
  #grid = null;
  #slice = null; // of a unit, what its original is opened at
  #original = false;
  #seen = null; // the item whose picture has been painted

  /** @param {() => void} opened called where a slice of a unit is chosen, to be seen as the original */
  constructor(place, annotate, opened) {
    this.place = place;
    this.annotate = annotate;
    this.opened = opened;
    new ResizeObserver(() => annotate.redraw()).observe(place);
    place.addEventListener("pointerdown", (event) => this.#drag(event));
  }

  /** Whether an item's picture is before the eyes: what nobody has seen cannot be labeled. */
  hasShown(item) {
    return this.#seen === item;
  }

  /** Whether what is there is this item with this picture. */
  isOf(item, picture) {
    return this.#item === item && this.#picture === picture;
  }

  /** Show an item by its loaded picture, or the original of it where that is wanted. */
  show(item, picture) {
    this.#item = item;
    this.#seen = null;
    this.place.setAttribute("aria-busy", "true"); // a key does not count yet
    this.#picture = picture;
    this.#zoom = 0;
    this.#offset = [0, 0];
    picture.alt = `${item.modality}, frame ${item.frame} of ${item.frames}`;
    this.#slice = { id: item.id, frame: item.frame - 1, digest: picture.dataset.digest };
    this.#draw();
  }

  /** Load what an item will show. */
  prefetch(item) {
    if (item.unit) this.#makeGrid().load(item.id).catch(() => {});
  }

  #draw() {
    const [item, picture] = [this.#item, this.#picture];
    if (this.#original) this.#open();
    else if (item.unit) this.#putUnit(item, picture);
    else {
      this.#transform();
      this.#put(item, picture);
    }
  }

  #putUnit(item, picture) {
    const grid = this.#makeGrid();
    this.place.replaceChildren(grid.element);
    this.annotate.clear();
    const isIt = () => this.#item === item && this.#picture === picture && !this.#original;
    const open = (slice) => {
      this.#slice = slice;
      this.opened();
    };
    grid.open(item, open).then(
      (count) => isIt() && count && this.#painted(item, picture),
      (error) => isIt() && this.place.replaceChildren(make("p", { className: "note" }, error.message)),
    );
  }

  #makeGrid() {
    this.#grid ??= new Grid();
    return this.#grid;
  }

  #put(item, picture) {
    if (picture.dataset.state === "missing") {
      this.place.replaceChildren(make("p", { className: "note missing" }, MISSING));
      return;
    }
    this.place.replaceChildren(picture);
    if (picture.dataset.state === "ready") this.#painted(item, picture);
    else picture.ready.then(() => this.#picture === picture && !this.#original && this.#put(item, picture));
  }

  /** No key comes between the last callback before a frame is painted and its painting. */
  #painted(item, picture) {
    requestAnimationFrame(() => {
      if (this.#item !== item || this.#picture !== picture) return;
      this.#seen = item;
      this.place.setAttribute("aria-busy", "false");
    });
    if (!this.#original && !item.unit) this.#annotate(this.place, item.id, picture.dataset.digest, (image) => this.#lies(image));
  }

  #annotate(place, id, digest, lies) {
    this.annotate.over(place);
    this.annotate.show(id, digest);
    this.annotate.lay(lies);
  }

  /** How places of the source lie on the stage, by where they lie in the thumbnail. */
  #lies(image) {
    const [width, height] = [this.place.clientWidth, this.place.clientHeight];
    const [rows, columns] = image.size;
    const pixel = Math.min(width / columns, height / rows) * ZOOMS[this.#zoom];
    const left = width / 2 - (columns / 2) * pixel + this.#offset[0];
    const top = height / 2 - (rows / 2) * pixel + this.#offset[1];
    return {
      toField: (place) => {
        const [x, y] = toThumbnail(image, place);
        return [left + x * pixel, top + y * pixel];
      },
      toSource: ([x, y]) => toSource(image, [(x - left) / pixel, (y - top) / pixel]),
    };
  }

  /** Nothing to show, and why: paragraphs of text and elements. */
  empty(...paragraphs) {
    this.#item = this.#picture = this.#seen = this.#slice = null;
    this.annotate.clear();
    this.place.setAttribute("aria-busy", "false");
    const lines = paragraphs.map((parts) => make("p", {}, ...parts));
    this.place.replaceChildren(make("div", { className: "note" }, ...lines));
  }

  /** The next step of magnification. */
  zoom() {
    if (this.#original) return this.#viewer.zoomStep();
    if (this.#item?.unit) return this.#grid.zoom();
    this.#zoom = (this.#zoom + 1) % ZOOMS.length;
    this.#offset = [0, 0];
    return this.#transform();
  }

  /** Thumbnail or original; whether it is the original now. */
  toggleOriginal() {
    this.#original = !this.#original;
    const seen = this.#seen;
    if (this.#item) this.#draw();
    this.#seen = seen; // whoever saw it has seen it
    return this.#original;
  }

  /** Do what a key says of the original; whether it says anything. */
  press(event) {
    return this.#original && this.#item !== null && this.#viewer.press(event.key, event.code);
  }

  #open() {
    this.#viewer ??= this.#makeViewer();
    this.place.replaceChildren(this.#viewer.element);
    this.#viewer.open(this.#slice.id, this.#slice.frame, this.#slice.digest);
  }

  #makeViewer() {
    const viewer = new Pair("to label");
    viewer.painted = ({ id, frame, digest }) => {
      const [item, picture] = [this.#item, this.#picture];
      const wanted = this.#slice;
      const isIt = wanted?.id === id && wanted.frame === frame && wanted.digest === digest;
      if (isIt && item && this.#original) this.#painted(item, picture);
      if (this.#original) this.#annotate(viewer.first.field, id, digest, viewer.first.lies);
    };
    return viewer;
  }

  #transform() {
    if (!this.#picture) return;
    const scale = ZOOMS[this.#zoom];
    const [x, y] = this.#offset;
    this.#picture.style.transform = scale === 1 ? "" : `translate(${x}px, ${y}px) scale(${scale})`;
    this.annotate.redraw();
  }

  #drag(event) {
    if (this.#original || this.#item?.unit || ZOOMS[this.#zoom] === 1) return;
    const [x, y] = [event.clientX - this.#offset[0], event.clientY - this.#offset[1]];
    this.place.setPointerCapture(event.pointerId);
    const move = (moved) => {
      this.#offset = [moved.clientX - x, moved.clientY - y];
      this.#transform();
    };
    this.place.addEventListener("pointermove", move);
    this.place.addEventListener("pointerup", () => this.place.removeEventListener("pointermove", move), { once: true });
  }
}
