/**
 * The page's own script, as text: draws the charts over their static pictures, shows tooltips (as text, never markup),
 * sorts tables, and opens what is folded for printing. Without scripts the page still shows everything.
 */
export const SCRIPT = `
(() => {
  const tip = document.getElementById('tip');
  const show = (handler, event, item, value) => {
    if (value == null || value === '') { tip.style.display = 'none'; return; }
    tip.textContent = '';
    const rows = typeof value === 'object' ? Object.entries(value) : [['', value]];
    const table = document.createElement('table');
    for (const [name, text] of rows) {
      const row = table.insertRow();
      row.insertCell().textContent = name;
      row.insertCell().textContent = String(text);
    }
    tip.append(table);
    tip.style.display = 'block';
    const box = tip.getBoundingClientRect();
    const x = event.clientX + 14, y = event.clientY + 14;
    tip.style.left = Math.max(4, x + box.width > innerWidth ? event.clientX - box.width - 14 : x) + 'px';
    tip.style.top = Math.max(4, y + box.height > innerHeight ? event.clientY - box.height - 14 : y) + 'px';
  };
  const draw = () => {
    for (const holder of document.querySelectorAll('.chart[data-chart]')) {
      const source = document.getElementById('spec-' + holder.dataset.chart);
      const picture = holder.firstElementChild;
      const canvas = document.createElement('div');
      const controls = document.createElement('div');
      controls.className = 'controls';
      try {
        const view = new vega.View(vega.parse(JSON.parse(source.textContent)), { renderer: 'svg', hover: true });
        view.tooltip(show).initialize(canvas, controls);
        view.runAsync().then(() => picture.replaceWith(controls, canvas), console.error);
      } catch (error) { console.error(error); }
    }
  };
  document.fonts.ready.then(draw, draw);
  for (const table of document.querySelectorAll('table.sortable')) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => head.addEventListener('click', () => {
      const down = head.getAttribute('aria-sort') !== 'descending';
      for (const other of heads) other.removeAttribute('aria-sort');
      head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
      const key = (row) => {
        const cell = row.cells[column], data = cell.querySelector('data');
        return data ? Number(data.value) : cell.textContent;
      };
      const rows = [...table.tBodies[0].rows].sort((a, b) => {
        const x = key(a), y = key(b);
        const order = typeof x === 'number' && typeof y === 'number' ? x - y : String(x).localeCompare(String(y));
        return down ? -order : order;
      });
      table.tBodies[0].append(...rows);
    }));
  }
  let closed = [];
  addEventListener('beforeprint', () => {
    closed = [...document.querySelectorAll('details:not([open])')];
    for (const d of closed) d.open = true;
  });
  addEventListener('afterprint', () => { for (const d of closed) d.open = false; });
})();
`;
