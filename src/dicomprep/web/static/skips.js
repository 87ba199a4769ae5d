// What was skipped: shown in the queue again, one or all.

import { Outbox } from "./outbox.js";
import { countOf, find, say } from "./page.js";

const outbox = new Outbox(() => {});

async function showAgain(buttons) {
  for (const button of buttons) button.disabled = true;
  const sent = buttons.map((button) => outbox.put("/skip", { frame: Number(button.dataset.frame), again: true }));
  const answers = await Promise.all(sent);
  for (const [place, button] of buttons.entries()) {
    if (answers[place]) button.closest("li").remove();
    else button.disabled = false;
  }
  const count = answers.filter(Boolean).length;
  if (count) say(`${countOf(count, "image")} will be shown again.`);
}

document.body.addEventListener("click", (event) => {
  const button = event.target.closest("[data-frame]");
  if (button) showAgain([button]);
});
find("all")?.addEventListener("click", () => showAgain([...document.querySelectorAll("[data-frame]")]));
