// All images of a series, study or patient, to be labeled as one.

import { address, countOf, get, make } from "./page.js";

const IN_SIGHT = 60; // images that are loaded at once: a label counts when they have been painted
const KEPT = 6; // units whose lists are kept
const SIZES = [112, 176, 272];

export class Grid {
  element = make("div", { className: "unit", tabIndex: 0 });
  #units = new Map(); // by id: what there is of each
  #size = 0;

  /** Ask for what a unit consists of, before it is wanted. */
  load(id) {
    if (!this.#units.has(id)) {
      const loading = get(`/unit/${id}`);
      this.#units.set(id, loading);
      loading.catch(() => this.#units.delete(id));
      if (this.#units.size > KEPT) this.#units.delete(this.#units.keys().next().value);
    }
    return this.#units.get(id);
  }

  /** Show a unit; when it is before the eyes, how many of the images in sight are there. */
  async open(item, chosen) {
    this.element.setAttribute("aria-label", `All images of the ${item.unit}`);
    this.element.replaceChildren(make("p", { className: "about-unit" }, "Loading…"));
    const { series, more } = await this.load(item.id);
    const pictures = [];
    const parts = series.map(({ title, images }) => this.#show(title, images, pictures, chosen));
    const rest = make("a", { href: `/gallery?patient=${item.id}` }, "More images: open the gallery");
    this.element.replaceChildren(...parts, ...(more ? [rest] : []));
    this.#resize();
    const loaded = await Promise.allSettled(pictures.slice(0, IN_SIGHT).map((picture) => picture.decode()));
    return loaded.filter(({ status }) => status === "fulfilled").length;
  }

  #show(title, images, pictures, chosen) {
    const tiles = images.map(([id, frame, digest], number) => {
      const loading = pictures.length < IN_SIGHT ? "eager" : "lazy";
      const picture = make("img", { src: address(id, digest), alt: "", loading, decoding: "async", draggable: false });
      const tile = make("button", { className: "piece" }, picture);
      tile.setAttribute("aria-label", `${title}, image ${number + 1} of ${images.length}: open the original`);
      picture.addEventListener("error", () => tile.replaceChildren(make("span", {}, "file missing")));
      tile.addEventListener("click", () => chosen({ id, frame, digest }));
      pictures.push(picture);
      return tile;
    });
    const heading = make("h2", {}, `${title} · ${countOf(images.length, "image")}`);
    return make("section", {}, heading, make("div", { className: "pieces" }, ...tiles));
  }

  /** Larger images, or small ones again. */
  zoom() {
    this.#size = (this.#size + 1) % SIZES.length;
    this.#resize();
  }

  #resize() {
    for (const pieces of this.element.querySelectorAll(".pieces")) {
      pieces.style.gridTemplateColumns = `repeat(auto-fill, minmax(${SIZES[this.#size]}px, 1fr))`;
    }
  }
}
