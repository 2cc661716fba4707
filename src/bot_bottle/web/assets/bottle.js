// Keys, countdowns, times, and what htmx leaves to the page. No page needs it: forms and links work without.
// Builds no HTML: text only ever goes in through textContent (trusted types would refuse the rest).
"use strict";
(() => {
  const one = (selector, from = document) => from.querySelector(selector);
  const all = (selector, from = document) => Array.from(from.querySelectorAll(selector));
  const shown = (element) => element && !element.disabled && element.getClientRects().length > 0;

  // ---- time: the server's clock counts; this machine's may be wrong
  const skew = Number(one('meta[name="now"]')?.content || Date.now()) - Date.now();
  const now = () => Date.now() + skew;
  const two = (n) => String(n).padStart(2, "0");

  function left(ms) {
    const s = Math.max(0, Math.floor(ms / 1000));
    const h = Math.floor(s / 3600), m = Math.floor(s / 60) % 60;
    return h ? `${h}:${two(m)}:${two(s % 60)}` : `${m}:${two(s % 60)}`;
  }

  function span(ms) {
    const s = Math.max(0, Math.floor(ms / 1000));
    if (s < 60) return `${s} s`;
    if (s < 3600) return `${Math.floor(s / 60)} min`;
    if (s < 86400) return s % 3600 < 60 ? `${Math.floor(s / 3600)} h` : `${Math.floor(s / 3600)} h ${two(Math.floor(s / 60) % 60)}`;
    return `${Math.floor(s / 86400)} d`;
  }

  function say(element, text) {
    if (element && element.textContent !== text) element.textContent = text;
  }

  function tick() {
    const at = now();
    for (const t of all("[data-deadline]")) say(t, left(Number(t.dataset.deadline) - at));
    for (const t of all("[data-since]")) say(t, span(at - Number(t.dataset.since)));
    for (const bar of all("[data-from][data-until]")) {
      const from = Number(bar.dataset.from), until = Number(bar.dataset.until);
      const part = Math.min(1, Math.max(0, (until - at) / Math.max(1, until - from)));
      bar.setAttribute("x2", `${(part * 100).toFixed(1)}%`);
    }
    if (lost) say(one("#stale-age"), span(Date.now() - lost));
  }

  function localTimes(root) {
    for (const t of all("time[data-t]", root)) {
      const d = new Date(t.dateTime);
      if (Number.isNaN(d.getTime())) continue;
      const clock = `${two(d.getHours())}:${two(d.getMinutes())}`;
      say(t, t.dataset.t === "day"
        ? `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${clock}`
        : `${clock}:${two(d.getSeconds())}`);
    }
  }

  // ---- the live connection
  let lost = 0;
  function connection(ok) {
    lost = ok ? 0 : lost || Date.now();
    const note = one("#stale");
    if (note) note.hidden = ok || Date.now() - lost < 3000;
  }
  document.addEventListener("htmx:sse:after:connection", () => connection(true));
  document.addEventListener("htmx:sse:after:message", () => connection(true));
  for (const name of ["htmx:sse:error", "htmx:sse:close"]) {
    document.addEventListener(name, () => { if (!document.hidden && !leaving) connection(false); });
  }
  let leaving = false;
  addEventListener("pagehide", () => { leaving = true; });
  addEventListener("pageshow", () => { leaving = false; });

  // ---- signed out: what is in view goes at once; then the server says whether this browser is signed in anew
  let out = false;
  function signedOut() {
    if (out) return;
    out = leaving = true;
    const notice = document.createElement("h1");
    notice.textContent = document.title = "You are signed out.";
    document.body.replaceChildren(notice);
    location.replace(`/signed-out?back=${encodeURIComponent(location.pathname + location.search)}`);
  }
  const refused = (event) => (event.detail?.ctx?.response?.status ?? event.detail?.status) === 401;
  document.addEventListener("signed-out", signedOut);
  document.addEventListener("htmx:before:response", (event) => {
    if (refused(event)) { event.preventDefault(); signedOut(); }
  });
  document.addEventListener("htmx:sse:error", (event) => { if (refused(event)) signedOut(); });
  // A page that the browser kept, and a tab in the background, whose stream rests, know nothing of it.
  addEventListener("pageshow", (event) => { if (event.persisted) { document.body.replaceChildren(); location.reload(); } });
  setInterval(async () => {
    if (!document.hidden || out) return;
    try { if ((await fetch("/part/waiting", { cache: "no-store" })).status === 401) signedOut(); } catch { /* not reached */ }
  }, 20000);

  // ---- rows: j and k move a selection, Enter opens it
  const rows = () => all("[data-row]").filter(shown);
  const current = () => one('[data-row][aria-selected="true"], [data-row][aria-current="true"]');

  function select(row) {
    const attribute = row.tagName === "A" ? "aria-current" : "aria-selected";
    for (const other of all("[data-row]")) other.removeAttribute(attribute);
    row.setAttribute(attribute, "true");
    row.scrollIntoView({ block: "nearest" });
  }

  function move(by) {
    const list = rows();
    if (!list.length) {
      const step = one(by > 0 ? "[data-next]" : "[data-previous]");
      if (step) step.click();
      return;
    }
    const at = list.indexOf(current());
    const row = list[at < 0 ? 0 : Math.min(list.length - 1, Math.max(0, at + by))];
    select(row);
    if (row.matches("a[hx-get], a[data-hx-get]")) row.click();
    else (one("[data-open]", row) || row).focus({ preventScroll: true });
  }

  function open() {
    const link = current() && (one("[data-open]", current()) || (current().tagName === "A" ? current() : null));
    if (link) link.click();
  }

  // ---- single keys; can be switched off (WCAG 2.1.4)
  const OFF = "bot-bottle-keys-off";
  const off = () => { try { return localStorage.getItem(OFF) === "1"; } catch { return false; } };
  let going = 0;

  function typing(target) {
    return target.isContentEditable || target.matches("textarea, select, input:not([type=radio], [type=checkbox], [type=button])");
  }

  function press(key) {
    const inRow = current() && one(`[data-key="${CSS.escape(key)}"]`, current());
    const element = shown(inRow) ? inRow : all(`[data-key="${CSS.escape(key)}"]`).find((e) => shown(e) || e.type === "radio");
    if (!element) return false;
    if (element.matches("input:not([type=radio], [type=checkbox]), select, textarea")) {
      element.focus();
      element.select?.();
    } else element.click();
    return true;
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.key === "Escape" && typing(event.target)) { event.target.blur(); return; }
    if (off() || typing(event.target)) return;
    const sheet = all("[popover].sheet-box").find((e) => e.matches(":popover-open"));
    if (sheet && !(event.key === "?" && sheet.id === "keys")) return;
    if (event.repeat && !"jk".includes(event.key)) return;
    let done = true;
    if (going && Date.now() - going < 1500) {
      const to = { n: "/", i: "/inbox", l: "/live", r: "/reach", p: "/policy", o: "/log", s: "/settings" }[event.key];
      going = 0;
      if (to) location.assign(to);
    } else if (event.key === "g") going = Date.now();
    else if (event.key === "j") move(1);
    else if (event.key === "k") move(-1);
    else if (event.key === "?") one("#keys")?.togglePopover();
    else if (event.key === "Enter" && (event.target === document.body || event.target.id === "main")) open();
    else if (event.key.length === 1) done = press(event.key);
    else done = false;
    if (done) event.preventDefault();
  });

  // ---- what belongs to the inbox
  function mark(id) {
    for (const row of all(".queue [data-row]")) {
      if (row.dataset.ask === id) row.setAttribute("aria-current", "true");
      else row.removeAttribute("aria-current");
    }
    const place = one("#place");
    const list = rows();
    const at = list.findIndex((row) => row.dataset.ask === id);
    if (place && at >= 0) say(place, String(at + 1));
  }

  function inbox() {
    const card = one("#card");
    if (!card) return;
    const id = card.dataset.ask;
    mark(id);
    const queue = one("#queue");
    if (queue?.dataset.selected === id && queue.dataset.state && queue.dataset.state !== card.dataset.state) {
      queue.dataset.state = card.dataset.state;
      htmx.trigger(card, "changed");
    }
    if (id && card.dataset.path && location.pathname === "/inbox" && location.search !== card.dataset.path.slice(6)) {
      history.replaceState(null, "", card.dataset.path);
    }
  }

  // Only what a person has seen for a moment can be answered: a double click, a repeated key or a card that comes in
  // under the thumb must not decide about the next ask, which takes the place of this one. When the person pressed counts,
  // not when a busy page came to it; what no person did (an event that is not trusted) is no answer.
  const SEEN = 350;
  const root = document.documentElement;
  let card = "", stood = "", since = Infinity, sent = -Infinity, soon = 0, pressed = 0, acted = 0;
  function watch() {
    const {ask: id = "", state = ""} = one("#card")?.dataset || {};
    if (id === card && state === stood) return; // as it stands now is what has to be seen
    card = id;
    stood = state;
    since = Infinity; // until it is painted
    clearTimeout(soon);
    delete root.dataset.seen;
    requestAnimationFrame(() => {
      if (id !== card || state !== stood) return;
      since = performance.now();
      soon = setTimeout(() => { root.dataset.seen = id; }, SEEN + 10);
    });
  }
  addEventListener("pointerdown", (event) => { pressed = event.timeStamp; }, true);
  addEventListener("keydown", (event) => { acted = event.timeStamp; }, true);
  addEventListener("click", (event) => {
    if (event.isTrusted) acted = event.detail > 0 ? pressed : event.timeStamp;
  }, true);
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("[data-once]")) return;
    const early = form.closest(".answer") && acted - since < SEEN;
    if (early || acted - sent < SEEN) {
      event.preventDefault();
      event.stopImmediatePropagation();
    } else sent = performance.now();
  }, true);

  // ---- after htmx put something in
  function settle() { localTimes(document); inbox(); watch(); tick(); }
  document.addEventListener("htmx:after:swap", settle);

  function chosen(select) {
    const made = Array.from(select.options).findLast((option) => option.defaultSelected) || select.options[0];
    return made && !made.selected;
  }

  function ready() {
    const box = one("#keys-off");
    if (box) {
      box.checked = !off();
      box.addEventListener("change", () => { try { localStorage.setItem(OFF, box.checked ? "0" : "1"); } catch { /* private mode */ } });
    }
    for (const form of all("form[data-change]")) {
      form.addEventListener("change", () => form.requestSubmit());
      if (all("select", form).some(chosen)) form.requestSubmit(); // before this script came
    }
    settle();
    setInterval(tick, 1000);
  }
  ready();
})();
