// Retrying failed files, and what the run prints meanwhile.

import { find, get, say, send } from "./page.js";

const buttons = document.querySelectorAll("[data-code]");

function show(state) {
  for (const button of buttons) button.disabled = state.running;
  find("lines").hidden = !state.lines.length;
  find("lines").textContent = state.lines.join("\n");
}

async function watch() {
  for (;;) {
    const state = await get("/failures/state");
    show(state);
    if (!state.running) break;
    say("Retry running…");
    await new Promise((wake) => setTimeout(wake, 500));
  }
  say("Retry finished. Reload the page to see the remaining failures.");
}

for (const button of buttons) {
  button.addEventListener("click", async () => {
    try {
      show(await send("/failures/retry", { code: button.dataset.code }));
      await watch();
    } catch (error) {
      say(error.message, true);
    }
  });
}
get("/failures/state").then((state) => state.running && watch(), () => {});
