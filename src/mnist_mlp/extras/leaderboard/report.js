// Sorts the leaderboards by a click on a column's head, and shows which entry a mark in a plot belongs to.
"use strict";

for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const head = button.closest("th");
    const body = head.closest("table").tBodies[0];
    const up = head.getAttribute("aria-sort") !== "ascending";
    for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const of = (row) => row.cells[head.cellIndex].dataset.value ?? row.cells[head.cellIndex].textContent;
    const order = (a, b) => {
      if (a === "" || b === "") return (a === "") - (b === ""); // without a value: at the end, either way
      const difference = a - b; // NaN for words
      return (up ? 1 : -1) * (Number.isNaN(difference) ? a.localeCompare(b, undefined, { numeric: true }) : difference);
    };
    body.append(...[...body.rows].sort((one, other) => order(of(one), of(other))));
  });
}

const REACH = 9; // pixels around a pointer or a finger in which a thin line counts as meant
const tip = document.createElement("div");
tip.className = "tip";
tip.setAttribute("role", "status");
document.body.append(tip);

function markAt(x, y) {
  for (const radius of [0, REACH / 2, REACH]) {
    for (let turn = 0; turn < (radius ? 8 : 1); turn++) {
      const angle = (turn * Math.PI) / 4;
      const found = document.elementFromPoint(x + radius * Math.cos(angle), y + radius * Math.sin(angle));
      const mark = found?.closest("[data-entry]");
      if (mark) return mark;
    }
  }
  return null;
}

function show(mark, x, y) {
  for (const old of document.querySelectorAll(".chosen")) old.classList.remove("chosen");
  const label = mark?.dataset.label;
  tip.style.display = label ? "block" : "none";
  if (!mark) return;
  for (const same of document.querySelectorAll(`[data-entry="${mark.dataset.entry}"]`)) same.classList.add("chosen");
  if (!label) return;
  tip.textContent = label;
  const { width, height } = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(8, Math.min(x + 14, innerWidth - width - 8))}px`;
  tip.style.top = `${y + height + 24 > innerHeight ? y - height - 14 : y + 18}px`;
}

for (const type of ["pointermove", "pointerdown"]) {
  document.addEventListener(type, ({ clientX, clientY, target }) =>
    show(target.closest?.("svg, tr") ? markAt(clientX, clientY) : null, clientX, clientY));
}
document.addEventListener("scroll", () => show(null), { passive: true });
document.addEventListener("keydown", ({ key }) => key === "Escape" && show(null));
