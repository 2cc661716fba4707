// A button with data-push (hidden without script): Web Push for this browser. The token comes from the page's form.
"use strict";
(() => {
  const button = document.querySelector("[data-push]");
  if (!button || !("serviceWorker" in navigator) || !("PushManager" in window)) return;
  const csrf = document.querySelector('input[name="csrf"]')?.value || "";
  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const say = (text) => { button.textContent = text; };
  async function subscribe() {
    const { key } = await (await fetch("/api/v1/push-key")).json();
    if (!key) { say("No notifier of kind push is set up"); return; }
    const worker = await navigator.serviceWorker.register(policy ? policy.createScriptURL("/sw.js") : "/sw.js");
    const made = await worker.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: bytes(key) });
    const { endpoint, keys } = made.toJSON();
    const reply = await fetch("/api/v1/push-subscriptions", {
      method: "POST", headers: { "content-type": "application/json", "x-bot-bottle-csrf": csrf },
      body: JSON.stringify({ endpoint, p256dh: keys.p256dh, auth: keys.auth }),
    });
    say(reply.ok ? "This browser is told" : "This did not work");
  }
  // navigator.serviceWorker.register takes a TrustedScriptURL where trusted types are required
  let policy = null;
  try { policy = window.trustedTypes?.createPolicy("bot-bottle-worker", { createScriptURL: (url) => (url === "/sw.js" ? url : "") }); } catch { /* none */ }
  button.hidden = false;
  button.addEventListener("click", () => subscribe().catch(() => say("This did not work")));
})();
