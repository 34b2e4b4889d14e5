const specs = Object.entries(JSON.parse(document.getElementById("specs").textContent));
specs.forEach(([id, spec]) => vegaEmbed("#" + id, spec, { ast: true, renderer: "svg", actions: false, logLevel: 1 }));
const selects = [...document.querySelectorAll("select[data-kind]")], pick = document.getElementById("pick");
const hides = (row, select) => select.value && row.dataset[select.dataset.kind] && row.dataset[select.dataset.kind] !== select.value;
const filter = () => document.querySelectorAll("tbody tr").forEach(row => {
  row.hidden = selects.some(select => hides(row, select));
  row.classList.toggle("picked", Boolean(pick && pick.value && row.dataset.recipe === pick.value));
});
const sort = (head, rows, body) => {
  const turned = head.ariaSort === "descending", order = head.dataset.order.split(" ").map(place => rows[place]);
  [...head.parentNode.cells].forEach(other => (other.ariaSort = "none"));
  head.ariaSort = turned ? "ascending" : "descending";
  body.append(...(turned ? order.reverse() : order));
};
document.querySelectorAll("th[data-order]").forEach(head => {
  const body = head.closest("table").tBodies[0], rows = head.closest("table").rowsInOrder ??= [...body.rows];
  const button = Object.assign(document.createElement("button"), { type: "button", onclick: () => sort(head, rows, body) });
  button.append(...head.childNodes);
  head.append(button);
});
const folded = open => document.querySelectorAll("details").forEach(item => (item.open = open));
folded(false);
window.addEventListener("beforeprint", () => folded(true));
const form = document.getElementById("filters");
if (form) form.hidden = false;
[...selects, pick].forEach(select => select?.addEventListener("input", filter));
