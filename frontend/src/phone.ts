// The demo's phone: examples fill the line, what is sent shows at once, the newest is in sight.
import "./phone.css";

function conversation(): HTMLElement | null {
  return document.querySelector<HTMLElement>("[data-conversation]");
}

function toNewest(): void {
  const bubbles = conversation();
  if (bubbles) bubbles.scrollTop = bubbles.scrollHeight;
}

const form = document.querySelector<HTMLFormElement>("[data-say]");
const line = form?.querySelector<HTMLInputElement>("input[name=text]");

document.addEventListener("click", (event) => {
  const sample = (event.target as Element).closest<HTMLElement>("[data-sample]");
  if (!sample || !line) return;
  line.value = sample.dataset.sample ?? "";
  line.focus();
});

// After htmx took the text: it sees the form first, on the form itself.
document.body.addEventListener("htmx:beforeRequest", (event) => {
  if (event.target !== form || !line) return;
  const bubble = document.createElement("li");
  bubble.className = "mine pending";
  const text = document.createElement("p");
  text.textContent = line.value;
  bubble.append(text);
  conversation()?.querySelector(".none")?.remove();
  conversation()?.append(bubble);
  line.value = "";
  toNewest();
});

let count = conversation()?.childElementCount ?? 0;
document.body.addEventListener("htmx:afterSettle", () => {
  const now = conversation()?.childElementCount ?? 0;
  if (now !== count) toNewest();
  count = now;
  toNewest();
});
toNewest();
