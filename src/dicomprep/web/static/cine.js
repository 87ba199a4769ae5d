// Slices one after the other, at their own rate, until it pauses.

const DEFAULT_RATE = 10;
const SLOWEST = 0.5;
const FASTEST = 60;

export class Cine {
  #next = null; // when the next slice is due; null while it pauses

  /** @param {() => boolean} advance shows the next slice; false where that has not come yet */
  constructor(advance, changed) {
    this.advance = advance;
    this.changed = changed;
  }

  get playing() {
    return this.#next !== null;
  }

  toggle(rate) {
    if (this.playing) {
      this.stop();
      return;
    }
    this.interval = 1000 / Math.min(FASTEST, Math.max(SLOWEST, rate ?? DEFAULT_RATE));
    this.#next = performance.now() + this.interval;
    this.changed();
    requestAnimationFrame((now) => this.#run(now));
  }

  stop() {
    if (!this.playing) return;
    this.#next = null;
    this.changed();
  }

  #run(now) {
    if (!this.playing) return;
    if (now >= this.#next && this.advance()) this.#next = Math.max(this.#next + this.interval, now);
    requestAnimationFrame((later) => this.#run(later));
  }
}
