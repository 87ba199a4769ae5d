// What has been labeled, what is on the page and what comes next: loaded at both ends before it is wanted.

import { annotator, get, send } from "./page.js";

export const AHEAD = 18;
const FETCHED = 24;
const BEHIND = 6; // images left to go back to, below which earlier ones are loaded

const { query } = document.body.dataset;

/** An address with what the queue is filtered by. */
export function filtered(path) {
  return query ? `${path}?${query}` : path;
}

/** An address that is asked by this annotator. */
export function own(path, asked = {}) {
  return `${path}?${new URLSearchParams([...new URLSearchParams(query), ["annotator", annotator], ...Object.entries(asked)])}`;
}

export class Queue {
  items = [];
  at = 0;
  isEnded = false; // nothing more has come the last time
  #before = null; // the event from which on earlier labels are asked for
  #after = 0;
  #fetching = false;
  #goingBack = null;

  get current() {
    return this.items[this.at];
  }

  get isFetching() {
    return this.#fetching;
  }

  /** The images that are on the page and those ahead. */
  held(count = Infinity) {
    return this.items.slice(this.at, this.at + count).map((item) => item.id);
  }

  /** Ask for what comes next, unless enough is here; what the server answers. */
  async refill(sent, history = false) {
    if (this.#fetching || this.items.length - this.at > AHEAD) return undefined;
    this.#fetching = true;
    try {
      const held = [...this.held(), ...sent];
      const answer = await send(filtered("/next"), { held, limit: FETCHED, history, after: this.#after });
      const known = new Set([...held, ...this.held()]);
      for (let place = this.items.length - 1; place > this.at; place--) {
        if (answer.lost.includes(this.items[place].id)) this.items.splice(place, 1); // others have these now
      }
      if (history) this.#prepend(answer);
      this.items.push(...answer.items.filter((item) => !known.has(item.id)));
      this.#after = Math.max(this.#after, ...answer.items.map((item) => item.id));
      this.isEnded = !answer.items.length;
      return answer;
    } finally {
      this.#fetching = false;
    }
  }

  /** Load earlier labels where few are left to go back to; what the server answers. */
  goBack() {
    if (this.#before === null || this.at >= BEHIND) return undefined;
    this.#goingBack ??= get(own("/history", { before: this.#before }))
      .then((answer) => {
        this.#prepend(answer);
        return answer;
      })
      .finally(() => (this.#goingBack = null));
    return this.#goingBack;
  }

  #prepend({ past, before }) {
    const known = new Set(this.items.map((item) => item.id));
    const earlier = past.filter((item) => !known.has(item.id));
    this.items.unshift(...earlier);
    this.at += earlier.length;
    this.#before = before;
  }

  /** Put an item where the page is, or go to where it is. */
  open(item) {
    const place = this.find(item.id);
    if (place >= 0 && place <= this.at) {
      this.items[place] = item;
      this.at = place;
      return;
    }
    if (place > this.at) this.items.splice(place, 1);
    this.items.splice(this.at, 0, item);
  }

  /** Where an image is; -1 where it is not. */
  find(id, last = this.items.length) {
    return this.items.findLastIndex((item, number) => item.id === id && number <= last);
  }

  /** Give up what is ahead: others may have been given it. */
  dropAhead() {
    this.items.length = this.at;
    this.#after = 0;
  }
}
