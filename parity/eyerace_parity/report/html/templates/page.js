"use strict";
// Sorting, filtering and photographs. Without it the page still says all that it has to say.
for (const chapter of document.querySelectorAll(".chapter")) {
  const { album, names } = JSON.parse(document.getElementById(chapter.dataset.chapter + "-album").textContent);
  developed(chapter, album);
  clauses(chapter);
  photographs(chapter, album, names);
}

// Photographs that are folded away are only decoded when they are unfolded.
function developed(chapter, album) {
  const develop = (place) => { for (const image of place.querySelectorAll("img[data-sample]:not([src])")) if (!image.closest("details:not([open])")) image.src = album[image.dataset.sample]; };
  develop(chapter);
  for (const folded of chapter.querySelectorAll("details")) folded.addEventListener("toggle", () => develop(folded));
}

// On paper nothing can be unfolded.
addEventListener("beforeprint", () => { for (const folded of document.querySelectorAll("details:not([open])")) if (!folded.closest(".clauses, .cards")) { folded.open = true; folded.dataset.printed = ""; } });
addEventListener("afterprint", () => { for (const folded of document.querySelectorAll("details[data-printed]")) { folded.open = false; delete folded.dataset.printed; } });

function clauses(chapter) {
  const table = chapter.querySelector("table.clauses");
  if (!table) return;
  const body = table.tBodies[0], rows = [...body.rows], filters = chapter.querySelector(".filters"), none = chapter.querySelector("[data-none]");
  filters.hidden = false;
  const count = filters.querySelector("[data-count]");
  const inputs = [...filters.querySelectorAll("[data-filter]")];
  const said = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
  const filter = () => {
    const [text, status, variant] = inputs.map((input) => input.value.toLowerCase());
    let shown = 0;
    for (const row of rows) {
      const fits = said.get(row).includes(text) && (!status || row.dataset.status === status)
        && (!variant || row.dataset.variant.toLowerCase() === variant);
      row.hidden = !fits;
      shown += fits;
    }
    count.textContent = `${shown} of ${rows.length}`;
    none.hidden = shown > 0;
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
  const link = 'a[href^="#photograph-"]';
  let shown = null;
  const put = () => {
    const at = shown.getBoundingClientRect(), width = box.offsetWidth, height = box.offsetHeight;
    const right = at.right + 12 + width < innerWidth ? at.right + 12 : at.left - width - 12;
    box.style.left = Math.max(4, Math.min(right, innerWidth - width - 4)) + "px";
    box.style.top = Math.max(4, Math.min(at.top - height / 2, innerHeight - height - 4)) + "px";
  };
  const show = (mark) => {
    shown = mark;
    const sample = mark.getAttribute("href").replace("#photograph-", "");
    const label = mark.querySelector("[aria-label]")?.getAttribute("aria-label") ?? names[sample] ?? "";
    image.hidden = !album[sample];
    if (album[sample]) image.src = album[sample];
    words.textContent = label;
    box.hidden = false;
    put();
  };
  const hide = () => { box.hidden = true; shown = null; };
  for (const figure of chapter.querySelectorAll("figure")) {
    // One stop for the tabulator; arrows lead from dot to dot. The last ones lie on top, so they come first.
    const marks = [...figure.querySelectorAll(link)].reverse();
    marks.forEach((mark, place) => { if (place) mark.setAttribute("tabindex", "-1"); });
    const over = (event) => {
      const mark = event.target.closest?.(link);
      if (mark) show(mark); else hide();
    };
    figure.addEventListener("pointerover", over);
    figure.addEventListener("focusin", over);
    figure.addEventListener("click", (event) => { if (event.target.closest?.(link)) { event.preventDefault(); over(event); } });
    figure.addEventListener("pointerleave", hide);
    figure.addEventListener("focusout", hide);
    figure.addEventListener("keydown", (event) => {
      if (event.key === "Escape") return hide();
      const mark = event.target.closest?.(link), here = marks.indexOf(mark);
      const step = { ArrowRight: here + 1, ArrowDown: here + 1, ArrowLeft: here - 1, ArrowUp: here - 1, Home: 0, End: marks.length - 1 }[event.key];
      const next = mark && step !== undefined && marks[step];
      if (!next) return;
      event.preventDefault();
      mark.setAttribute("tabindex", "-1");
      next.setAttribute("tabindex", "0");
      next.focus();
    });
  }
  addEventListener("scroll", () => { if (shown) put(); }, { passive: true });
}
