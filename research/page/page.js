"use strict";
// A click on the head of a column sorts the table by it: numbers as numbers, what is unknown last.
for (const table of document.querySelectorAll("table.sorted")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const text = (row, column) => row.cells[column].textContent.trim();
  const number = (cell) => {
    const match = /^[+\-\u2212]?\d[\d,]*(\.\d+)?/.exec(cell);
    return match ? Number(match[0].replace("\u2212", "-").replaceAll(",", "")) : NaN;
  };
  const sort = (column) => {
    const head = heads[column];
    const falls = head.getAttribute("aria-sort") === "ascending";
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", falls ? "descending" : "ascending");
    const known = (row) => !["", "\u2013"].includes(text(row, column));
    const rows = [...body.rows];
    const shown = rows.filter(known);
    const numeric = shown.every((row) => !Number.isNaN(number(text(row, column))));
    shown.sort((a, b) => {
      const [left, right] = [text(a, column), text(b, column)];
      const order = numeric ? number(left) - number(right) : left.localeCompare(right);
      return falls ? -order : order;
    });
    body.append(...shown, ...rows.filter((row) => !known(row)));
  };
  if (body.rows.length < 2) continue;
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(column));
    head.append(button);
  });
}
