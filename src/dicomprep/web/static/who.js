import { find, say, send } from "./page.js";

find("who").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await send("/annotator", { name: find("name").value });
    location.assign("/");
  } catch (error) {
    say(error.message, true);
  }
});
