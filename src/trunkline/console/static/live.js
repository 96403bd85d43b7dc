// Replaces the inside of elements with data-stream by the events of that stream. EventSource connects again by itself.
"use strict";
for (const place of document.querySelectorAll("[data-stream]")) {
  const source = new EventSource(place.dataset.stream);
  source.addEventListener(place.dataset.event, (event) => {
    const focused = place.contains(document.activeElement) ? document.activeElement.id : "";
    place.innerHTML = event.data;
    if (focused) document.getElementById(focused)?.focus();
  });
  source.addEventListener("error", () => {
    // A session that has ended is answered by a page and not by a stream: load the page, which leads to the sign-in.
    if (source.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 5000);
  });
}
