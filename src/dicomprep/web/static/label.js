// One key labels and goes on. What comes next is here already; what was done travels behind.

import { Outbox } from "./outbox.js";
import { annotator, countOf, find, get, make, say, send } from "./page.js";
import { Pictures } from "./pictures.js";
import { Stage } from "./stage.js";

const AHEAD = 18;
const FETCHED = 24;
const KEPT_ALIVE_MS = 240_000;
const STALE_MS = 540_000;
const RATE_MS = 300_000;
const DOUBLE_CLICK_MS = 250;

const multi = document.body.dataset.multi === "yes";
const stage = new Stage(find("stage"));
const pictures = new Pictures();
const outbox = new Outbox(showCounts);
const items = [];
const done = []; // what was done since the page was opened: {kind, id}
const times = [];
let at = 0;
let chosen = new Set();
let fetching = false;
let progress = { labelled: 0, total: 0 };
let mine = null; // images that this annotator has labeled, once none is left
let lastContact = Date.now();
let lastClick = 0;

const current = () => items[at];

function showCounts(answer) {
  if (answer.total === undefined) return;
  lastContact = Date.now();
  progress = answer;
  find("progress").max = Math.max(1, answer.total);
  find("progress").value = answer.labelled;
  const share = answer.total ? Math.floor((100 * answer.labelled) / answer.total) : 0;
  find("counts").textContent = `${answer.labelled.toLocaleString()} of ${answer.total.toLocaleString()} · ${share} %`;
  for (const button of document.querySelectorAll("[data-label]")) {
    button.querySelector(".number").textContent = (answer.classes[button.dataset.label] ?? 0).toLocaleString();
  }
}

function showRate() {
  const since = performance.now() - RATE_MS;
  while (times.length && times[0] < since) times.shift();
  if (times.length < 2) return;
  const minutes = Math.max(5000, performance.now() - times[0]) / 60_000;
  find("rate").textContent = `${Math.round(times.length / minutes)}/min`;
}

function show() {
  const item = current();
  document.body.classList.toggle("empty", !item);
  if (!item) {
    showFinished();
    find("strip").replaceChildren();
    return;
  }
  chosen = new Set(item.mine ? item.mine.split(",") : []);
  stage.show(item, pictures.get(item.id));
  find("modality").textContent = item.view ? `${item.modality} · ${item.view}` : item.modality;
  find("frame").textContent = `${item.frame} of ${item.frames}`;
  find("split").textContent = item.split;
  find("name").textContent = item.name;
  find("prediction").textContent = item.prediction
    ? `${item.prediction[0]} ${Math.round(100 * item.prediction[1])} %`
    : item.split === "test" ? "hidden (test split)" : "—";
  showChosen();
  showStrip(item);
  for (const next of items.slice(at + 1, at + 1 + AHEAD)) pictures.get(next.id);
  pictures.keep(items.slice(Math.max(0, at - AHEAD), at + 2 * AHEAD).flatMap((i) => [i.id, ...i.strip]));
}

/** Where no image is left: what was done, and where to go on. */
function showFinished() {
  if (mine === null) return stage.empty([fetching ? "Loading…" : ""]);
  const left = progress.total - progress.labelled;
  const rest = `${countOf(left, "unlabeled image")} skipped or assigned to other annotators. New images appear automatically.`;
  return stage.empty(
    [`${left ? "Your queue is empty." : "All done."} You labeled ${countOf(mine, "image")}.`],
    left ? [rest] : ["New images appear automatically."],
    [make("a", { href: "/gallery" }, "Gallery"), " · ", make("a", { href: "/agreement" }, "Agreement"), " · Export: ",
      make("code", {}, "dicomprep export --help")],
  );
}

function showChosen() {
  for (const button of document.querySelectorAll("[data-label]")) {
    const on = chosen.has(button.dataset.label);
    button.setAttribute("aria-pressed", on);
    button.querySelector(".mark").textContent = on ? "✓" : "";
  }
}

function showStrip(item) {
  const links = item.strip.map((id, number) => {
    const link = make("a", { href: `/frame/${id}`, className: "neighbor" }, pictures.small(id));
    link.setAttribute("aria-label", id === item.id ? "This image" : `Image ${number + 1} of ${item.strip.length}`);
    if (id === item.id) link.setAttribute("aria-current", "true");
    return link;
  });
  find("strip").replaceChildren(...links);
}

function go(steps) {
  const to = at + steps;
  if (to < 0) return say("No earlier image is loaded.");
  if (to > items.length) return undefined;
  at = to;
  show();
  return refill();
}

async function refill(history = false) {
  if (fetching || items.length - at > AHEAD) return;
  fetching = true;
  try {
    const held = [...items.slice(at).map((item) => item.id), ...outbox.frames];
    const answer = await send("/next", { held, limit: FETCHED, history });
    pictures.learn(answer.digests);
    const known = new Set([...held, ...items.slice(at).map((item) => item.id)]);
    const wasEmpty = !current();
    for (let place = items.length - 1; place > at; place--) {
      if (answer.lost.includes(items[place].id)) items.splice(place, 1); // others have these now
    }
    items.unshift(...answer.past);
    at += answer.past.length;
    items.push(...answer.items.filter((item) => !known.has(item.id)));
    showCounts(answer);
    mine = answer.mine ?? null;
    if (wasEmpty && (current() || history)) show();
    for (const next of items.slice(at, at + AHEAD)) pictures.get(next.id);
  } catch (error) {
    say(error.message, true);
  } finally {
    fetching = false;
    if (!current()) show();
  }
}

