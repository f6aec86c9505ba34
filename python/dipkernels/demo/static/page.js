// The tabs; each lesson is a module of its own. Nothing is computed here but pixels.
import { ask } from "./ask.js";
import { byId } from "./dom.js";
import { startConvolution } from "./convolution.js";
import { startDescent } from "./descent.js";
import { startDrawing } from "./draw.js";
import { startPlayground } from "./playground.js";
import { startScenes } from "./scenes.js";

function startTabs() {
  const tabs = [...document.querySelectorAll("[role=tab]")];
  const choose = (tab) => {
    for (const each of tabs) {
      const chosen = each === tab;
      each.setAttribute("aria-selected", chosen);
      each.tabIndex = chosen ? 0 : -1;
      byId(each.getAttribute("aria-controls")).hidden = !chosen;
    }
    tab.dispatchEvent(new Event("shown"));
  };
  for (const [i, tab] of tabs.entries()) {
    tab.addEventListener("click", () => choose(tab));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = tabs[(i + step + tabs.length) % tabs.length];
      next.focus();
      choose(next);
    });
  }
}

startTabs();
const state = await ask("/api/state").catch((error) => { byId("status").textContent = error.message; });
if (state) {
  startDrawing(state);
  startConvolution();
  startDescent(state);
  startPlayground(state);
  startScenes();
}
