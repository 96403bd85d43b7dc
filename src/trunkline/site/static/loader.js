// Loads the present widget. The address of this file stays; the widget's has a digest of its content.
(function () {
  var own = document.currentScript;
  if (!own || window.trunklineWidget) return;
  window.trunklineWidget = { base: new URL(own.src).origin, data: own.dataset };
  var widget = document.createElement("script");
  widget.src = window.trunklineWidget.base + "WIDGET_PATH";
  widget.integrity = "WIDGET_DIGEST";
  widget.crossOrigin = "anonymous";
  widget.async = true;
  document.head.appendChild(widget);
})();
