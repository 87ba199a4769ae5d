// How far this reader is and all are, how fast he is, and what there is to do when nothing is left.

import { find, make } from "./page.js";

const RATE_MS = 300_000;

const NOUNS = { series: ["series", "series"], study: ["study", "studies"], patient: ["patient", "patients"] };

const { unit } = document.body.dataset;
const [one, several] = NOUNS[unit] ?? ["image", "images"];
const countOf = (count, what = "") => `${count.toLocaleString()} ${what}${count === 1 ? one : several}`;
const isFiltered = document.body.dataset.query !== "";
const times = [];
let progress = { labelled: 0, total: 0, mine: 0 };

/** Show counts as the server answers them. */
export function showProgress(answer) {
  progress = answer;
  const { total, labelled, mine, complete = true } = answer;
  const more = complete ? "" : " …";
  find("progress").hidden = mine === undefined;
  if (mine === undefined) { // labeled images are reviewed
    find("counts").textContent = countOf(total) + more;
    return;
  }
  find("progress").max = Math.max(1, mine + total - labelled); // what is done by this reader, and what is left
  find("progress").value = mine;
  const share = total ? Math.floor((100 * labelled) / total) : 0;
  const all = `${labelled.toLocaleString()} of ${total.toLocaleString()}${more} · ${share} %`;
  find("counts").textContent = `${all} · you ${mine.toLocaleString()}`;
}

/** A label was given. */
export function countLabel() {
  const now = performance.now();
  times.push(now);
  while (times[0] < now - RATE_MS) times.shift();
  if (times.length < 2) return;
  const minutes = Math.max(5000, now - times[0]) / 60_000;
  find("rate").textContent = `${Math.round(times.length / minutes)}/min`;
}

const link = (href, text) => make("a", { href }, text);

/** What is said where no image is left: what was done, and where to go on. */
export function whatNext() {
  if (isFiltered) {
    const ways = [link("/", "Clear the filter"), " · ", link("/gallery", "Gallery"), " · ", link("/skips", "Skipped images")];
    return [[`No more ${several} match the filter of this queue.`], ways];
  }
  const left = progress.total - progress.labelled;
  const others = `${countOf(left, "unlabeled ")} skipped, undecided or assigned to other annotators. `;
  return [
    [`${left ? "Your queue is empty." : "All done."} You labeled ${countOf(progress.mine)}.`],
    [`${left ? others : ""}New images appear automatically.`],
    ["Next: ", link(unit ? "/?state=disputed" : "/agreement", "disagreements"), " · ", link("/skips", "skipped images"), " · ",
      link("/?state=unsure", "unsure labels"), " · ", link("/gallery", "gallery")],
    ["Export: ", make("code", {}, `dicomprep labels export labels.csv${unit ? ` --level ${unit}` : ""}`)],
  ];
}
