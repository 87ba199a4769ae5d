// Where the cohort of a large data set is being counted, the page waits for it.

import { find, get } from "./page.js";

const WAIT_MS = 2000;

async function wait() {
  try {
    if ((await get("/overview/state")).counted) return location.reload();
  } catch {
    // the server is away: it is asked again
  }
  return setTimeout(wait, WAIT_MS);
}

if (find("counting")) wait();
