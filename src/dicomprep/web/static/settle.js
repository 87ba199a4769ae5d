// Disagreements, one after the other: who said what, and a key that settles it.

import { classOf, showChosen } from "./classes.js";
import { Outbox } from "./outbox.js";
import { address, countOf, find, get, make, say, within } from "./page.js";

const multi = document.body.dataset.multi === "yes";
const outbox = new Outbox(() => {});
let items = []; // those that were shown, then the next ones
let digests = {};
let at = 0;
let isEnded = false;
let chosen = new Set();
let picture;

const words = (label) => (label === "" ? "none of the classes" : label.replaceAll(",", ", "));

async function load() {
  if (isEnded || items.length - at > 1) return;
  try {
    const answer = await get(`/disagreements/next?after=${items.at(-1)?.id ?? 0}`);
    items.push(...answer.items.filter(({ id }) => !items.some((one) => one.id === id)));
    Object.assign(digests, answer.digests);
    isEnded = !answer.items.length;
    find("left").textContent = countOf(answer.left, "disagreement") + (answer.more ? " or more" : "");
  } catch (error) {
    say(error.message, true);
  }
}

function show() {
  const item = items[at];
  chosen = new Set(item?.settled?.split(",") ?? []);
  showChosen(chosen);
  find("name").textContent = item?.name ?? "";
  find("name").href = within(item ? `/?image=${item.id}` : "/");
  find("said").replaceChildren(...(item?.said ?? []).map(row));
  picture = item && make("img", { src: address(item.id, digests[item.id]), className: "picture", alt: item.name });
  find("stage").replaceChildren(picture ?? finished());
}

function row([who, label, unsure, note]) {
  const take = make("button", { className: "take", type: "button" }, words(label) + (unsure ? " (unsure)" : ""));
  take.setAttribute("aria-label", `Settle as ${who}: ${words(label)}`);
  take.addEventListener("click", () => settle(label));
  return make("tr", {}, make("th", { scope: "row" }, who), make("td", {}, take, note ? make("p", { className: "remedy" }, note) : ""));
}

function finished() {
  const links = [["/agreement", "Agreement"], ["/gallery", "Gallery"], ["/", "Label"]];
  const list = links.map(([href, name]) => make("a", { href, className: "button" }, name));
  return make("div", { className: "note" }, make("p", {}, "No disagreement is left to settle."), make("p", {}, ...list));
}

async function go(steps) {
  if (at + steps < 0) return say("This is the first one.");
  at = Math.min(items.length, at + steps);
  if (at >= items.length - 1) await load();
  return show();
}

function settle(label) {
  const item = items[at];
  if (!item) return;
  if (!picture.complete || !picture.naturalWidth) {
    say("The image has not loaded yet, or is missing: it cannot be settled.", true);
    return;
  }
  item.settled = label;
  const sent = { frame: item.id, digest: digests[item.id], label };
  outbox.put("/settle", sent).then((answer) => {
    if (!answer) item.settled = undefined;
    isEnded = false;
    return load();
  });
  say(`${words(label)}`);
  go(1);
}

async function undo() {
  const answer = await outbox.put("/undo", {});
  if (!answer?.undone) {
    say("Nothing to undo.");
    return;
  }
  const place = items.findIndex(({ id }) => id === answer.item?.id);
  if (place < 0) location.reload();
  else {
    at = place;
    items[at].settled = undefined;
    show();
  }
  say(`${answer.undone} undone`);
}

function choose(name) {
  if (!multi) return settle(name);
  if (!chosen.delete(name)) chosen.add(name);
  return showChosen(chosen);
}

const actions = {
  ArrowLeft: () => go(-1),
  ArrowRight: () => go(1),
  s: () => go(1),
  u: undo,
  Enter: () => multi && settle([...chosen].join(",")),
};

function press(key) {
  const name = classOf(key);
  if (name !== undefined) choose(name);
  else if (Object.hasOwn(actions, key)) actions[key]();
  else return false;
  return true;
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if ([" ", "Enter"].includes(event.key) && event.target.matches("a, button")) return;
  if (press(event.key)) event.preventDefault();
});
document.body.addEventListener("click", (event) => {
  const button = event.target.closest("[data-key], [data-label]");
  if (!button) return;
  button.blur();
  if (button.dataset.label !== undefined) choose(button.dataset.label);
  else press(button.dataset.key);
});

load().then(show);
