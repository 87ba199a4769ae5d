import { find, say, send, within } from "./page.js";

find("who").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await send("/annotator", { name: find("name").value });
    location.assign(within("/"));
  } catch (error) {
    say(error.message, true);
  }
});
