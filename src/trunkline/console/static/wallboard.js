// The wall-board: colours of queues, callers who wait too long, the clock, full screen. live.js brings the figures.
"use strict";

const wall = document.getElementById("wall");
const lost = document.getElementById("wall-lost");
const clock = document.getElementById("wall-clock");

// Black or white, whichever differs more from a colour (WCAG relative luminance).
function readable(colour) {
  const [red, green, blue] = colour.match(/[\d.]+/g).slice(0, 3).map((one) => {
    const share = Number(one) / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#000" : "#fff";
}

function paint() {
  for (const tile of wall.querySelectorAll(".tile")) {
    const { background, font } = tile.dataset;
    if (background && CSS.supports("color", background)) {
      tile.style.setProperty("--tile", background);
      tile.style.setProperty("--font", readable(getComputedStyle(tile).backgroundColor));
    }
    if (font && CSS.supports("color", font)) tile.style.setProperty("--font", font);
  }
  late();
}

function late() {
  for (const tile of wall.querySelectorAll(".tile")) {
    const since = tile.querySelector(".longest [data-since]")?.dataset.since;
    const waited = since === undefined ? 0 : Date.now() / 1000 - Number(since);
    tile.classList.toggle("late", waited > Number(tile.dataset.lateAfter));
  }
}

function second() {
  clock.textContent = new Intl.DateTimeFormat(document.documentElement.lang, {
    hour: "2-digit",
    minute: "2-digit",
    timeZone: clock.dataset.zone,
  }).format(new Date());
  lost.hidden = !wall.classList.contains("old");
  late();
}

// A screen must not go dark while it shows the page.
async function stayOn() {
  if (document.visibilityState !== "visible") return;
  try {
    await navigator.wakeLock?.request("screen");
  } catch {
    // not permitted here
  }
}

wall.addEventListener("shown", paint);
document.getElementById("wall-full").addEventListener("click", () => document.documentElement.requestFullscreen());
document.addEventListener("visibilitychange", stayOn);
paint();
second();
stayOn();
setInterval(second, 1000);
