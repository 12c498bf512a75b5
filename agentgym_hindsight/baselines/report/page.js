"use strict";
// Optional: without this script both axes are shown, and tooltips are those of the browser.
for (const views of document.querySelectorAll(".views")) {
  const all = [...views.querySelectorAll(".view")];
  if (all.length < 2) continue;
  const tabs = document.createElement("div");
  tabs.className = "tabs";
  const show = (chosen) => all.forEach((view, place) => {
    view.hidden = view !== chosen;
    tabs.children[place].setAttribute("aria-pressed", String(view === chosen));
  });
  for (const view of all) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = view.dataset.view;
    button.addEventListener("click", () => show(view));
    view.querySelector("h3").hidden = true;
    tabs.append(button);
  }
  views.prepend(tabs);
  show(all[0]);
}
const written = (value, share) => share ? (100 * value).toFixed(1) + "%" : String(+value.toPrecision(3));
for (const svg of document.querySelectorAll("svg.curve")) {
  const readout = document.createElement("div");
  readout.className = "readout";
  svg.after(readout);
  const [x0, x1, left, right] = svg.dataset.x.split(" ").map(Number);
  const [y0, y1, bottom, top] = svg.dataset.y.split(" ").map(Number);
  const traces = [...svg.querySelectorAll(".trace")].map((trace) => [
    trace.dataset.name,
    [...trace.querySelectorAll("polyline")].flatMap((line) => line.getAttribute("points").split(" ").map((p) => p.split(",").map(Number))),
  ]);
  const point = (event) => {
    const box = svg.getBoundingClientRect();
    const at = (event.clientX - box.left) * svg.viewBox.baseVal.width / box.width;
    const near = traces.map(([name, places]) => [name, places.reduce((a, b) => Math.abs(b[0] - at) < Math.abs(a[0] - at) ? b : a, [-1e9, 0])]);
    const x = x0 + (at - left) / (right - left) * (x1 - x0);
    readout.textContent = written(Math.max(x0, Math.min(x1, x))) + ": " + near.filter((n) => n[1][0] > -1e9)
      .map(([name, p]) => name + " " + written(y0 + (p[1] - bottom) / (top - bottom) * (y1 - y0), svg.dataset.share)).join(", ");
  };
  svg.addEventListener("pointermove", point);
  svg.addEventListener("pointerdown", point);
  svg.addEventListener("pointerleave", () => { readout.textContent = ""; });
}
// For touch screens, which have no tooltips: touching a token writes its weight under the response.
for (const pre of document.querySelectorAll("pre.response")) {
  pre.addEventListener("click", (event) => {
    const token = event.target.closest("[title]");
    if (!token) return;
    if (!pre.nextElementSibling || pre.nextElementSibling.className !== "readout") {
      const readout = document.createElement("div");
      readout.className = "readout";
      pre.after(readout);
    }
    pre.nextElementSibling.textContent = JSON.stringify(token.textContent) + ": " + token.title;
  });
}
