// Small settings for scripts that are loaded later on the page.

// Font Awesome would watch the whole page and replace the icons inside ipywidgets, which breaks their buttons.
window.FontAwesomeConfig = { observeMutations: false };

// The widget manager typesets through MathJax 2's queue; the book has MathJax 3. This passes the call on.
document.addEventListener("DOMContentLoaded", () => {
  if (window.MathJax && !window.MathJax.Hub) {
    window.MathJax.Hub = { Queue: ([, , element]) => window.MathJax.typesetPromise?.([element]) };
  }
});

// A page opened from disk may not read other pages, so search lists titles there, without excerpts. This script
// comes first on the page, and so its listener is called before that of the search.
document.addEventListener("DOMContentLoaded", () => {
  if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
});

// MathJax would draw all formulas of a page in one go, and nothing else could happen for most of a second: no lab
// could start, no click be answered. So they are drawn in short turns, those near the reader first.
document.addEventListener(
  "readystatechange",
  () => {
    if (!window.MathJax) return; // a page without formulas
    const pageReady = () => window.MathJax.startup.defaultPageReady().then(drawFormulas);
    window.MathJax.startup = { typeset: false, pageReady };
  },
  { once: true },
);

const TURN = 12; // milliseconds

async function drawFormulas() {
  const middle = innerHeight / 2;
  const distance = new Map();
  for (const formula of document.querySelectorAll(".math")) {
    distance.set(formula, Math.abs(formula.getBoundingClientRect().top - middle));
  }
  const rest = [...distance.keys()].sort((a, b) => distance.get(a) - distance.get(b));
  while (rest.length) {
    const begin = performance.now();
    while (rest.length && performance.now() - begin < TURN) await window.MathJax.typesetPromise(rest.splice(0, 2));
    await new Promise((go) => setTimeout(go));
  }
  keepTarget();
}

// What is drawn late moves the place that a link led to; it is put right unless the reader has moved on.
let moved = performance.getEntriesByType("navigation")[0]?.type !== "navigate"; // going back, one has a place already
for (const kind of ["wheel", "touchstart", "pointerdown", "keydown"]) {
  addEventListener(kind, () => (moved = true), { once: true, passive: true });
}
function keepTarget() {
  if (!moved) document.querySelector(":target")?.scrollIntoView({ behavior: "instant" });
}

// A formula that is wider than its place scrolls; so that keys can scroll it too, it can be given the focus.
addEventListener("load", async () => {
  await window.MathJax?.startup?.promise;
  const judge = (place) => {
    if (place.scrollWidth > place.clientWidth) {
      place.tabIndex = 0;
      place.setAttribute("role", "group");
      place.setAttribute("aria-label", "formula");
    } else {
      for (const name of ["tabindex", "role", "aria-label"]) place.removeAttribute(name);
    }
  };
  // The place can change, and so can the drawing in it.
  const wide = new ResizeObserver((entries) => {
    for (const { target } of entries) judge(target.localName === "svg" ? target.parentElement : target);
  });
  const watch = (formula) => {
    for (const one of formula.querySelectorAll("mjx-container, mjx-container > svg")) wide.observe(one);
  };
  const drawn = new MutationObserver((records) => records.forEach(({ target }) => watch(target)));
  for (const formula of document.querySelectorAll("div.math")) {
    wide.observe(formula);
    watch(formula);
    drawn.observe(formula, { childList: true });
  }
});

// The theme's list of references calls itself a list, but what it holds are no items of one.
document.addEventListener("DOMContentLoaded", () => {
  for (const list of document.querySelectorAll(".citation-list[role=list]")) list.removeAttribute("role");
});
