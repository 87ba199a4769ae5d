// Thumbnails that are loaded and decoded before they are wanted.

import { address, make } from "./page.js";

export class Pictures {
  #held = new Map();
  #digests = new Map();

  /** Take in which picture each image is now; one that was held and is another is forgotten. */
  learn(digests) {
    for (const [key, digest] of Object.entries(digests)) {
      const id = Number(key);
      if (this.#digests.get(id) !== digest) this.#held.delete(id);
      this.#digests.set(id, digest);
    }
  }

  /** The element of an image, loading or loaded: `dataset.state` is "loading", "ready" or "missing". */
  get(id) {
    let picture = this.#held.get(id);
    if (!picture) {
      picture = make("img", { decoding: "sync", draggable: false, className: "picture" });
      picture.dataset.digest = this.#digests.get(id) ?? "";
      picture.dataset.state = "loading";
      picture.src = address(id, this.#digests.get(id));
      picture.ready = picture.decode().then(
        () => (picture.dataset.state = "ready"),
        () => (picture.dataset.state = "missing"),
      );
      this.#held.set(id, picture);
    }
    return picture;
  }

  /** A small one: it comes out of the browser's cache. */
  small(id) {
    const src = address(id, this.#digests.get(id));
    return make("img", { src, alt: "", decoding: "async", draggable: false });
  }

  /** Forget one that is missing, so that it is asked for again. */
  forget(id) {
    this.#held.delete(id);
  }

  /** Forget all but these. */
  keep(ids) {
    const wanted = new Set(ids);
    for (const id of this.#held.keys()) if (!wanted.has(id)) this.#held.delete(id);
  }
}
