// What is wrong with the page that this runs in: a list of sentences, empty where all is well.
() => {
  const wrong = [];
  const shown = (node) => node.checkVisibility({ visibilityProperty: true });
  const called = (node) => `<${node.localName}> ${(node.id || node.name || node.textContent).trim().slice(0, 40)}`;
  const text = (ids) => (ids ?? "").split(" ").map((id) => document.getElementById(id)?.textContent ?? "").join("");
  // An accessible name: what a screen reader says of the thing.
  const name = (node) =>
    [
      node.getAttribute("aria-label"),
      text(node.getAttribute("aria-labelledby")),
      ...[...(node.labels ?? [])].map((label) => label.textContent),
      node.matches("a, button, summary") ? node.textContent : "",
      ...[...node.querySelectorAll("img")].map((image) => image.alt),
      node.title,
    ].some((found) => (found ?? "").trim() !== "");

  const { scrollWidth } = document.scrollingElement;
  if (scrollWidth > innerWidth) {
    const widest = [...document.body.querySelectorAll("*")]
      .filter((node) => shown(node) && !node.closest(".scroll, .samples"))
      .sort((a, b) => b.getBoundingClientRect().right - a.getBoundingClientRect().right)[0];
    wrong.push(`it is ${scrollWidth} px wide in a window of ${innerWidth}: ${widest?.className} ${called(widest)}`);
  }
  for (const card of document.querySelectorAll(".card")) {
    if (shown(card) && card.scrollHeight > card.clientHeight + 2) wrong.push(`something sticks out of its card: ${called(card)}`);
  }
  if (!document.title.replace("· Gridtalk", "").trim()) wrong.push("it has no title");
  if (!document.documentElement.lang) wrong.push("its language is not said");
  const headings = document.querySelectorAll("h1").length;
  if (headings !== 1) wrong.push(`it has ${headings} h1`);
  if (document.querySelectorAll("main").length !== 1) wrong.push("it has not one main");

  for (const node of document.querySelectorAll("input, select, textarea, button, a[href], summary")) {
    if (node.type !== "hidden" && shown(node) && !name(node)) wrong.push(`nothing says what this is: ${called(node)}`);
  }
  for (const node of document.querySelectorAll("img:not([alt])")) wrong.push(`an image without alt: ${node.src}`);
  for (const node of document.querySelectorAll("svg")) {
    if (!node.closest("[aria-hidden=true]") && !name(node) && node.getAttribute("role") !== "img") {
      wrong.push(`a picture that is neither hidden nor named: ${called(node.parentElement)}`);
    }
  }
  for (const node of document.querySelectorAll("th")) {
    if (shown(node) && !node.textContent.trim() && !node.ariaLabel) wrong.push("a column without a heading");
  }
  const ids = [...document.querySelectorAll("[id]")].map((node) => node.id);
  for (const id of new Set(ids.filter((one, at) => ids.indexOf(one) !== at))) wrong.push(`two things have the id ${id}`);
  for (const node of document.querySelectorAll("[aria-describedby]")) {
    for (const id of node.getAttribute("aria-describedby").split(" ")) {
      if (!document.getElementById(id)) wrong.push(`${called(node)} is described by ${id}, which is not there`);
    }
  }
  return wrong;
}
