// The slices of a series in their order: those around the one that is seen are here before they are wanted.

import { get, within } from "./page.js";

const KEPT_BYTES = 200_000_000;
const AT_ONCE = 4;
const NEAR = 6; // slices that are fetched each way as long as nobody scrolls

/** An answer of the server as arrays; see `viewer_worker.view_frame`. */
export function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const about = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  let from = 4 + length;
  const take = (Kind, count) => {
    const array = new Kind(buffer, from, count);
    from += array.byteLength;
    return array;
  };
  const size = about.rows * about.columns;
  about.bytes = buffer.byteLength;
  if (about.kind === "rgb") return { ...about, rgb: take(Uint8Array, 3 * size) };
  return {
    ...about,
    values: take(Float32Array, about.codes),
    table: take(Uint8Array, about.codes),
    background: take(Uint8Array, about.codes),
    pixels: take(Uint16Array, size),
  };
}

export class Stack {
  space = null;
  orientation = null;
  #frames = new Map(); // by number: what is here
  #loading = new Map(); // by number: what is on its way
  #bytes = 0;
  #stopped = new AbortController();
  #wanted = [];

  /** Of one image as yet: `learn` finds the others. */
  constructor(id, frame, digest) {
    this.slices = [{ id, frame, digest, position_mm: null }];
    this.home = 0; // the slice that was opened
  }

  /** Where a slice is in it; -1 where it is not. */
  find(id, frame, digest) {
    return this.slices.findIndex((one) => one.id === id && one.frame === frame && one.digest === digest);
  }

  /** Ask for the slices of the series; what is here already stays. */
  async learn() {
    const [own] = this.slices;
    const answer = await get(`/original/${own.id}/stack?v=${own.digest}`);
    const frame = this.#frames.get(0);
    const loading = this.#loading.get(0);
    this.#frames.clear();
    this.#loading.clear();
    const named = ([id, number, digest, position_mm]) => ({ id, frame: number, digest, position_mm });
    this.slices = answer.slices.map(named);
    this.space = answer.space;
    this.orientation = answer.orientation?.split("\\").map(Number) ?? null;
    this.home = answer.at;
    if (frame) this.#frames.set(this.home, frame);
    else if (loading) this.#follow(this.home, loading);
  }

  /** A slice that is here. */
  get(number) {
    return this.#frames.get(number);
  }

  /** A slice, when it has come. */
  load(number) {
    if (this.#frames.has(number)) return Promise.resolve(this.#frames.get(number));
    if (!this.#loading.has(number)) this.#follow(number, this.#fetch(this.slices[number]));
    return this.#loading.get(number);
  }

  /** Fetch what is likely to be wanted next: around `at`, or the whole series from there on in a direction. */
  prefetch(at, direction) {
    const reach = direction ? this.slices.length : NEAR;
    const ahead = direction || 1;
    const order = [];
    for (let step = 1; step <= reach; step++) {
      order.push(at + ahead * step);
      if (step % 3 === 0) order.push(at - (ahead * step) / 3);
    }
    this.#wanted = order.filter((number) => number >= 0 && number < this.slices.length);
    this.#forget(at);
    this.#next();
  }

  /** Nothing more is wanted. */
  close() {
    this.#wanted = [];
    this.#stopped.abort();
  }

  #follow(number, loading) {
    this.#loading.set(number, loading);
    loading.then(
      (frame) => {
        if (this.#loading.get(number) !== loading) return;
        this.#loading.delete(number);
        this.#frames.set(number, frame);
        this.#bytes += frame.bytes;
        this.#next();
      },
      () => this.#loading.get(number) === loading && this.#loading.delete(number),
    );
  }

  async #fetch({ id, frame, digest }) {
    const address = `/original/${id}/pixels?frame=${frame}&v=${digest}`;
    const answer = await fetch(within(address), { signal: this.#stopped.signal });
    if (!answer.ok) throw new Error(await answer.text());
    return unpack(await answer.arrayBuffer());
  }

  #next() {
    while (this.#wanted.length && this.#loading.size < AT_ONCE && this.#bytes < KEPT_BYTES) {
      const number = this.#wanted.shift();
      if (!this.#frames.has(number) && !this.#loading.has(number)) this.load(number).catch(() => {});
    }
  }

  /** Make room: the slices that are farthest away go first. */
  #forget(at) {
    if (this.#bytes < KEPT_BYTES) return;
    const farthest = [...this.#frames.keys()].sort((one, other) => Math.abs(other - at) - Math.abs(one - at));
    for (const number of farthest) {
      if (this.#bytes < 0.8 * KEPT_BYTES || number === at) return;
      this.#bytes -= this.#frames.get(number).bytes;
      this.#frames.delete(number);
    }
  }
}
