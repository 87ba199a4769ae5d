import { find } from "./page.js";
import { Pair } from "./pair.js";

const pair = new Pair("opened");
find("stage").replaceChildren(pair.element);
pair.open(Number(document.body.dataset.frame), Number(document.body.dataset.index), document.body.dataset.digest);

/** Here no key labels: small letters and figures are the viewer's, too. */
function press(event) {
  if (event.key === "?") return find("keys").showModal();
  const key = /^\d$/.test(event.key) ? "" : event.key.length === 1 ? event.key.toUpperCase() : event.key;
  if (pair.press(key, event.code)) event.preventDefault();
  return undefined;
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.target.matches("input, select")) return;
  if (event.target.matches("a, button") && [" ", "Enter"].includes(event.key)) return;
  press(event);
});
find("help").addEventListener("click", () => find("keys").showModal());
