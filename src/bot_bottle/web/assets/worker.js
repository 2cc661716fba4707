// The service worker: shows that something waits, opens the inbox when that is tapped. A push has no content, or the
// number of waiting asks; nothing is kept for offline use, since a page about now must not be an old one.
"use strict";
addEventListener("install", () => skipWaiting());
addEventListener("activate", (event) => event.waitUntil(clients.claim()));
addEventListener("push", (event) => {
  let body = "Something waits for your answer.";
  try {
    const waiting = Number(event.data?.json()?.waiting);
    if (waiting > 1) body = `${waiting} requests wait for your answer.`;
  } catch { /* without content */ }
  const options = { body, tag: "waiting", renotify: true, icon: "/assets/mark.svg", badge: "/assets/mark.svg" };
  event.waitUntil(registration.showNotification("bot-bottle", options));
});
addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil((async () => {
    const open = await clients.matchAll({ type: "window" });
    const page = open.find((one) => new URL(one.url).pathname.startsWith("/inbox")) || open[0];
    if (page) { await page.focus(); if ("navigate" in page) await page.navigate("/inbox"); } else await clients.openWindow("/inbox");
  })());
});
