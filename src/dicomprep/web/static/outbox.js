// What was done, on its way to the server: in order, one at a time, tried again while the server is away.

import { commandId, countOf, say, send } from "./page.js";

const RETRY_MS = 2000;

export class Outbox {
  #waiting = [];
  #busy = false;

  /** @param {(answer: object) => void} received called with every answer */
  constructor(received) {
    this.received = received;
    addEventListener("beforeunload", (event) => {
      if (this.#waiting.length) event.preventDefault();
    });
  }

  /** The images that something is on its way for. */
  get frames() {
    return this.#waiting.map(({ body }) => body.frame).filter((frame) => frame !== undefined);
  }

  /** Send when all before it has arrived; the answer, or undefined where the server refused it.
   *
   * However often it is sent, by its id it counts once.
   */
  put(path, body) {
    return new Promise((resolve) => {
      this.#waiting.push({ path, body: { ...body, command: commandId() }, resolve });
      this.#run();
    });
  }

  async #run() {
    if (this.#busy) return;
    this.#busy = true;
    let away = false;
    while (this.#waiting.length) {
      const { path, body, resolve } = this.#waiting[0];
      try {
        const answer = await send(path, body);
        this.#waiting.shift();
        if (away) say("All changes saved.");
        away = false;
        this.received(answer);
        resolve(answer);
      } catch (error) {
        if (error.lost) {
          away = true;
          say(`${countOf(this.#waiting.length, "change")} not saved yet. ${error.message}`, true);
          await new Promise((wake) => setTimeout(wake, RETRY_MS));
        } else {
          this.#waiting.shift();
          say(error.message, true);
          resolve(undefined);
        }
      }
    }
    this.#busy = false;
  }
}
