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
