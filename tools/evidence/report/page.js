"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  // The row and the query of the citation that is pointed at or focused. Nodes are copied, never text made into markup.
  const inspector = byId("inspector");
  const card = byId("card");
  const narrow = matchMedia("(max-width: 75rem)");
  let shown = null;

  const copyOf = (id, title) => {
    const source = byId(id);
    if (!source) return [];
    const heading = document.createElement("h3");
    heading.textContent = title;
    const copy = source.cloneNode(true);
    copy.removeAttribute("id");
    all("[id]", copy).forEach((node) => node.removeAttribute("id"));
    return [heading, copy];
  };

  const inspect = (link) => {
    const id = link.getAttribute("href").slice(1);
    if (!id.startsWith("row-") && !id.startsWith("query-")) return;
    inspector.hidden = false;
    inspector.classList.add("open");
    if (shown === link.hash + link.textContent) return;
    shown = link.hash + link.textContent;
    all(".cite.current").forEach((node) => node.classList.remove("current"));
    link.classList.add("current");
    const query = byId(id.startsWith("query-") ? id : "query-" + link.dataset.query);
    const row = id.startsWith("row-") ? byId(id) : null;
    const parts = [];
    if (row) parts.push(...copyOf(id, row.parentElement.querySelector("summary").textContent.trim().replace(/\s+/g, " ")));
    if (query) parts.push(...copyOf(query.id, "Query " + query.dataset.name));
    card.replaceChildren(...parts);
    card.scrollTop = 0;
    byId("inspected").textContent = row ? "Row " + link.textContent : "Query " + link.textContent;
  };

  const close = () => {
    if (narrow.matches) inspector.hidden = true;
    inspector.classList.remove("open");
    all(".cite.current").forEach((node) => node.classList.remove("current"));
    shown = null;
  };

  let waiting = 0;
  document.addEventListener("pointerover", (event) => {
    const link = event.target.closest?.("main a.cite");
    clearTimeout(waiting);
    if (link && event.pointerType !== "touch") waiting = setTimeout(inspect, 60, link);
  });
  document.addEventListener("focusin", (event) => {
    const link = event.target.closest?.("main a.cite");
    if (link) inspect(link);
  });
  // On a touch screen the first tap shows the row beside the text, the second goes to it.
  let touched = null;
  document.addEventListener("pointerdown", (event) => { touched = event.pointerType === "touch" ? shown : null; });
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("main a.cite");
    if (!link) return;
    if (event.pointerType === "touch" && touched !== link.hash + link.textContent) {
      event.preventDefault();
      inspect(link);
    } else {
      const holder = byId(link.hash.slice(1))?.closest("details");
      if (holder) holder.open = true;
      if (narrow.matches) close();
    }
  });
  byId("close").addEventListener("click", close);
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") close(); });
  if (!narrow.matches) inspector.hidden = false;
  narrow.addEventListener("change", () => { inspector.hidden = narrow.matches && !inspector.classList.contains("open"); });

  // Filters: within a group any choice fits, every group must; the words must all occur.
  const form = byId("filters");
  if (form) {
    const entries = all(".entry").map((node) => ({
      node,
      keys: new Set(node.dataset.keys.split(" ")),
      text: node.textContent.toLowerCase(),
      mark: document.querySelector('.mark[data-entry="' + node.id.slice(6) + '"]'),
    }));
    const groups = all("fieldset", form);
    const words = byId("words");
    const apply = () => {
      const wanted = groups
        .map((group) => all("input:checked", group).map((box) => box.value))
        .filter((choices) => choices.length);
      const said = words.value.toLowerCase().split(/\s+/).filter(Boolean);
      let count = 0;
      for (const { node, keys, text, mark } of entries) {
        const fits = wanted.every((choices) => choices.some((key) => keys.has(key))) && said.every((word) => text.includes(word));
        node.hidden = !fits;
        mark?.classList.toggle("off", !fits);
        if (fits) count += 1;
      }
      all(".day").forEach((day) => { day.hidden = !day.querySelector(".entry:not([hidden])"); });
      byId("shown").textContent = count + " of " + entries.length + " entries shown";
      form.classList.toggle("active", count < entries.length);
    };
    let pending = 0;
    const soon = () => { cancelAnimationFrame(pending); pending = requestAnimationFrame(apply); };
    form.addEventListener("input", soon);
    form.addEventListener("reset", () => setTimeout(apply));
    form.addEventListener("submit", (event) => event.preventDefault());
    form.hidden = false;
    apply();
  }
})();
