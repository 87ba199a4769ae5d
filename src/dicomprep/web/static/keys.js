// Which key of the viewer does what. The list that "?" shows is `_viewer_keys.html`.

const KEYS = {
  ArrowUp: "previous",
  ArrowDown: "next",
  PageUp: "back",
  PageDown: "on",
  Home: "first",
  End: "last",
  B: "home",
  " ": "play",
  S: "scroll",
  W: "window",
  P: "pan",
  M: "ruler",
  A: "angle",
  Escape: "stop",
  Backspace: "remove",
  Delete: "remove",
  D: "default",
  I: "invert",
  H: "sideways",
  V: "upside",
  R: "rotate",
  Z: "zoom",
  F: "fit",
  O: "true",
  T: "tags",
};
const FULL = 9; // of the figures: the full range; 0 resets, the others are presets

/** Where an arrow leads to on the screen. */
export const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** What a key does: an act, or the number of a window; undefined where it does nothing.
 *
 * A figure's key counts where it does not type the figure: with Shift on most keyboards, without on French ones.
 */
export function findAct(key, code) {
  const digit = /^Digit(\d)$/.exec(code);
  if (!digit || /^\d$/.test(key)) return Object.hasOwn(KEYS, key) ? KEYS[key] : undefined;
  const number = Number(digit[1]);
  return number === 0 ? "reset" : number === FULL ? "full" : number;
}
