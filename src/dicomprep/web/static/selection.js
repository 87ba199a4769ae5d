// Several images at once: by their buttons, with Ctrl and Shift, or by a rectangle; one key labels them all.

import { classOf, showChosen } from "./classes.js";
import { countOf, find, make, say } from "./page.js";

const MOST = Number(document.body.dataset.most);
const multi = document.body.dataset.multi === "yes";
const LEAST_DRAG = 6; // pixels

export class Selection {
  #chosen = new Map(); // digests by id
  #classes = new Set();
  #last = null; // the number that was chosen last
  #drag = null;
  #dragged = false;

  /** @param layout where which image is: {itemsOf, rowAt, within, count, columns}; label and undo: what keys do */
  constructor(place, layout) {
    Object.assign(this, { place, layout });
    place.addEventListener("click", (event) => this.#click(event));
    place.addEventListener("pointerdown", (event) => this.#press(event));
    addEventListener("pointermove", (event) => this.#move(event));
    addEventListener("pointerup", (event) => this.#release(event));
    addEventListener("pointercancel", () => this.#end());
    addEventListener("keydown", (event) => this.#key(event));
    find("unpick").addEventListener("click", () => this.clear());
    find("undo").addEventListener("click", () => layout.undo());
    find("picked").addEventListener("click", (event) => {
      const button = event.target.closest("[data-label], [data-key]");
      if (button?.dataset.label !== undefined) this.#choose(button.dataset.label);
      else if (button) this.#send([...this.#classes].join(","));
    });
  }

  /** Mark those of the cells in sight that are chosen. */
  show(cells) {
    for (const cell of cells) {
      const on = this.#chosen.has(Number(cell.dataset.id));
      cell.classList.toggle("chosen", on);
      cell.lastChild.setAttribute("aria-pressed", on);
    }
    this.place.classList.toggle("picking", this.#chosen.size > 0);
    find("picked").hidden = this.#chosen.size === 0;
    find("picked-count").textContent = `${countOf(this.#chosen.size, "image")} selected`;
  }

  clear() {
    this.#chosen.clear();
    this.#classes.clear();
    showChosen(this.#classes);
    this.layout.redraw();
  }

  #click(event) {
    const cell = event.target.closest(".cell");
    if (this.#dragged || !cell) {
      if (this.#dragged) event.preventDefault();
      this.#dragged = false;
      return;
    }
    const asked = event.target.closest(".pick") || event.ctrlKey || event.metaKey || event.shiftKey || this.#chosen.size;
    if (!asked) return;
    event.preventDefault();
    const number = Number(cell.dataset.number);
    if (event.shiftKey && this.#last !== null) this.#add(numbersBetween(this.#last, number));
    else this.#toggle(cell);
    this.#last = number;
  }

  #toggle(cell) {
    const id = Number(cell.dataset.id);
    if (this.#chosen.delete(id)) this.layout.redraw();
    else if (isMissing(cell)) say("Image file missing: it cannot be labeled.", true);
    else this.#add([Number(cell.dataset.number)]);
  }

  /** Choose the images of some numbers, as many as one command may label. */
  async #add(numbers) {
    const room = MOST - this.#chosen.size;
    const missing = new Set([...this.place.querySelectorAll(".cell")].filter(isMissing).map(({ dataset }) => Number(dataset.id)));
    try {
      const items = await this.layout.itemsOf(numbers.slice(0, MOST));
      const fresh = items.filter(([id]) => !this.#chosen.has(id) && !missing.has(id));
      for (const [id, digest] of fresh.slice(0, room)) this.#chosen.set(id, digest);
      if (numbers.length > MOST || fresh.length > room) say(`Up to ${MOST} images can be labeled at once.`, true);
    } catch (error) {
      say(error.message, true);
    }
    this.layout.redraw();
  }

  #press(event) {
    this.#dragged = false;
    const onBar = event.clientX > this.place.getBoundingClientRect().left + this.place.clientWidth;
    if (event.pointerType !== "mouse" || event.button !== 0 || onBar || event.target.closest(".pick")) return;
    this.#drag = { x: event.clientX, y: event.clientY, row: this.layout.rowAt(event.clientY), band: null };
  }

  #move(event) {
    const drag = this.#drag;
    if (!drag) return;
    if (!drag.band && Math.hypot(event.clientX - drag.x, event.clientY - drag.y) < LEAST_DRAG) return;
    if (!drag.band) this.place.append((drag.band = make("div", { className: "band" })));
    const box = this.place.getBoundingClientRect();
    Object.assign(drag.band.style, {
      left: `${Math.min(drag.x, event.clientX) - box.left}px`,
      top: `${Math.min(drag.y, event.clientY) - box.top + this.place.scrollTop}px`,
      width: `${Math.abs(event.clientX - drag.x)}px`,
      height: `${Math.abs(event.clientY - drag.y)}px`,
    });
  }

  #release(event) {
    const drag = this.#drag;
    if (drag?.band) {
      this.#dragged = true;
      const left = this.place.getBoundingClientRect().left;
      const rows = [drag.row, this.layout.rowAt(event.clientY)].sort((one, other) => one - other);
      const [from, to] = [drag.x - left, event.clientX - left].sort((one, other) => one - other);
      if (!event.ctrlKey && !event.metaKey && !event.shiftKey) this.#chosen.clear();
      this.#add(this.layout.within({ top: rows[0], bottom: rows[1], left: from, right: to }));
    }
    this.#end();
  }

  #end() {
    this.#drag?.band?.remove();
    this.#drag = null;
  }

  #key(event) {
    if (event.altKey || event.repeat || event.target.matches("input, select")) return;
    if ((event.ctrlKey || event.metaKey) && event.key === "a") {
      event.preventDefault();
      this.#add(numbersBetween(0, Math.min(this.layout.count() - 1, MOST)));
      return;
    }
    if (event.ctrlKey || event.metaKey) return;
    const name = classOf(event.key);
    if (event.key === "Escape") this.clear();
    else if (event.key === "u") this.layout.undo();
    else if (this.#chosen.size && name !== undefined) this.#choose(name);
    else if (this.#chosen.size && multi && event.key === "Enter" && !event.target.matches("a, button")) this.#send([...this.#classes].join(","));
    else return;
    event.preventDefault();
  }

  #choose(name) {
    if (!multi) return this.#send(name);
    if (!this.#classes.delete(name)) this.#classes.add(name);
    return showChosen(this.#classes);
  }

  #send(text) {
    const chosen = [...this.#chosen];
    this.clear();
    if (chosen.length) this.layout.label(chosen, text);
  }
}

/** A picture that was not painted cannot be judged. */
function isMissing(cell) {
  const picture = cell.querySelector("img");
  return picture.complete && !picture.naturalWidth;
}

function numbersBetween(one, other) {
  const [from, to] = one < other ? [one, other] : [other, one];
  return Array.from({ length: to - from + 1 }, (_, place) => from + place);
}
