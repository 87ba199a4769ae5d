// The buttons of the viewer, and which key each has.

import { make } from "./page.js";
import { icon } from "./svg.js";

export const TOOLS = ["scroll", "window", "pan", "ruler", "angle"];

/** [what it does, its name, its key] */
const BUTTONS = [
  ["scroll", "Drag to scroll", "S"],
  ["window", "Drag for window width and level", "W"],
  ["pan", "Drag to pan", "P"],
  ["ruler", "Measure a distance", "M"],
  ["angle", "Measure an angle", "A"],
  ["invert", "Invert", "I"],
  ["sideways", "Flip left and right", "H"],
  ["upside", "Flip top and bottom", "V"],
  ["rotate", "Rotate clockwise", "R"],
  ["reset", "Reset", "Shift+0"],
  ["play", "Play", "Space"],
  ["compare", "Compare", "C"],
  ["tags", "Tags", "T"],
];

export class Toolbar {
  #buttons = new Map();

  /** @param {(act: string) => void} run does what a button says */
  constructor(run, choosePreset) {
    this.presets = make("select", { className: "presets" });
    this.presets.setAttribute("aria-label", "Window width and level");
    this.presets.addEventListener("change", () => {
      choosePreset(Number(this.presets.value));
      this.presets.blur();
    });
    this.slider = make("input", { type: "range", min: 0, max: 0, value: 0, hidden: true, className: "frames" });
    this.slider.setAttribute("aria-label", "Slice");
    this.readout = make("output", { className: "readout" });
    const buttons = BUTTONS.map(([act, name, key]) => this.#button(run, act, name, key));
    const group = make("div", { className: "tool-buttons", role: "toolbar" }, ...buttons);
    group.setAttribute("aria-label", "Viewer");
    this.element = make("div", { className: "viewer-tools" }, group, this.presets, this.slider, this.readout);
  }

  #button(run, act, name, key) {
    const button = make("button", { className: "quiet tool", type: "button", title: `${name} (${key})` }, icon(act));
    button.setAttribute("aria-label", name);
    if (TOOLS.includes(act) || ["invert", "tags"].includes(act)) button.setAttribute("aria-pressed", "false");
    button.addEventListener("click", (event) => {
      run(act);
      if (event.detail) button.blur(); // keys go on to the image; a key that pressed it stays here
    });
    this.#buttons.set(act, button);
    return button;
  }

  /** What a drag does, what is on, whether slices play, how many there are, and which is wanted. */
  show({ tool, pressed, playing, count, at }) {
    for (const name of TOOLS) this.#press(name, name === tool);
    for (const [name, on] of Object.entries(pressed)) this.#press(name, on);
    for (const name of ["play", "scroll"]) this.#buttons.get(name).disabled = count < 2;
    this.#buttons.get("play").setAttribute("aria-label", playing ? "Pause" : "Play");
    this.#buttons.get("play").replaceChildren(icon(playing ? "pause" : "play"));
    this.slider.max = Math.max(0, count - 1);
    this.slider.value = at;
    this.slider.hidden = count < 2;
  }

  #press(act, on) {
    this.#buttons.get(act).setAttribute("aria-pressed", on);
  }

  /** Offer the windows of a frame: its own, all of it, and those for its unit. */
  offer(names, colored) {
    const known = [...this.presets.options].map((option) => option.text);
    this.presets.disabled = colored;
    if (known.join() === names.join()) return;
    this.presets.replaceChildren(...names.map((name, number) => make("option", { value: number }, name)));
  }
}
