// The code of a QR link is in its fragment, which no server and no log sees: it goes into the form, and away.
"use strict";
(() => {
  const code = decodeURIComponent(location.hash.slice(1));
  const field = document.querySelector("#code");
  if (!code || !field) return;
  history.replaceState(null, "", location.pathname);
  field.value = code;
  document.querySelector("#name")?.focus();
})();
