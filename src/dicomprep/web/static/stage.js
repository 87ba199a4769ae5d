// Where the image is: as a thumbnail or as the original, whole or zoomed.

import { make } from "./page.js";
import { Viewer } from "./viewer.js";

const ZOOMS = [1, 2, 4];

export class Stage {
  #zoom = 0;
  #offset = [0, 0];
  #picture = null;
  #item = null;
  #viewer = null;
  #original = false;

  constructor(place) {
    this.place = place;
    place.addEventListener("pointerdown", (event) => this.#drag(event));
  }

  /** Show an item by its loaded picture, or the original of it where that is wanted. */
  show(item, picture) {
    this.#item = item;
    this.#picture = picture;
    this.#zoom = 0;
    picture.alt = `${item.modality}, frame ${item.frame} of ${item.frames}`;
    if (this.#original) this.#open();
    else {
      this.#transform();
      this.place.replaceChildren(picture);
    }
  }

  /** Nothing to show, and why. */
  empty(text) {
    this.#item = this.#picture = null;
    this.place.replaceChildren(make("p", { className: "note" }, text));
  }

  /** The next step of magnification. */
  zoom() {
    if (this.#original) return this.#viewer.zoomStep();
    this.#zoom = (this.#zoom + 1) % ZOOMS.length;
    this.#offset = [0, 0];
    return this.#transform();
  }

  /** Thumbnail or original; whether it is the original now. */
  toggleOriginal() {
    this.#original = !this.#original;
    if (this.#item) this.show(this.#item, this.#picture);
    return this.#original;
  }

  #open() {
    this.#viewer ??= new Viewer();
    this.place.replaceChildren(this.#viewer.element);
    this.#viewer.open(this.#item.id, this.#item.frame - 1);
  }

  #transform() {
    if (!this.#picture) return;
    const scale = ZOOMS[this.#zoom];
    const [x, y] = this.#offset;
    this.#picture.style.transform = scale === 1 ? "" : `translate(${x}px, ${y}px) scale(${scale})`;
  }

  #drag(event) {
    if (this.#original || ZOOMS[this.#zoom] === 1) return;
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
