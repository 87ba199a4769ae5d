// What pointers do in a field: one drags, by mouse, pen or finger; two pinch; the wheel turns.

const TAP = 4; // pixels that a pointer may move and not have dragged

const STEP = [4, 24]; // pixels of a drag for one slice, in long and in short series

/** How many slices a drag goes on by, and by how many pixels it does; the rest counts with the next. */
export function stepsOf(dragged, share) {
  const pixels = Math.min(STEP[1], Math.max(STEP[0], share));
  const count = Math.trunc(dragged / pixels);
  return { count, pixels: count * pixels };
}

export class Pointer {
  #down = new Map();

  /**
   * @param {object} acts `tool(event)` says what a drag does; `drag(tool, by, at)`, `pinch(factor, at, by)`,
   * `wheel(step, event)`, `point(tool, at)` where it begins, `lift(tool, at, dragged)` where it ends, `hover(at)`,
   * null beside the field
   */
  constructor(field, acts) {
    this.field = field;
    this.acts = acts;
    field.addEventListener("contextmenu", (event) => event.preventDefault());
    field.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    field.addEventListener("pointerdown", (event) => this.#press(event));
    field.addEventListener("pointermove", (event) => this.#move(event));
    field.addEventListener("pointerleave", () => this.acts.hover(null));
    for (const end of ["pointerup", "pointercancel"]) field.addEventListener(end, (event) => this.#release(event));
  }

  /** From the center of the field. */
  at({ clientX, clientY }) {
    const box = this.field.getBoundingClientRect();
    return [clientX - box.left - box.width / 2, clientY - box.top - box.height / 2];
  }

  #wheel(event) {
    event.preventDefault();
    const step = Math.sign(event.deltaY);
    if (step) this.acts.wheel(step, event);
  }

  #press(event) {
    if (event.target.closest("button, .tags")) return;
    this.field.setPointerCapture(event.pointerId);
    const at = this.at(event);
    this.#down.set(event.pointerId, { at, from: at, tool: this.acts.tool(event) });
    if (this.#down.size === 1) this.acts.point(this.#down.get(event.pointerId).tool, at);
  }

  #move(event) {
    const at = this.at(event);
    const pressed = this.#down.get(event.pointerId);
    if (!pressed) {
      this.acts.hover(at);
      return;
    }
    const before = pressed.at;
    pressed.at = at;
    const by = [at[0] - before[0], at[1] - before[1]];
    const other = [...this.#down].find(([id]) => id !== event.pointerId)?.[1];
    if (other) this.#pinch(before, at, other.at, by);
    else this.acts.drag(pressed.tool, by, at);
  }

  #pinch(before, at, other, by) {
    const far = (place) => Math.hypot(place[0] - other[0], place[1] - other[1]);
    const middle = [(at[0] + other[0]) / 2, (at[1] + other[1]) / 2];
    this.acts.pinch(far(at) / Math.max(1, far(before)), middle, [by[0] / 2, by[1] / 2]);
  }

  #release(event) {
    const pressed = this.#down.get(event.pointerId);
    if (!this.#down.delete(event.pointerId) || this.#down.size) return;
    const dragged = Math.hypot(pressed.at[0] - pressed.from[0], pressed.at[1] - pressed.from[1]) > TAP;
    this.acts.lift(pressed.tool, pressed.at, dragged);
  }
}
