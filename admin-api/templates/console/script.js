// What the pages have besides: copying, and forgetting a secret when its page is left. Everything works without it.
"use strict";
for (const button of document.querySelectorAll("[data-copy]")) {
  const source = document.getElementById(button.dataset.copy);
  if (!source || !navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(source.value);
      button.textContent = "Copied";
    } catch {
      source.focus();
      source.select();
    }
  });
}
addEventListener("pagehide", () => {
  for (const secret of document.querySelectorAll("[data-secret]")) secret.replaceChildren();
});
