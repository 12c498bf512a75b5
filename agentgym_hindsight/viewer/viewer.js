"use strict";
// Optional: pages work without it. It adds keys, live updates, and the values of touched tokens.
const find = (selector) => document.querySelector(selector);
const go = (selector) => { const target = find(selector); if (target && target.href) location.href = target.href; return Boolean(target); };
const rows = () => [...document.querySelectorAll("[data-row]")].filter((row) => row.offsetParent !== null);
let marked = -1;
function mark(step) {
  const all = rows();
  if (!all.length) return false;
  marked = Math.max(0, Math.min(all.length - 1, marked + step));
  all.forEach((row, place) => row.classList.toggle("marked", place === marked));
  const target = all[marked].querySelector("a");
  if (target) target.focus({ preventScroll: true });
  all[marked].scrollIntoView({ block: "nearest" });
  return true;
}
function helpOpen() { const keys = find("#keys"); if (keys && keys.showModal && !keys.open) keys.showModal(); }
const turns = () => find(".timeline");
const keys = {
  j: () => (turns() ? go(".detail a[rel=next]") : mark(1)), k: () => (turns() ? go(".detail a[rel=prev]") : mark(-1)),
  ArrowDown: () => (turns() ? false : mark(1)), ArrowUp: () => (turns() ? false : mark(-1)),
  ArrowRight: () => go("a[rel=next]"), ArrowLeft: () => go("a[rel=prev]"),
  n: () => go("a[rel=sibling-next]"), p: () => go("a[rel=sibling-prev]"),
  u: () => go("a[rel=up]"), g: () => { location.href = document.body.classList.contains("export") ? "#home" : "/?all=1"; return true; },
  "/": () => { const search = find("#search"); if (search) { search.focus(); search.select(); } else go("a[rel=up]"); return true; },
  "?": () => { helpOpen(); return true; },
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, select, textarea, dialog[open]")) { if (event.key === "Escape") event.target.blur(); return; }
  // Arrows scroll inside a region that the user has put the focus on.
  if (event.key.startsWith("Arrow") && event.target.closest("[tabindex='0']") && event.target.matches("[tabindex='0']")) return;
  const action = keys[event.key];
  if (action && action()) event.preventDefault();
});
// The turn that is shown is in the visible part of the list.
const current = find(".timeline [aria-current]");
if (current) { const list = turns(); list.scrollTop = current.offsetTop - list.offsetTop - list.clientHeight / 3; }
// For touch screens, which have no tooltips.
for (const reply of document.querySelectorAll("pre.response")) {
  reply.addEventListener("click", (event) => {
    const token = event.target.closest("[title]");
    if (!token) return;
    let readout = reply.nextElementSibling;
    if (!readout || !readout.classList.contains("readout")) { readout = document.createElement("div"); readout.className = "readout"; readout.setAttribute("role", "status"); reply.after(readout); }
    readout.textContent = JSON.stringify(token.textContent) + ": " + token.title;
  });
}
// Live: asks whether the files have changed, and shows the new page; while someone reads or types, only a link to it.
const status = find("[data-live]");
if (status) {
  let known = null;
  const reload = async () => {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const opened = [...document.querySelectorAll("main details")].map((each) => each.open);
    find("main").replaceWith(fresh.querySelector("main"));
    document.querySelectorAll("main details").forEach((each, place) => { if (place in opened) each.open = opened[place]; });
    status.textContent = fresh.querySelector("[data-live]").textContent || "Updated.";
    marked = -1;
  };
  const ask = async () => {
    try {
      const state = await (await fetch(status.dataset.live)).json();
      if (known !== null && state.version !== known) {
        const busy = document.activeElement && document.activeElement.closest("main input, main select, main a, main summary");
        if (!busy && scrollY < 200) await reload();
        else { status.textContent = "The file has grown. "; const more = document.createElement("a"); more.href = location.href; more.textContent = "Show the new page"; status.append(more); }
      }
      known = state.version;
      setTimeout(ask, state.done ? 2000 : 500);
    } catch { status.textContent = "agh view has ended; this page no longer changes."; setTimeout(ask, 10000); }
  };
  ask();
}
