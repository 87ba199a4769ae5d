// The attributes of the file behind a slice: those that are terms and numbers; all others when they are asked for.

import { get, make } from "./page.js";

export class Tags {
  #slice = null;

  constructor() {
    this.element = make("div", { className: "tags", hidden: true, tabIndex: 0 });
    this.element.setAttribute("role", "region");
    this.element.setAttribute("aria-label", "Attributes of the file");
  }

  get open() {
    return !this.element.hidden;
  }

  toggle(slice) {
    this.element.hidden = this.open;
    this.#slice = null;
    this.follow(slice);
  }

  /** Show those of another slice, if they are shown at all. */
  follow(slice) {
    if (!this.open || !slice || this.#slice === slice) return;
    this.#slice = slice;
    this.#show(slice, false);
  }

  async #show(slice, everything) {
    try {
      const rows = await get(`/original/${slice.id}/tags?v=${slice.digest}${everything ? "&all=1" : ""}`);
      if (this.#slice !== slice) return;
      this.element.replaceChildren(this.#table(rows), ...(everything ? [] : [this.#more(slice)]));
    } catch (error) {
      this.element.replaceChildren(make("p", {}, error.message));
    }
  }

  #table(rows) {
    const table = make("table", {});
    for (const [tag, name, value] of rows) {
      table.append(make("tr", {}, make("td", {}, tag), make("th", { scope: "row" }, name), make("td", {}, value)));
    }
    return table;
  }

  #more(slice) {
    const more = make("button", { type: "button" }, "Show all tags, including names, dates and free text");
    more.addEventListener("click", () => this.#show(slice, true));
    return more;
  }
}
