// Finds a thing by what a person calls it: a field by its label, a link or a button by its words. Answers with the element,
// or with the names of what is there instead. What stands in the page's main part comes first.
const [kind, name] = arguments;
const selectors = {
  link: 'a[href]',
  button: 'button, input[type=submit], summary',
  field: 'input:not([type=hidden]), select, textarea',
  choice: 'label',
};
const plain = text => (text ?? '').replace(/\s+/g, ' ').trim();
const labels = element => [...(element.labels ?? [])].map(label => label.innerText).join(' ');
const called = element =>
  plain(element.getAttribute('aria-label') || labels(element) || element.innerText || element.value || element.textContent);

const shown = [...document.querySelectorAll(selectors[kind])]
  .filter(element => element.checkVisibility({ visibilityProperty: true }))
  .sort((a, b) => !!b.closest('main') - !!a.closest('main'));
const found =
  shown.find(element => called(element) === name) ?? shown.find(element => called(element).startsWith(name));
return found ?? shown.map(called);
