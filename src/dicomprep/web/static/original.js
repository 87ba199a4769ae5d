import { Annotate } from "./annotate.js";
import { Outbox } from "./outbox.js";
import { find, say } from "./page.js";
import { Pair } from "./pair.js";

const pair = new Pair("opened");
const outbox = new Outbox(() => {});
const annotate = new Annotate(outbox);
pair.painted = ({ id, digest }) => {
  annotate.over(pair.first.field);
  annotate.show(id, digest);
  annotate.lay(pair.first.lies);
};
find("stage").replaceChildren(pair.element);
pair.open(Number(document.body.dataset.frame), Number(document.body.dataset.index), document.body.dataset.digest);

async function undo() {
  const answer = await outbox.put("/undo", {});
  if (!answer) return;
  say(answer.undone ? `${answer.undone === "annotate" ? "annotation" : answer.undone} undone` : "Nothing to undo.");
  annotate.reload();
}

/** Here no key labels: small letters and figures are the viewer's, too, but those that draw. */
function press(event) {
  if (event.key === "?") return find("keys").showModal();
  if (event.key === "u" && !event.repeat) return undo();
  if (!event.repeat && annotate.press(event.key)) return event.preventDefault();
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
