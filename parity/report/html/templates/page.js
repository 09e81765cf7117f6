"use strict";
// Sorting, filtering and photographs. Without it the page still says all that it has to say.
for (const chapter of document.querySelectorAll(".chapter")) {
  const { album, names } = JSON.parse(document.getElementById(chapter.dataset.chapter + "-album").textContent);
  for (const image of chapter.querySelectorAll("img[data-sample]")) image.src = album[image.dataset.sample];
  clauses(chapter);
  photographs(chapter, album, names);
}

function clauses(chapter) {
  const table = chapter.querySelector("table.clauses");
  if (!table) return;
  const body = table.tBodies[0], rows = [...body.rows], filters = chapter.querySelector(".filters");
  filters.hidden = false;
  const count = filters.querySelector("[data-count]");
  const inputs = [...filters.querySelectorAll("[data-filter]")];
  const filter = () => {
    const [text, status, variant] = inputs.map((input) => input.value.toLowerCase());
    let shown = 0;
    for (const row of rows) {
      const said = (row.textContent + " " + row.lastElementChild.title).toLowerCase();
      const fits = said.includes(text) && (!status || row.dataset.status === status)
        && (!variant || row.dataset.variant.toLowerCase() === variant);
      row.hidden = !fits;
      shown += fits;
    }
    count.textContent = `${shown} of ${rows.length}`;
  };
  for (const input of inputs) for (const event of ["input", "change"]) input.addEventListener(event, filter);
  filter();
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
      const sorted = [...rows].sort((a, b) => {
        const [x, y] = [key(a), key(b)], [p, q] = [Number(x), Number(y)];
        const numbers = x !== "" && y !== "" && !Number.isNaN(p) && !Number.isNaN(q);
        return numbers ? p - q : x.localeCompare(y);
      });
      body.append(...(down ? sorted.reverse() : sorted));
    });
  });
}

function photographs(chapter, album, names) {
  const box = document.getElementById("photograph"), image = box.querySelector("img"), words = box.querySelector("p");
  const show = (mark) => {
    const sample = mark.getAttribute("href").replace("#photograph-", "");
    const label = mark.querySelector("[aria-label]")?.getAttribute("aria-label") ?? names[sample] ?? "";
    image.hidden = !album[sample];
    if (album[sample]) image.src = album[sample];
    words.textContent = label;
    box.hidden = false;
    const at = mark.getBoundingClientRect(), width = box.offsetWidth, height = box.offsetHeight;
    box.style.left = Math.max(4, Math.min(at.right + 8, innerWidth - width - 4)) + "px";
    box.style.top = Math.max(4, Math.min(at.top - height / 2, innerHeight - height - 4)) + "px";
  };
  const hide = () => { box.hidden = true; };
  for (const figure of chapter.querySelectorAll("figure")) {
    const over = (event) => {
      const mark = event.target.closest?.('a[href^="#photograph-"]');
      if (mark) show(mark); else hide();
    };
    figure.addEventListener("pointerover", over);
    figure.addEventListener("focusin", over);
    figure.addEventListener("click", (event) => { if (event.target.closest?.('a[href^="#photograph-"]')) { event.preventDefault(); over(event); } });
    figure.addEventListener("pointerleave", hide);
    figure.addEventListener("focusout", hide);
  }
}
