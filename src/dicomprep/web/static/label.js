// One key labels and goes on. What comes next is here already; what was done travels behind.

import { Annotate } from "./annotate.js";
import { askName, askNote } from "./asking.js";
import { classOf, onFound, showChosen, showNumbers, startFinding } from "./classes.js";
import { Outbox } from "./outbox.js";
import { annotator, commandId, find, get, make, say, send, within } from "./page.js";
import { Pictures } from "./pictures.js";
import { countLabel, showProgress, whatNext } from "./progress.js";
import { AHEAD, Queue, filtered, own } from "./queue.js";
import { Stage } from "./stage.js";

const KEPT_ALIVE_MS = 240_000;
const STALE_MS = 540_000;
const DOUBLE_CLICK_MS = 250;

const multi = document.body.dataset.multi === "yes";
const opened = Number(document.body.dataset.opened); // the image that the address asks for; 0 for none
const isFiltered = document.body.dataset.query !== "";
const pictures = new Pictures();
const outbox = new Outbox(showCounts);
const annotate = new Annotate(outbox);
annotate.changed = (id) => done.push({ kind: "annotation", id });
const stage = new Stage(find("stage"), annotate, toggleOriginal);
const queue = new Queue();
const done = []; // what was done since the page was opened: {kind, id}
let chosen = new Set();
let lastContact = Date.now();
let lastClick = 0;

const current = () => queue.current;

function showCounts(answer) {
  if (answer.total === undefined) return;
  lastContact = Date.now();
  showNumbers(answer.classes);
  showProgress(answer);
}

function show() {
  const item = current();
  document.body.classList.toggle("empty", !item);
  find("notice").hidden = !item?.notices?.length;
  find("notice").textContent = item?.notices?.join(" ") ?? "";
  if (!item) {
    showFinished();
    find("strip").replaceChildren();
    return;
  }
  chosen = new Set(item.mine ? item.mine.split(",") : []);
  stage.show(item, pictures.get(item.id));
  find("modality").textContent = item.view ? `${item.modality} · ${item.view}` : item.modality;
  find("frame").textContent = item.unit ? (item.images ?? "—").toLocaleString() : `${item.frame} of ${item.frames}`;
  find("split").textContent = item.split;
  find("name").textContent = item.name;
  find("name").href = within(`/frame/${item.id}`);
  find("prediction").textContent = item.prediction
    ? `${item.prediction[0]} ${Math.round(100 * item.prediction[1])} %`
    : item.split === "test" ? "hidden (test split)" : "—";
  showChosen(chosen);
  showRemarks(item);
  showStrip(item);
  prefetch();
  const near = queue.items.slice(Math.max(0, queue.at - AHEAD), queue.at + 2 * AHEAD);
  pictures.keep(near.flatMap((one) => [one.id, ...one.strip]));
}

function prefetch() {
  const ahead = queue.items.slice(queue.at + 1, queue.at + 1 + AHEAD);
  for (const next of ahead) pictures.get(next.id);
  if (ahead.length) stage.prefetch(ahead[0]);
}

/** Whether somebody is unsure of the label, and what he notes beside it. */
function showRemarks(item) {
  find("unsure").setAttribute("aria-pressed", item.unsure);
  find("note").setAttribute("aria-pressed", item.note !== "");
  find("remark").hidden = !item.note;
  find("remark").textContent = item.note;
}

function showFinished() {
  if (queue.isEnded) stage.empty(...whatNext());
  else stage.empty([queue.isFetching ? "Loading…" : ""]);
}

function showStrip(item) {
  const links = item.strip.map((id, number) => {
    const link = make("a", { href: `/?image=${id}`, className: "neighbor" }, pictures.small(id));
    link.dataset.open = id;
    link.setAttribute("aria-label", id === item.id ? "This image" : `Image ${number + 1} of ${item.strip.length}`);
    if (id === item.id) link.setAttribute("aria-current", "true");
    return link;
  });
  find("strip").replaceChildren(...links);
}

async function go(steps) {
  if (queue.at + steps < 0 && queue.goBack()) await loadEarlier();
  const to = queue.at + steps;
  if (to < 0) return say("This is the first image that you labeled.");
  if (to > queue.items.length) return undefined;
  queue.at = to;
  show();
  loadEarlier();
  return refill();
}

async function loadEarlier() {
  try {
    const answer = await queue.goBack();
    if (answer) pictures.learn(answer.digests);
  } catch (error) {
    say(error.message, true);
  }
}

async function refill(history = false) {
  try {
    const wasEmpty = !current();
    const answer = await queue.refill(outbox.frames, history);
    if (!answer) return;
    pictures.learn(answer.digests);
    showCounts(answer);
    if (wasEmpty && (current() || history)) show();
    prefetch();
  } catch (error) {
    say(error.message, true);
  } finally {
    if (!current()) show();
  }
}

