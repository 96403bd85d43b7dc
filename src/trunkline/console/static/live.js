// Live parts of pages: replaces the inside of elements with data-stream by the events of that stream, and counts the seconds
// of elements with data-since. EventSource connects again by itself.
"use strict";

const WAIT = 5000; // milliseconds until the next try when the server refuses

function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const minutes = Math.floor(whole / 60);
  const rest = String(whole % 60).padStart(2, "0");
  if (minutes < 60) return `${minutes}:${rest}`;
  return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${rest}`;
}

function tick(place) {
  const now = Date.now() / 1000;
  for (const one of place.querySelectorAll("[data-since]")) {
    const text = duration(now - Number(one.dataset.since));
    if (one.textContent !== text) one.textContent = text;
  }
}

// The page is gone from the server, or nobody is signed in any more: load it once the server answers.
async function loadAgain() {
  try {
    const response = await fetch(location.href, { cache: "no-store" });
    if (response.status < 500 && response.status !== 429) {
      location.reload();
      return;
    }
  } catch {
    // no connection
  }
  setTimeout(loadAgain, WAIT);
}

function show(place, html) {
  const focused = place.contains(document.activeElement) ? document.activeElement : null;
  const key = focused && { id: focused.id, name: focused.name, value: focused.value };
  place.innerHTML = html;
  tick(place);
  if (key?.id) document.getElementById(key.id)?.focus();
  else if (key?.value) [...place.querySelectorAll("button")].find((one) => one.value === key.value)?.focus();
  place.dispatchEvent(new Event("shown"));
}

function follow(place) {
  let version = "";
  let delay = 0;
  const source = new EventSource(place.dataset.stream);
  source.addEventListener("page", (event) => {
    if (version && version !== event.data) location.reload();
    version = event.data;
  });
  source.addEventListener("part", (event) => show(place, event.data));
  source.addEventListener("open", () => {
    clearTimeout(delay);
    delay = 0;
    place.classList.remove("old");
  });
  source.addEventListener("error", () => {
    delay ||= setTimeout(() => place.classList.add("old"), WAIT);
    if (source.readyState === EventSource.CLOSED) setTimeout(loadAgain, WAIT);
  });
  return () => {
    clearTimeout(delay);
    source.close();
  };
}

// A browser has few connections for all its tabs: a tab that nobody looks at has none.
const places = [...document.querySelectorAll("[data-stream]")];
let stops = [];
function followVisible() {
  if (document.visibilityState === "visible" && stops.length === 0) stops = places.map(follow);
  else if (document.visibilityState === "hidden") for (const stop of stops.splice(0)) stop();
}
document.addEventListener("visibilitychange", followVisible);
addEventListener("pagehide", () => stops.splice(0).forEach((stop) => stop()));
addEventListener("pageshow", followVisible);
followVisible();
tick(document);
setInterval(() => tick(document), 1000);
