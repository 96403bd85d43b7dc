// The page of the phone: shows its calls, and does what is clicked.
// @ts-check
import { Phone } from "./phone-calls.js";
import { Sound } from "./phone-sound.js";
import { shareAmongTabs } from "./phone-tabs.js";

/** @typedef {import("./phone-calls.js").Call} Call */

const root = /** @type {HTMLElement} */ (document.getElementById("phone"));
const part = (/** @type {string} */ name) =>
  /** @type {HTMLElement} */ (root.querySelector(`[data-part="${name}"]`));
const text = (/** @type {string} */ name) =>
  /** @type {HTMLTemplateElement} */ (part("texts")).content.querySelector(`[data-text="${name}"]`)?.textContent ?? name;
const field = /** @type {HTMLInputElement} */ (part("number"));

const { default: JsSIP, internals } = await import(/** @type {string} */ (root.dataset.library));
const sound = new Sound();
const phone = new Phone({ JsSIP, internals, line: askLine, microphone: () => sound.microphone });
let isOwner = false;
// For the developer tools of the browser.
Object.assign(globalThis, { trunklinePhone: phone });

const tabs = shareAmongTabs({
  begin: () => {
    isOwner = true;
    phone.start();
  },
  end: () => {
    isOwner = false;
    sound.quiet();
    phone.stop();
  },
  message: (message) => {
    if (message.kind !== "call" || !isOwner || phone.state !== "registered" || !phone.line?.may_call) return;
    dial(message.number);
    tabs.publish({ kind: "calling", id: message.id });
  },
});

async function askLine() {
  const response = await fetch(/** @type {string} */ (root.dataset.line), {
    method: "POST",
    body: new URLSearchParams({ form_token: root.dataset.token ?? "" }),
  });
  if (response.redirected || response.status === 403) location.reload();
  if (!response.ok) throw new Error(`status ${response.status}`);
  return response.json();
}

/** @param {string} number */
function dial(number) {
  if (!number.trim() || phone.state !== "registered") return;
  phone.call(number);
  field.value = "";
}

// --- calls

/** @type {Map<string, HTMLElement>} */
const shown = new Map();

phone.addEventListener("change", show);
phone.addEventListener("incoming", () => {
  if (phone.calls.length === 1) sound.ring();
});
phone.addEventListener("ended", (event) => {
  const call = /** @type {CustomEvent<Call>} */ (event).detail;
  if (call.cause) notice(`${call.name || call.number}: ${reason(call.cause)}`);
});

function show() {
  root.dataset.state = isOwner ? phone.state : "elsewhere";
  part("state").textContent = text(root.dataset.state);
  part("take").hidden = isOwner;
  part("dial").hidden = !isOwner;
  if (phone.line) part("calls-only").hidden = phone.line.may_call;
  if (!phone.calls.some((one) => one.state === "ringing")) sound.quiet();
  for (const [id, element] of shown) {
    if (!phone.calls.some((one) => one.id === id)) {
      element.remove();
      shown.delete(id);
    }
  }
  for (const call of phone.calls) showCall(call);
}

/** @param {Call} call */
function showCall(call) {
  let element = shown.get(call.id);
  if (element === undefined) {
    const template = /** @type {HTMLTemplateElement} */ (part("call"));
    element = /** @type {HTMLElement} */ (/** @type {Element} */ (template.content.firstElementChild).cloneNode(true));
    element.dataset.call = call.id;
    part("calls").append(element);
    shown.set(call.id, element);
  }
  const own = (/** @type {string} */ name) =>
    /** @type {HTMLElement} */ (/** @type {HTMLElement} */ (element).querySelector(`[data-own="${name}"]`));
  const isTalk = call.state === "talking";
  element.dataset.state = call.held ? "held" : call.state;
  own("who").textContent = call.name && call.name !== call.number ? `${call.name} · ${call.number}` : call.number;
  own("what").textContent = text(element.dataset.state);
  const others = phone.calls.filter((one) => one !== call && one.state === "talking");
  /** @type {Record<string, boolean>} */
  const visible = {
    answer: call.state === "ringing",
    hold: isTalk && !call.held,
    resume: isTalk && call.held,
    mute: isTalk && !call.muted,
    unmute: isTalk && call.muted,
    keys: isTalk && !call.held,
    transfer: isTalk,
    connect: isTalk && others.length > 0,
  };
  for (const [name, is] of Object.entries(visible)) own(name).hidden = !is;
  own("hang-up").textContent = text(call.state === "ringing" ? "decline" : "hang-up");
  const audio = /** @type {HTMLAudioElement} */ (own("sound"));
  if (audio.srcObject !== call.sound) {
    audio.srcObject = call.sound;
    sound.direct(audio);
  }
}

