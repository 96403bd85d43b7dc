// The workspace: the note is for the present call, else for the last one; what somebody has begun to write keeps its call.
"use strict";

const desk = document.getElementById("desk");
const note = document.getElementById("note");

function isWritten() {
  return ["comment", "tag", "at"].some((name) => note.elements[name]?.value);
}

function point() {
  if (!note || (note.elements.call.value && isWritten())) return;
  const place = desk.querySelector("[data-call-id]") ?? desk.querySelector("[data-last-id]");
  const id = place?.dataset.callId ?? place?.dataset.lastId ?? "";
  note.elements.call.value = id;
  const link = document.getElementById("note-link");
  link.href = `/console/calls/${id}`;
  link.textContent = id;
  document.getElementById("note-who").textContent = place?.dataset.who ?? "";
  document.getElementById("note-call").hidden = !id;
  document.getElementById("note-none").hidden = Boolean(id);
}

function mark() {
  const state = desk.querySelector("[data-state]")?.dataset.state;
  for (const button of document.querySelectorAll("#state button")) {
    if (state) button.setAttribute("aria-pressed", String(button.value === state));
    else button.removeAttribute("aria-pressed");
  }
}

for (const show of [point, mark]) {
  desk.addEventListener("shown", show);
  show();
}

// The page is not left for a note or a state: calls and what is being written stay as they are.
for (const form of [note, document.getElementById("state")]) {
  form?.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = event.submitter;
    const body = new URLSearchParams(new FormData(form, button));
    button.disabled = true;
    try {
      const response = await fetch(form.action, { method: "POST", body });
      if (!response.ok) {
        const page = new DOMParser().parseFromString(await response.text(), "text/html");
        say(form, page.querySelector("main p")?.textContent ?? String(response.status), true);
        return;
      }
      if (form === note) {
        form.reset();
        point();
      }
      say(form, "✓", false);
    } catch (error) {
      say(form, String(error), true);
    } finally {
      button.disabled = false;
    }
  });
}

function say(form, text, isProblem) {
  let place = form.querySelector("[role=status]");
  if (place === null) {
    place = document.createElement("p");
    place.setAttribute("role", "status");
    form.append(place);
  }
  place.className = isProblem ? "bad" : "good";
  place.textContent = text;
}
