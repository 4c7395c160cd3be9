// Filters for the register of claims. Without this script the page shows all of it, and says nothing of filters.
//
// What is chosen stands in the address, as in claims.html?verdict=corrected&text=pentagon. A link to a row,
// claims.html#triangle-3-2, always shows that row.
(() => {
  const table = document.querySelector("table.claims-all");
  if (!table) return;

  const FIELDS = { verdict: "Verdict", chapter: "Chapter", source: "Source" };

  const plain = (text) =>
    text.toLowerCase().replace(/[‘’]/g, "'").replace(/[“”]/g, '"').replace(/\\[()]|\s+/g, " ").trim();

  // The text is read now: soon MathJax replaces the formulas by drawings.
  const rows = [...table.tBodies[0].rows].map((element) => {
    const row = { element, name: {} };
    for (const field in FIELDS) {
      const mark = [...element.classList].find((name) => name.startsWith(`${field}--`));
      row[field] = mark.slice(field.length + 2);
    }
    // After the badge's symbol come its words.
    row.name.verdict = element.querySelector(".claim-badge").lastChild.textContent.trim();
    row.name.chapter = element.querySelector(".claim-chapter")?.textContent ?? row.chapter;
    row.name.source = element.querySelector(".claim-source").textContent;
    const parts = [...element.cells[0].children, ...element.cells[1].children];
    const words = parts.filter((part) => !part.matches(".claim-head, .claim-verdict"));
    row.text = plain([element.id, ...words.map((part) => part.textContent)].join(" "));
    return row;
  });

  const form = document.createElement("form");
  form.className = "claims-filter";
  form.setAttribute("role", "search");
  form.setAttribute("aria-label", "Filter the statements");
  // The address says what is chosen; the browser's own memory of forms could contradict it.
  form.autocomplete = "off";

  function control(text, element) {
    const box = document.createElement("div");
    const label = document.createElement("label");
    label.textContent = text;
    label.htmlFor = element.id = `claims-${element.name}`;
    box.append(label, element);
    form.append(box);
    return element;
  }

  const search = document.createElement("input");
  search.type = "search";
  search.name = "text";
  search.placeholder = "words in id, statement, finding or evidence";
  control("Text", search).parentElement.className = "claims-text";

  // Verdicts in the order in which the page explains them, everything else by the alphabet.
  const explained = [...document.querySelectorAll(".claim-badge")].map((badge) => badge.lastChild.textContent.trim());
  const selects = {};
  for (const field in FIELDS) {
    const names = new Map(rows.map((row) => [row[field], row.name[field]]));
    const order = ([, a], [, b]) =>
      field === "verdict" ? explained.indexOf(a) - explained.indexOf(b) : a.localeCompare(b, "en");
    const select = document.createElement("select");
    select.name = field;
    for (const [value, name] of [["", "all"], ...[...names].sort(order)]) {
      const option = new Option(name, value);
      option.dataset.name = name;
      select.append(option);
    }
    selects[field] = control(FIELDS[field], select);
  }

  const foot = document.createElement("div");
  foot.className = "claims-count";
  const count = document.createElement("p");
  count.setAttribute("aria-live", "polite");
  const clear = document.createElement("button");
  clear.type = "reset";
  clear.textContent = "Clear filters";
  foot.append(count, clear);
  form.append(foot);

  // Whether a row passes all filters, or all but one.
  function passes(row, words, but) {
    const chosen = Object.entries(selects).every(
      ([field, { value }]) => field === but || !value || value === row[field],
    );
    return chosen && words.every((word) => row.text.includes(word));
  }

  function show() {
    const words = plain(search.value).split(" ").filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      row.element.hidden = !passes(row, words);
      shown += !row.element.hidden;
    }
    count.textContent = `${shown} of ${rows.length} statements`;
    // Beside each option, how many rows it would leave.
    for (const field in selects) {
      const others = rows.filter((row) => passes(row, words, field));
      for (const option of selects[field].options) {
        const left = others.filter((row) => !option.value || row[field] === option.value).length;
        option.textContent = `${option.dataset.name} (${left})`;
      }
    }
  }

  function read() {
    const asked = new URLSearchParams(location.search);
    search.value = asked.get("text") ?? "";
    for (const field in selects) {
      selects[field].value = asked.get(field) ?? "";
      // A value that no row has is no filter.
      if (selects[field].selectedIndex < 0) selects[field].value = "";
    }
    show();
  }

  function write(hash) {
    const asked = new URLSearchParams(location.search);
    for (const { name, value } of [search, ...Object.values(selects)]) {
      asked.delete(name);
      if (value.trim()) asked.append(name, value.trim());
    }
    const query = asked.size ? `?${asked}` : "";
    try {
      history.replaceState(null, "", `${location.pathname}${query}${hash}`);
    } catch {
      // Some browsers keep the address of a file as it is; the filters work all the same.
    }
  }

  // A row's link no longer says what the reader looks at once the filters are changed, so it is dropped.
  const change = () => {
    show();
    write("");
  };
  form.addEventListener("input", change);
  form.addEventListener("submit", (event) => event.preventDefault());
  // The controls are emptied after this event.
  form.addEventListener("reset", () => setTimeout(change));

  const wanted = () => rows.find((row) => location.hash === `#${row.element.id}`)?.element;

  function reveal() {
    const row = wanted();
    if (!row) return;
    if (row.hidden) {
      for (const each of [search, ...Object.values(selects)]) each.value = "";
      show();
      write(location.hash);
    }
    // From here the tab key goes on, and screen readers read.
    row.tabIndex = -1;
    row.focus({ preventScroll: true });
    row.scrollIntoView({ behavior: "instant" });
  }

  // Above the table, but not in the box that scrolls where the table is too wide.
  (table.closest(".pst-scrollable-table-container") ?? table).before(form);
  read();
  reveal();
  addEventListener("popstate", read);
  addEventListener("hashchange", reveal);
})();