/** @type {Record<string, (call: Call) => void>} */
const ACTIONS = {
  answer: (call) => phone.answer(call),
  "hang-up": (call) => phone.hangUp(call),
  hold: (call) => phone.hold(call),
  resume: (call) => phone.resume(call),
  mute: (call) => phone.mute(call, true),
  unmute: (call) => phone.mute(call, false),
  keys: (call) => {
    const keys = /** @type {HTMLElement} */ (shown.get(call.id)?.querySelector('[data-own="pad"]'));
    keys.hidden = !keys.hidden;
  },
  transfer: (call) => {
    const to = prompt(text("transfer-to"))?.trim();
    if (to) phone.transfer(call, to).catch(notTransferred);
  },
  connect: (call) => {
    const other = phone.calls.find((one) => one !== call && one.state === "talking");
    // The call that was there first is handed over to the one that was made for it.
    if (other) phone.connect(...(other.since < call.since ? [other, call] : [call, other])).catch(notTransferred);
  },
};

part("calls").addEventListener("click", (event) => {
  const button = /** @type {HTMLElement} */ (event.target).closest("button");
  const id = /** @type {HTMLElement | null} */ (button?.closest("[data-call]"))?.dataset.call;
  const call = phone.calls.find((one) => one.id === id);
  if (!button || !call) return;
  if (button.dataset.key) phone.press(call, button.dataset.key);
  else ACTIONS[button.dataset.own ?? ""]?.(call);
});

setInterval(() => {
  for (const call of phone.calls) {
    const clock = shown.get(call.id)?.querySelector('[data-own="clock"]');
    if (clock && call.state === "talking") clock.textContent = duration(Date.now() - call.since);
  }
}, 500);

/** @param {Error} error */
function notTransferred(error) {
  notice(`${text("not-transferred")} ${error.message}`.trim());
}

/** @param {string} cause of JsSIP */
function reason(cause) {
  const known = text(`cause-${cause.toLowerCase().replaceAll(" ", "-")}`);
  return known.startsWith("cause-") ? cause : known;
}

/** @param {string} message */
function notice(message) {
  part("notice").textContent = message;
}

/** @param {number} milliseconds */
function duration(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

part("dial").addEventListener("submit", (event) => {
  event.preventDefault();
  notice("");
  dial(field.value);
});
part("take").addEventListener("click", () => tabs.take());
addEventListener("beforeunload", (event) => {
  if (phone.calls.length > 0) event.preventDefault();
});

// --- devices

/** @type {(() => void) | null} */
let stopLevel = null;

async function showDevices() {
  const devices = await sound.devices();
  /** @type {["microphone" | "speaker" | "ringer", string][]} */
  const lists = [
    ["microphone", "audioinput"],
    ["speaker", "audiooutput"],
    ["ringer", "audiooutput"],
  ];
  for (const [name, kind] of lists) {
    const list = /** @type {HTMLSelectElement} */ (part(name));
    const options = devices.filter((one) => one.kind === kind && one.deviceId && one.deviceId !== "default");
    list.replaceChildren(
      new Option(text("system"), ""),
      ...options.map((one) => new Option(one.label || one.deviceId.slice(0, 8), one.deviceId)),
    );
    list.value = sound.chosen[name];
    if (list.selectedIndex < 0) list.value = "";
  }
}

for (const name of /** @type {("microphone" | "speaker" | "ringer")[]} */ (["microphone", "speaker", "ringer"])) {
  part(name).addEventListener("change", (event) => {
    sound.choose(name, /** @type {HTMLSelectElement} */ (event.target).value);
    for (const one of root.querySelectorAll("audio")) sound.direct(one);
  });
}
const processed = /** @type {HTMLInputElement} */ (part("processed"));
processed.checked = sound.chosen.processed;
processed.addEventListener("change", () => sound.process(processed.checked));
part("play").addEventListener("click", () => sound.play());
part("listen").addEventListener("click", async () => {
  if (stopLevel !== null) {
    stopLevel();
    stopLevel = null;
    return;
  }
  try {
    stopLevel = await sound.level((level) => {
      /** @type {HTMLMeterElement} */ (part("level")).value = level;
    });
    await showDevices();
  } catch {
    notice(text("no-microphone"));
  }
});
navigator.mediaDevices?.addEventListener("devicechange", showDevices);
showDevices();
show();
