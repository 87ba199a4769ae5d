// Thumbnails that are loaded and decoded before they are wanted.

import { make } from "./page.js";

export class Pictures {
  #held = new Map();

  /** The element of an image, loading or loaded. */
  get(id) {
    let picture = this.#held.get(id);
    if (!picture) {
      picture = make("img", { decoding: "sync", draggable: false, className: "picture" });
      picture.src = `/image/${id}`;
      picture.decode().catch(() => {});
      this.#held.set(id, picture);
    }
    return picture;
  }

  /** A small one: it comes out of the browser's cache. */
  small(id) {
    return make("img", { src: `/image/${id}`, alt: "", decoding: "async", draggable: false });
  }

  /** Forget all but these. */
  keep(ids) {
    const wanted = new Set(ids);
    for (const id of this.#held.keys()) if (!wanted.has(id)) this.#held.delete(id);
  }
}
