// The moving rows of Live, and the details of a row on Live and Log. Builds no HTML: clones templates, sets text.
"use strict";
(() => {
  const one = (selector, from = document) => from.querySelector(selector);
  const table = one("table.live");
  if (!table) return;
  const body = table.tBodies[0];
  const KEPT = 300, WAITING = 300, TURN = 120;
  const blank = one("template#row");
  const known = new Set(Array.from(body.rows, (row) => row.dataset.id));

  // ---- rows
  function fill(row) {
    const [id, run, number, iso, clock, verdict, word, method, sub, domain, head, tail, label, status, up, down, secret, rule] = row;
    const made = blank.content.firstElementChild.cloneNode(true);
    const cells = made.cells;
    made.dataset.id = id;
    const time = cells[0].firstElementChild;
    time.dateTime = iso;
    time.textContent = local(iso) || clock;
    const mark = one(`#v-${CSS.escape(verdict)}`).content.firstElementChild.cloneNode(true);
    (mark.lastElementChild && verdict ? mark.lastElementChild : mark).textContent = word;
    cells[1].append(mark);
    const link = cells[2].firstElementChild;
    link.setAttribute("href", `/record/${encodeURIComponent(run)}/${number}`);
    const [m, s, d, path] = link.children;
    if (method) m.textContent = method; else m.remove();
    s.textContent = sub; d.textContent = domain; path.firstElementChild.textContent = head;
    if (tail) path.lastElementChild.textContent = tail; else path.lastElementChild.remove();
    cells[3].firstElementChild.setAttribute("href", `/bottle/${encodeURIComponent(run)}`);
    cells[3].firstElementChild.textContent = label;
    const set = (cell, text, none, phone) => { cell.textContent = text || none; cell.classList.toggle("dim", !text); if (phone) cell.classList.toggle("hide", !text); };
    const zero = domain ? "0" : "";
    set(cells[4], status, ""); set(cells[5], up, zero); set(cells[6], down, zero, true); set(cells[7], secret, domain ? "none" : "", true);
    cells[8].textContent = rule;
    cells[9].textContent = String(number);
    return made;
  }

  function local(iso) {
    const d = new Date(iso);
    if (Number.isNaN(d.getTime())) return "";
    const two = (n) => String(n).padStart(2, "0");
    return `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}.${String(d.getMilliseconds()).padStart(3, "0")}`;
  }

  for (const time of body.querySelectorAll("time[data-ms]")) time.textContent = local(time.dateTime) || time.textContent;

  // ---- the stream: what waits is bounded, and so is the table; all of it is counted
  let waiting = [], skipped = 0, paused = false, timer = 0, lost = 0;
  const counts = { seen: 0, shown: 0, received: 0 };
  const rates = [];

  function show() {
    timer = 0;
    if (paused || !waiting.length) return;
    const fresh = document.createDocumentFragment();
    for (const row of waiting) {
      if (known.has(row[0])) continue;
      known.add(row[0]);
      fresh.prepend(fill(row));
      counts.shown += 1;
    }
    waiting = [];
    skipped = 0;
    const chosen = one('[aria-selected="true"]', body);
    const before = chosen?.getBoundingClientRect().top;
    body.prepend(fresh);
    while (body.rows.length > KEPT) {
      const last = body.lastElementChild;
      known.delete(last.dataset.id);
      last.remove();
    }
    if (chosen?.isConnected && scrollY > 200) scrollBy(0, chosen.getBoundingClientRect().top - before);
    one("#live-card").hidden = false;
    one("#nothing")?.remove();
    say();
  }

  function say() {
    const state = one("#state");
    if (!state) return;
    state.textContent = paused ? `Paused, ${skipped + waiting.length} more since` : "Following";
    table.dataset.seen = String(counts.seen);
    table.dataset.received = String(counts.received);
    table.dataset.lost = String(lost);
  }

  function rate() {
    const now = performance.now();
    while (rates.length && rates[0][0] < now - 5000) rates.shift();
    const sum = rates.reduce((all, [, n]) => all + n, 0);
    const place = one("#rate");
    if (place) place.textContent = `${Math.round(sum / 5)} records/s`;
  }

  function take(event) {
    let batch;
    try { batch = JSON.parse(event.detail.data); } catch { return; }
    counts.seen += batch.seen;
    counts.received += batch.rows.length;
    rates.push([performance.now(), batch.seen]);
    if (rates.length > 200) rates.shift();
    for (const row of batch.rows) waiting.push(row);
    if (waiting.length > WAITING) {
      skipped += waiting.length - WAITING;
      waiting = waiting.slice(-WAITING);
    }
    if (batch.lost) {
      lost += batch.lost;
      one("#lost-count").textContent = String(lost);
      one("#lost").hidden = false;
    }
    for (const row of body.querySelectorAll("tr.fresh")) {
      const at = row.dataset.id.lastIndexOf("/");
      if (Number(row.dataset.id.slice(at + 1)) < (batch.heads[row.dataset.id.slice(0, at)] || 0)) row.classList.remove("fresh");
    }
    say();
    if (!timer) timer = setTimeout(show, TURN);
  }

  if (table.hasAttribute("data-follow")) {
    one("#events")?.addEventListener("records", take);
    setInterval(rate, 1000);
    one("#pause").addEventListener("click", () => {
      paused = !paused;
      one("#pause").setAttribute("aria-pressed", String(paused));
      one("#pause span").textContent = paused ? "Go on" : "Pause";
      say();
      if (!paused) show();
    });
    one("#newest").addEventListener("click", () => {
      if (paused) one("#pause").click();
      scrollTo(0, 0);
      const first = one("[data-row]", body);
      for (const row of body.querySelectorAll('[aria-selected]')) row.removeAttribute("aria-selected");
      first?.setAttribute("aria-selected", "true");
    });
  }

  // ---- details: one row open at a time
  function chosen() { return one('[data-row][aria-selected="true"]', body); }

  function explain(row) {
    const open = one("tr.detail", body);
    const same = open && open.previousElementSibling === row;
    open?.remove();
    for (const other of body.querySelectorAll("[aria-selected]")) other.removeAttribute("aria-selected");
    row.setAttribute("aria-selected", "true");
    if (same) return;
    const detail = document.createElement("tr");
    detail.className = "detail";
    const cell = detail.insertCell();
    cell.colSpan = 10;
    cell.className = "full";
    cell.textContent = "Looking…";
    row.after(detail);
    htmx.ajax("GET", `${one("a[data-open]", row).getAttribute("href")}?part=why`, { target: cell, swap: "innerHTML" });
  }

  body.addEventListener("click", (event) => {
    const row = event.target.closest("tr[data-row]");
    if (!row || event.target.closest("a.bottle") || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    explain(row);
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, textarea, select")) return;
    const row = chosen() || event.target.closest?.("tr[data-row]");
    if (!row) return;
    if (event.key === "e") explain(row);
    else if (event.key === "o") one("a.bottle", row)?.click();
  });
})();