/** Whether the image is there to be judged; else it is said why a key does nothing. */
function isSeen(item) {
  const { state } = pictures.get(item.id).dataset;
  if (state === "missing") say("Image file missing: it cannot be labeled.", true);
  else if (!stage.hasShown(item)) say("The image has not loaded yet.", true);
  return state !== "missing" && stage.hasShown(item);
}

function label(text) {
  const item = current();
  if (!item || !isSeen(item)) return;
  item.mine = text;
  done.push({ kind: "label", id: item.id });
  times.push(performance.now());
  const { digest } = pictures.get(item.id).dataset;
  outbox.put("/label", { frame: item.id, digest, label: text }).then((answer) => !answer && returnTo(item));
  go(1);
  say(text === "" ? "none of the classes" : text.replaceAll(",", ", "));
  showRate();
}

/** A label was refused: its image is not labeled, and may be another one now. */
function returnTo(item) {
  item.mine = null;
  if (current() === item) show();
  refresh();
}

/** Ask again for what is missing, and whether the images that are held have changed. */
async function refresh() {
  const held = items.slice(at, at + AHEAD).map((item) => item.id);
  if (!held.length) return;
  try {
    const answer = await send("/next", { held, limit: 1 });
    showCounts(answer);
    pictures.learn(answer.digests);
  } catch (error) {
    say(error.message, true);
    return;
  }
  const item = current();
  if (!item) return;
  if (pictures.get(item.id).dataset.state === "missing") pictures.forget(item.id);
  if (!stage.isOf(item, pictures.get(item.id))) show();
}

function choose(name) {
  if (!current()) return;
  if (multi && !isSeen(current())) return;
  if (!multi) {
    label(name);
    return;
  }
  if (!chosen.delete(name)) chosen.add(name);
  showChosen();
}

function skip() {
  const item = current();
  if (!item) return;
  done.push({ kind: "skip", id: item.id });
  outbox.put("/skip", { frame: item.id });
  go(1);
  say("skipped");
}

async function undo() {
  const last = done.pop();
  if (last?.kind === "skip") {
    // what this page did last is most likely what was done last; the server knows, and says so below
    const place = items.findLastIndex((item) => item.id === last.id);
    if (place >= 0) go(place - at);
  }
  const answer = await outbox.put("/undo", {});
  if (!answer) return;
  if (!answer.item) {
    say("Nothing to undo.");
    return;
  }
  pictures.learn(answer.digests);
  const place = items.findLastIndex((item, number) => item.id === answer.item.id && number <= at);
  if (place >= 0) {
    items[place] = answer.item;
    at = place;
  } else {
    items.splice(at, 0, answer.item);
  }
  show();
  say(last?.kind === "skip" && last.id === answer.item.id ? "skip undone" : "label undone");
}

function ask(title, value = "") {
  const dialog = find("naming");
  find("naming-title").textContent = title;
  find("naming-name").value = value;
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue ? find("naming-name").value.trim() : ""), {
      once: true,
    });
  });
}

async function addClass() {
  const name = await ask("New class");
  if (name && (await outbox.put("/classes", { name }))) location.reload();
}

async function changeAnnotator() {
  const name = await ask("Who is labeling?", annotator);
  if (!name || name === annotator) return;
  try {
    await send("/annotator", { name });
    location.assign("/");
  } catch (error) {
    say(error.message, true);
  }
}

function toggleOriginal() {
  find("original").setAttribute("aria-pressed", stage.toggleOriginal());
}

/** Whoever wants another slice wants the series. */
function openOriginal() {
  if (current() && find("original").getAttribute("aria-pressed") === "false") toggleOriginal();
}

const actions = {
  s: skip,
  u: undo,
  z: () => stage.zoom(),
  o: toggleOriginal,
  ArrowUp: openOriginal,
  ArrowDown: openOriginal,
  ArrowLeft: () => go(-1),
  ArrowRight: () => go(1),
  "?": () => find("keys").showModal(),
  Enter: () => multi && current() && label([...chosen].join(",")),
};

function press(key) {
  const button = document.querySelector(`[data-label][data-key="${CSS.escape(key)}"]`);
  if (button) choose(button.dataset.label);
  else if (Object.hasOwn(actions, key)) actions[key]();
  else return false;
  return true;
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (document.querySelector("dialog[open]") || event.target.matches("input, select")) return;
  if ([" ", "Enter"].includes(event.key) && event.target.matches("a, button")) return;
  if (stage.press(event) || (!event.repeat && press(event.key))) event.preventDefault();
});
document.body.addEventListener("click", (event) => {
  const button = event.target.closest("[data-key]");
  if (!button) return;
  const isDouble = event.detail > 1 && event.timeStamp - lastClick < DOUBLE_CLICK_MS;
  lastClick = event.timeStamp;
  if (isDouble) return;
  press(button.dataset.key);
  button.blur();
});
find("help").addEventListener("click", actions["?"]);
find("more").addEventListener("click", addClass);
find("annotator").addEventListener("click", changeAnnotator);

setInterval(() => {
  if (!current()) refill();
  else if (pictures.get(current().id).dataset.state === "missing") refresh();
  else if (!document.hidden && Date.now() - lastContact > KEPT_ALIVE_MS) {
    refresh();
  }
}, 2500);
setInterval(() => !document.hidden && get("/progress").then(showCounts, () => {}), 10_000);
addEventListener("visibilitychange", () => {
  if (document.hidden || Date.now() - lastContact < STALE_MS) return;
  items.length = at; // others may have been given these meanwhile
  show();
  refill();
});

addEventListener("pagehide", () => send("/leave").catch(() => {}));

refill(true);