/** Show an image, whether or not the queue has it. */
async function open(id) {
  try {
    const answer = await get(own(`/item/${id}`));
    pictures.learn(answer.digests);
    if (!answer.item) {
      say([...answer.notices, answer.original && `The original is image ${answer.original}.`].filter(Boolean).join(" "), true);
      return answer.original ? open(answer.original) : undefined;
    }
    queue.open({ ...answer.item, notices: answer.notices });
    return show();
  } catch (error) {
    return say(error.message, true);
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
  item.notices = [];
  done.push({ kind: "label", id: item.id });
  record(item);
  go(1);
  say((text === "" ? "none of the classes" : text.replaceAll(",", ", ")) + (item.unsure ? " (unsure)" : ""));
  countLabel();
}

/** Send what is said of an image now: label, unsure, note. */
function record(item) {
  const { digest } = pictures.get(item.id).dataset;
  const said = { frame: item.id, digest, label: item.mine, unsure: item.unsure, note: item.note };
  outbox.put(filtered("/label"), said).then((answer) => !answer && returnTo(item));
}

/** Of a label that is there at once, else of the one that is given next. */
function toggleUnsure() {
  const item = current();
  if (!item || !isSeen(item)) return;
  item.unsure = !item.unsure;
  showRemarks(item);
  if (item.mine !== null) record(item);
  say(item.unsure ? "unsure" : "sure");
}

async function changeNote() {
  const item = current();
  if (!item || !isSeen(item)) return;
  const note = await askNote(item.note);
  if (note === null || note === item.note) return;
  item.note = note;
  if (current() === item) showRemarks(item);
  record(item);
  say(note ? "note kept" : "note removed");
}

/** A label was refused: its image is not labeled, and may be another one now. */
function returnTo(item) {
  item.mine = null;
  if (current() === item) show();
  refresh();
}

/** Ask again for what is missing, and whether the images that are held have changed. */
async function refresh() {
  const held = queue.held(AHEAD);
  if (!held.length) return;
  try {
    const answer = await send(filtered("/next"), { held, limit: 1, after: Number.MAX_SAFE_INTEGER });
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

/** A class of the image, or of the annotation that is chosen. */
function choose(name) {
  if (!current()) return;
  if (annotate.active) {
    annotate.name(name);
    return;
  }
  if (multi && !isSeen(current())) return;
  if (!multi) {
    label(name);
    return;
  }
  if (!chosen.delete(name)) chosen.add(name);
  showChosen(chosen);
}

function skip() {
  const item = current();
  if (!item) return;
  done.push({ kind: "skip", id: item.id });
  outbox.put(filtered("/skip"), { frame: item.id });
  go(1);
  say("skipped");
}

const UNDONE = {
  unit: "label undone",
  batch: "labels of several images undone",
  again: "The image is skipped again.",
  annotate: "annotation undone",
};

async function undo() {
  const last = done.pop();
  if (last?.kind === "skip") {
    // what this page did last is most likely what was done last; the server knows, and says so below
    const place = queue.find(last.id);
    if (place >= 0) go(place - queue.at);
  }
  const answer = await outbox.put(filtered("/undo"), {});
  if (!answer) return;
  if (!answer.undone) {
    say("Nothing to undo.");
    return;
  }
  if (answer.undone === "class") {
    location.reload();
    return;
  }
  if (answer.item) {
    pictures.learn(answer.digests);
    const place = queue.find(answer.item.id, queue.at);
    if (place >= 0) queue.at = place;
    queue.open(answer.item);
    show();
  }
  annotate.reload();
  say(UNDONE[answer.undone] ?? `${answer.undone} undone`);
}

async function addClass() {
  const name = await askName("New class");
  if (name && (await outbox.put("/classes", { name }))) location.reload();
}

async function changeAnnotator() {
  const name = await askName("Who is labeling?", annotator);
  if (!name || name === annotator) return;
  try {
    await send("/annotator", { name });
    location.assign(within("/"));
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
  q: toggleUnsure,
  n: changeNote,
  "/": startFinding,
  z: () => stage.zoom(),
  b: () => annotate.press("b"),
  p: () => annotate.press("p"),
  g: () => annotate.press("g"),
  o: toggleOriginal,
  ArrowUp: openOriginal,
  ArrowDown: openOriginal,
  ArrowLeft: () => go(-1),
  ArrowRight: () => go(1),
  "?": () => find("keys").showModal(),
  Enter: () => multi && current() && label([...chosen].join(",")),
};

function press(key) {
  const name = classOf(key);
  if (name !== undefined) choose(name);
  else if (Object.hasOwn(actions, key)) actions[key]();
  else return false;
  return true;
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (document.querySelector("dialog[open]") || event.target.matches("input, select, textarea")) return;
  if ([" ", "Enter"].includes(event.key) && event.target.matches("a, button")) return;
  if ((!event.repeat && annotate.press(event.key)) || stage.press(event) || (!event.repeat && press(event.key))) event.preventDefault();
});
document.body.addEventListener("click", (event) => {
  const link = event.target.closest("[data-open]");
  if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    event.preventDefault();
    open(Number(link.dataset.open)).then(() => refill());
    return;
  }
  const button = event.target.closest("[data-key]");
  if (!button) return;
  const isDouble = event.detail > 1 && event.timeStamp - lastClick < DOUBLE_CLICK_MS;
  lastClick = event.timeStamp;
  if (isDouble) return;
  if (button.dataset.label === undefined) press(button.dataset.key);
  else choose(button.dataset.label);
  button.blur();
});
find("help").addEventListener("click", actions["?"]);
find("more").addEventListener("click", addClass);
find("annotator").addEventListener("click", changeAnnotator);
onFound(choose);

setInterval(() => {
  if (!current()) refill();
  else if (pictures.get(current().id).dataset.state === "missing") refresh();
  else if (!document.hidden && Date.now() - lastContact > KEPT_ALIVE_MS) {
    refresh();
  }
}, isFiltered ? 10_000 : 2500);
setInterval(() => !document.hidden && get(own("/progress")).then(showCounts, () => {}), 10_000);
addEventListener("visibilitychange", () => {
  if (document.hidden || Date.now() - lastContact < STALE_MS) return;
  queue.dropAhead();
  show();
  refill();
});

addEventListener("pagehide", () => send("/leave", { command: commandId() }).catch(() => {}));

if (opened) await open(opened); // first: no key is to count for what would be shown meanwhile
refill(true);
