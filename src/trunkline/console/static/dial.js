// Click-to-call: the tab of this browser that has the phone calls; without one, the phones of the employee ring first.
"use strict";

(() => {
  const WAIT = 700; // milliseconds for a tab with the phone to respond
  const { token, elsewhere, rings, failed } = document.currentScript.dataset;
  const channel = new BroadcastChannel("trunkline-phone");
  const waiting = new Map();
  let last = 0;

  channel.addEventListener("message", ({ data }) => {
    if (data.kind === "calling") waiting.get(data.id)?.(true);
  });

  function askPhone(number) {
    const id = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
    channel.postMessage({ kind: "call", number, id });
    return new Promise((resolve) => {
      waiting.set(id, resolve);
      setTimeout(() => resolve(false), WAIT);
    }).finally(() => waiting.delete(id));
  }

  function notice(text) {
    let place = document.getElementById("dial-notice");
    if (place === null) {
      place = document.createElement("p");
      place.id = "dial-notice";
      place.setAttribute("role", "status");
      document.body.append(place);
    }
    place.textContent = text;
    clearTimeout(last);
    last = setTimeout(() => place.remove(), 8000);
  }

  async function dial(number) {
    if (await askPhone(number)) {
      if (document.getElementById("phone")?.dataset.state !== "registered") notice(elsewhere);
      return;
    }
    try {
      const response = await fetch("/console/call", {
        method: "POST",
        body: new URLSearchParams({ form_token: token, number }),
      });
      const isJson = response.headers.get("content-type")?.startsWith("application/json");
      const { problem = "" } = isJson ? await response.json() : { problem: failed };
      notice(problem || rings);
    } catch {
      notice(failed);
    }
  }

  document.documentElement.classList.add("scripts");
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-dial]");
    if (!button) return;
    event.preventDefault();
    button.disabled = true;
    dial(button.dataset.dial).finally(() => {
      button.disabled = false;
    });
  });
})();
