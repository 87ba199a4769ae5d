// Images with suspected text, one selected: a key releases it or keeps it, and goes on to the next.

import { Outbox } from "./outbox.js";
import { annotator, countOf, get, make, say } from "./page.js";
import { draw } from "./svg.js";

const outbox = new Outbox(() => {});
const items = [...document.querySelectorAll("[data-frame]")];
const DONE = { release: "released", keep: "kept" };
let at = -1;

/** The boxes over a thumbnail, whatever its size. */
function outline({ size: [rows, columns], seen, blanked }) {
  const shapes = [["seen", seen], ["blanked", blanked]].flatMap(([name, boxes]) =>
    boxes.map(([top, left, bottom, right]) =>
      draw("rect", { x: left, y: top, width: right - left, height: bottom - top, class: name, "vector-effect": "non-scaling-stroke" }),
    ),
  );
  return draw("svg", { viewBox: `0 0 ${columns} ${rows}`, class: "drawn", "aria-hidden": "true" }, ...shapes);
}

async function look(item) {
  if (item.dataset.looked) return;
  item.dataset.looked = "yes";
  const said = item.querySelector(".seen-text");
  try {
    const found = await get(`/burned-in/${item.dataset.frame}`);
    item.querySelector(".look").append(outline(found));
    const blanked = found.blanked.length ? `, ${countOf(found.blanked.length, "area")} blanked` : "";
    said.textContent = found.problem || `${countOf(found.seen.length, "line")} of text seen${blanked}`;
  } catch (error) {
    said.textContent = error.message;
  }
}

function select(number) {
  if (!items[number]) return;
  items[at]?.removeAttribute("aria-current");
  at = number;
  items[at].setAttribute("aria-current", "true");
  items[at].scrollIntoView({ block: "nearest" });
  items.slice(at, at + 2).forEach(look);
}

async function decide(act) {
  const item = items[at];
  if (!item) return;
  const image = item.querySelector("img");
  if (!image.complete || !image.naturalWidth) {
    say("The image has not loaded.", true); // a key counts only where there is something to be seen
    return;
  }
  const { frame, digest } = item.dataset;
  select(at + 1);
  say(DONE[act]);
  if (!(await outbox.put("/burned-in/decide", { frame: Number(frame), digest, act }))) return;
  const decision = item.querySelector(".decision");
  decision.dataset.decision = DONE[act];
  decision.replaceChildren(`${DONE[act]} by `, make("bdi", {}, annotator));
}

const actions = {
  r: () => decide("release"),
  k: () => decide("keep"),
  ArrowLeft: () => select(at - 1),
  ArrowRight: () => select(at + 1),
};

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || !Object.hasOwn(actions, event.key)) return;
  event.preventDefault();
  actions[event.key]();
});
document.body.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.dataset.act) decide(button.dataset.act);
  else if (button.dataset.step) select(at + Number(button.dataset.step));
  else select(items.indexOf(button.closest("[data-frame]")));
});
select(0);
